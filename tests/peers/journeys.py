"""What journeys through proxies and to Unix sockets have in common: where they lead, the usual stops, and answers.

Nothing here knows which way a journey takes.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import trio
from attrs import frozen

from trioreply import AuthenticationRequired, Manager, ProxyAuthenticationRequired, Reply, RequestFields

from ..soak.large import write_large
from .nginx import SMALL, Nginx
from .nginx_tls import SecureNginx
from .squid import Seen, Squid

MIB = 1024 * 1024


SCHEMES = ("http", "https")


@frozen
class Sites:
    """The two web servers where journeys lead, each found by its scheme."""

    plain: Nginx
    secure: SecureNginx

    def base(self, scheme: str) -> str:
        """The URL of one, up to its path."""
        return self.plain.url("") if scheme == "http" else self.secure.url("usual", "")

    def target(self, scheme: str) -> str:
        """Its host and port, as they stand in a CONNECT."""
        return self.base(scheme).partition("//")[2]

    def folder(self, scheme: str) -> Path:
        """Where its files are."""
        return (self.plain if scheme == "http" else self.secure.nginx).files


@frozen
class Trip:
    """A journey through squid; `manager` knows no proxy, each request says which one it goes through."""

    manager: Manager
    squid: Squid
    sites: Sites
    agent: str
    """The user agent, which no other trip has."""

    def url(self, scheme: str, target: str = "/small") -> str:
        """The absolute URL of ``target``."""
        return f"{self.sites.base(scheme)}{target}"

    async def seen(self) -> list[Seen]:
        """What squid has seen of this trip; all its connections are closed before."""
        self.manager.clear_connections()
        last = self.url("http", "/alive")
        await self.manager.fetch(last, proxy=self.squid.proxy())
        return await self.squid.wait_seen(self.agent, last)


class NumbersOnly:
    """A resolver that knows addresses alone: a name that is looked up all the same is an error."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 - all are alike
        """As `trioreply.abc.Resolver.resolve`."""
        await trio.lowlevel.checkpoint()
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise OSError(f"{host} is a name, and was not left to the proxy") from error
        return [host]


async def visit(manager: Manager, base: str, folder: str, **fields: Unpack[RequestFields]) -> None:
    """GET, HEAD, POST, PUT, GET and DELETE at an nginx at ``base``, each with what it must bring.

    Args:
        manager: asks.
        base: the URL, up to its path.
        folder: a name below ``/dav/`` that nobody else uses.
        fields: of each request: the way to go.
    """
    small = await manager.fetch(f"{base}/small", **fields)
    assert small.body == SMALL
    async with manager.head(f"{base}/page.txt", **fields) as reply:
        await reply.wait_finished()
        assert (reply.status_code, int(reply.headers["Content-Length"]) > 1000) == (200, True)
        assert reply.read() == b""
    posted = await manager.fetch(
        f"{base}/small", verb="POST", body=b"nginx takes no forms", **fields, raise_for_error=False
    )
    assert posted.status_code == 405
    content = bytes(range(256)) * 4096
    path = f"{base}/dav/{folder}/file"
    assert (await manager.fetch(path, verb="PUT", body=content, **fields)).status_code == 201
    assert (await manager.fetch(path, **fields)).body == content
    assert (await manager.fetch(path, verb="DELETE", **fields)).status_code == 204


async def digest_of(reply: Reply) -> str:
    """The SHA-256 of what ``reply`` brings, in hexadecimal."""
    digest = hashlib.sha256()
    async for piece in reply.chunks():
        digest.update(piece)
    reply.raise_for_error()
    return digest.hexdigest()


async def carry(manager: Manager, base: str, folder: Path, mebibytes: int, **fields: Unpack[RequestFields]) -> None:
    """A large file down, and the same one up; both have to be what they were on the way.

    Args:
        manager: asks.
        base: the URL of an nginx, up to its path.
        folder: where its files are.
        mebibytes: how large.
        fields: of both requests: the way to go.
    """
    source, target = folder / f"large-{mebibytes}", folder / "dav" / f"large-{mebibytes}"
    expected = write_large(source, mebibytes * MIB)
    try:
        async with manager.get(f"{base}/{source.name}", **fields) as reply:
            assert await digest_of(reply) == expected
        await manager.fetch(f"{base}/dav/{target.name}", verb="PUT", body=source, **fields)
        with target.open("rb") as stored:
            assert hashlib.file_digest(stored, "sha256").hexdigest() == expected
    finally:
        source.unlink()
        target.unlink(missing_ok=True)


async def converse(reply: Reply, *answers: tuple[str, str]) -> list[ProxyAuthenticationRequired]:
    """Answer the proxy's questions about ``reply`` one after the other; gives them."""
    asked: list[ProxyAuthenticationRequired] = []
    async for event in reply:
        assert not isinstance(event, AuthenticationRequired)
        if isinstance(event, ProxyAuthenticationRequired):
            asked.append(event)
            if len(asked) <= len(answers):
                event.answer(*answers[len(asked) - 1])
    return asked
