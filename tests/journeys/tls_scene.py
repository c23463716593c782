"""A server with a hand-made certificate, a manager, and what is wrong between them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from attrs import frozen

import trioreply
from tests import certificates
from tests.certificates import SAMPLES, Sample, Served
from trioreply import (
    Certificate,
    Event,
    Manager,
    ManagerConfig,
    Reply,
    Request,
    SslConfiguration,
    SslError,
    SslErrorCode,
    SslErrors,
)
from trioreply.testing import (
    Origin,
    OriginResponse,
    ServerTls,
    open_origin,
)

from .conftest import Place

NAME = certificates.HOST
BAD = {name: sample for name, sample in SAMPLES.items() if sample.errors}
GOOD_END = "T Q H(200) R D(2,2) F(NO_ERROR)"
INSISTED = ["for_clients", "intermediate_is_no_ca"]
"""What OpenSSL refuses whatever is loosened."""
LOOSENABLE = [name for name in BAD if name not in INSISTED]
REFUSED = "E(SSL_HANDSHAKE_FAILED) D(0,0) F(SSL_HANDSHAKE_FAILED)"


@functools.cache
def server_tls(served: Served) -> ServerTls:
    """A server that shows this certificate."""
    return ServerTls.from_pem(served.chain, served.key)


def trusting(sample: Sample) -> SslConfiguration:
    """A client's configuration that trusts the sample's root, or nobody."""
    roots = [sample.make().root] if sample.trusted else []
    return SslConfiguration(ca_certificates=roots, use_system_ca=False)


@frozen
class Scene:
    """A server with a certificate, and a manager."""

    origin: Origin
    manager: Manager
    errors: tuple[SslError, ...]
    """What is wrong with the certificate."""

    def get(self, **fields: object) -> trioreply.OpenReply:
        """A GET of the server's page, under the name the certificates are for."""
        return self.manager.get(Request(self.origin.url(), peer_verify_name=NAME).replace(**fields))  # type: ignore[arg-type]  # fields of a request, by their names

    def no_request_seen(self) -> bool:
        """Whether no byte of a request has reached the server."""
        return not self.origin.requests


@asynccontextmanager
async def open_scene(place: Place, name: str, **config: object) -> AsyncIterator[Scene]:
    """The sample called ``name``, served and met."""
    sample = SAMPLES[name]
    served = sample.make()
    chain = [*Certificate.load(served.chain), *Certificate.load(served.root)]
    errors = tuple(SslError(SslErrorCode[code], chain[at]) for code, at in sample.errors)
    options = ManagerConfig(ssl=trusting(sample), **config)  # type: ignore[typeddict-item]  # options by their names
    routes = {"/": OriginResponse(body=b"ok")}
    async with open_origin(routes, network=place.network, tls=server_tls(served)) as origin:
        async with place.open_manager(**options) as manager:
            yield Scene(origin, manager, errors)


async def collect(reply: Reply, on_errors: Callable[[SslErrors], object] = lambda _event: None) -> list[Event]:
    """All events; certificate errors are shown to ``on_errors``."""
    events: list[Event] = []
    async for event in reply:
        events.append(event)
        if isinstance(event, SslErrors):
            assert reply.tls is not None
            assert reply.tls.peer_chain == event.peer_chain
            on_errors(event)
    return events


def names_of(errors: tuple[SslError, ...]) -> str:
    """As the notation shows them."""
    return ",".join(error.code.name for error in errors)


@pytest.fixture(name="place", params=["memory", "loopback"])
async def bare_place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Both networks; who certifies the servers is each test's own matter."""
    if request.param == "loopback":
        yield Place(None)
        return
    async with trioreply.testing.MemoryNetwork() as network:
        yield Place(network)
