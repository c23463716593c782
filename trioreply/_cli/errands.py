"""What all commands have in common that talk to a server: whom they ask, as whom, by which way, and for how long.

Each command has options of its own besides, and adds them to what an `Errand` is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

from attrs import frozen
from yarl import URL

from .. import Operation, Request
from .body_options import Content
from .kinds import seconds
from .network_options import Network, add_network_options, local_server_name, network
from .tls_options import OnBadCertificate, add_tls_options, on_bad_certificate, ssl_configuration
from .web_options import Keeping, add_web_options, keeping, netrc, user_without_password, web_fields


@frozen(kw_only=True)
class Errand:
    """Something to ask a server for."""

    request: Request
    verbose: bool
    max_time: float | None
    """Seconds for the command as a whole."""
    on_bad_certificate: OnBadCertificate
    user: str | None
    """Who logs in with a password that is yet to be asked for."""
    netrc: bool | Path
    keeping: Keeping
    network: Network

    @property
    def urls(self) -> Sequence[URL]:
        """All that is asked for."""
        return (self.request.url,)

    @property
    def is_input_taken(self) -> bool:
        """Whether standard input is sent, so that nobody can answer there."""
        return False

    @property
    def has_credentials(self) -> bool:
        """Whether the command line says who we are."""
        request = self.request
        in_urls = any(url.raw_password is not None for url in self.urls)
        return request.auth is not None or "Authorization" in request.headers or in_urls


class ErrandFields(TypedDict):
    """The fields of an `Errand`."""

    request: Request
    verbose: bool
    max_time: float | None
    on_bad_certificate: OnBadCertificate
    user: str | None
    netrc: bool | Path
    keeping: Keeping
    network: Network


def add_header_option(group: argparse._ArgumentGroup) -> None:
    """Add ``-H`` to ``group``."""
    group.add_argument(
        "-H", "--header", metavar="'NAME: VALUE'", action="append", default=[], help="a header field; repeatable"
    )


def add_errand_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to ``parser``, in groups."""
    add_web_options(parser)
    add_tls_options(parser)
    add_network_options(parser)
    times = parser.add_argument_group("how long it may take")
    times.add_argument("--timeout", metavar="SECONDS", type=seconds, help="the longest time without progress")
    times.add_argument(
        "--connect-timeout", metavar="SECONDS", type=seconds, help="the longest time to connect; default 30"
    )
    times.add_argument("--max-time", metavar="SECONDS", type=seconds, help="the longest time for everything")


def make_request(options: argparse.Namespace, url: str, *, sent: Content, operation: Operation) -> Request:
    """What ``options`` want requested.

    Raises:
        ValueError, TypeError: it cannot be; the text starts with the option, or with the library's name for it.
    """
    fields = [_field(text) for text in options.header]
    own = {name.lower() for name, _ in fields}
    request = Request(
        url,
        operation=operation,
        headers=[*fields, *(field for field in sent.headers if field[0].lower() not in own)],
        body=sent.body,
        transfer_timeout=options.timeout,
        connect_timeout=options.connect_timeout,
        ssl=ssl_configuration(options),
        local_server_name=local_server_name(options),
    ).replace(**web_fields(options))
    if not request.url.scheme:
        raise ValueError(f"url: {url!r} has no scheme; begin it with http://")
    return request


def refuse_fields(request: Request, names: Iterable[str], *, advice: str) -> None:
    """Nothing, if ``request`` has none of the fields that the command sends itself.

    Raises:
        ValueError: it has one.
    """
    for name in names:
        if name in request.headers:
            raise ValueError(f"headers: {name} is what this command says itself; {advice}")


def errand_fields(options: argparse.Namespace, request: Request, urls: Sequence[URL]) -> ErrandFields:
    """What ``options`` say besides ``request``, for all ``urls`` that are asked for.

    Raises:
        ValueError, TypeError: as `make_request`.
    """
    return {
        "request": request,
        "verbose": options.verbose,
        "max_time": options.max_time,
        "on_bad_certificate": on_bad_certificate(options),
        "user": user_without_password(options),
        "netrc": netrc(options),
        "keeping": keeping(options, urls),
        "network": network(options),
    }


def _field(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"headers: {text!r} is no field; write 'Name: value'")
    return name, value
