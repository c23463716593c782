"""Tools to test code that uses trioreply: a network in memory, servers, and the cancellation sweep. Also for your
tests.

A manager on a network in memory needs no socket, no thread and no real time, and its weather is yours to make::

    from trioreply.testing import MemoryNetwork, OriginResponse, cancellation_sweep, open_origin

    async def test_download() -> None:
        async with MemoryNetwork() as network:
            routes = {"/data": OriginResponse(body=b"x" * 100_000)}
            async with open_origin(routes, network=network) as origin:

                async def download() -> None:
                    async with trioreply.open_manager(resolver=network, dialer=network) as manager:
                        async with manager.get(origin.url("/data")) as reply:
                            assert len(await reply.read_all()) == 100_000

                await cancellation_sweep(download, network=network)  # cancelled at every step: nothing is left

`open_origin` is a correct server, `serve_peer` plays a script that need not be; both run on a real loopback socket as
well, and over TLS: ``tls=Authority().serve("origin.test")`` makes the URL https.
"""

from .authority import Authority
from .background import StreamHandler
from .clock import run_sync_inline
from .conformance import HandlerRecord, check_handler
from .manager_sweep import ManagerSweep
from .network import Host, MemoryListener, MemoryNetwork, Switches
from .peer import (
    Close,
    Ending,
    Loop,
    PeerConnection,
    RawSend,
    Receive,
    ReceiveBody,
    ReceiveEnd,
    ReceiveHead,
    ReceiveRequest,
    Reset,
    ScriptedPeer,
    Send,
    SendEof,
    SendSlowly,
    Signal,
    Stall,
    Step,
    Truncate,
    WaitFor,
    serve_peer,
)
from .reading import ReceivedRequest
from .self_signed import SelfSigned
from .server import Origin, OriginConnection, OriginHandler, OriginRequest, OriginResponse, Routes, open_origin
from .serving import OnAccept, ServedStream, serve_streams
from .stream import MemoryConnection, MemoryStream
from .sweep import SweepEnvironment, cancellation_sweep, sweep_environment
from .tls import ServerTls, TlsOptions, TlsServerStream
from .transport import Transport

__all__ = [
    "Authority",
    "Close",
    "Ending",
    "HandlerRecord",
    "Host",
    "Loop",
    "ManagerSweep",
    "MemoryConnection",
    "MemoryListener",
    "MemoryNetwork",
    "MemoryStream",
    "OnAccept",
    "Origin",
    "OriginConnection",
    "OriginHandler",
    "OriginRequest",
    "OriginResponse",
    "PeerConnection",
    "RawSend",
    "Receive",
    "ReceiveBody",
    "ReceiveEnd",
    "ReceiveHead",
    "ReceiveRequest",
    "ReceivedRequest",
    "Reset",
    "Routes",
    "ScriptedPeer",
    "SelfSigned",
    "Send",
    "SendEof",
    "SendSlowly",
    "ServedStream",
    "ServerTls",
    "Signal",
    "Stall",
    "Step",
    "StreamHandler",
    "SweepEnvironment",
    "Switches",
    "TlsOptions",
    "TlsServerStream",
    "Transport",
    "Truncate",
    "WaitFor",
    "cancellation_sweep",
    "check_handler",
    "open_origin",
    "run_sync_inline",
    "serve_peer",
    "serve_streams",
    "sweep_environment",
]
