"""Proxies for tests: honest ones, ones that misbehave by script, and a record of what each of them got to know.

`open_http_proxy` and `open_socks_proxy` are small correct proxies that remember whatever was asked of them;
`open_scripted` runs one of the scripts of `HTTP_MISCHIEF`, `SOCKS5_MISCHIEF` and `SOCKS4_MISCHIEF`, or of your own
make; `LeakRecord` tells which secret reached whom. All run on a `MemoryNetwork` and on loopback, plain and over TLS.

A chain needs nothing of its own: the first proxy is asked to connect to `RealProxy.address` of the second.
"""

from .doors import BasicDoor, DigestDoor, Door
from .http_proxy import HttpProxy, SeenRequest, open_http_proxy
from .leaks import LeakRecord, recording_origin
from .misbehaving_http import CONNECTED, HTTP_MISCHIEF, refuse
from .misbehaving_socks import SOCKS4_MISCHIEF, SOCKS5_MISCHIEF, socks4_reply, socks5_reply
from .scripts import Script, ScriptedProxy, open_scripted
from .socks_proxy import SocksProxy, SocksVisit, open_socks_proxy
from .tunnels import Address, Exits, PeerGoneError, RealProxy, RecordedStream, address_of

__all__ = [
    "CONNECTED",
    "HTTP_MISCHIEF",
    "SOCKS4_MISCHIEF",
    "SOCKS5_MISCHIEF",
    "Address",
    "BasicDoor",
    "DigestDoor",
    "Door",
    "Exits",
    "HttpProxy",
    "LeakRecord",
    "PeerGoneError",
    "RealProxy",
    "RecordedStream",
    "Script",
    "ScriptedProxy",
    "SeenRequest",
    "SocksProxy",
    "SocksVisit",
    "address_of",
    "open_http_proxy",
    "open_scripted",
    "open_socks_proxy",
    "recording_origin",
    "refuse",
    "socks4_reply",
    "socks5_reply",
]
