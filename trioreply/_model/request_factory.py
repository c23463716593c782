"""Requests that have much in common: `RequestFactory`, which is ``QNetworkRequestFactory``.

A value like the requests that it makes: frozen, legal once built, and changed by making another.

Paths are appended as text, and nothing is resolved: the base's path, exactly one slash, the path that was given. So
``..`` goes to the server as it is, and no path can leave the base's origin. That matters, since with the factory go
credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict, Unpack

import attrs
from attrs import field
from yarl import URL

from .._facade import public
from .auth import Auth, Bearer, make_login
from .headers import Headers, HeaderSource, make_headers
from .options import Priority
from .request import QuerySource, Request
from .ssl_configuration import SslConfiguration
from .urls import display, make_url
from .values import frozen

if TYPE_CHECKING:
    from ssl import SSLContext


class FactoryChanges(TypedDict, total=False):
    """What `RequestFactory.replace` can change: every field."""

    base_url: str | URL
    headers: HeaderSource | None
    bearer_token: str | None
    user: str | None
    password: str | None
    query: QuerySource | None
    priority: Priority
    transfer_timeout: float | None
    ssl: SslConfiguration | SSLContext | None
    user_data: object


def _base_url(value: str | URL) -> URL:
    url = make_url(value, field="base_url")
    if not url.raw_host:
        raise ValueError("base_url: it must be absolute, with a scheme and a host")
    return url


def _kept(query: QuerySource | None) -> str | tuple[tuple[str, str | int | float], ...] | None:
    """``query`` as something that can be used many times, and that nobody changes."""
    if query is None or isinstance(query, str):
        return query
    return tuple(query.items() if isinstance(query, Mapping) else query)


@public
@frozen
class RequestFactory:
    """Makes requests below one URL, with the same headers, credentials and settings (``QNetworkRequestFactory``).

    Raises:
        ValueError: a field's value is impossible, or both kinds of credentials are given; the text starts with the
            field's name.
        TypeError: a field has the wrong type.
    """

    base_url: URL = field(converter=_base_url, repr=display)
    """Absolute; its own query is not used."""
    headers: Headers = field(default=None, converter=make_headers, hash=False, repr=False, kw_only=True)
    bearer_token: str | None = field(default=None, repr=False, kw_only=True)
    user: str | None = field(default=None, kw_only=True)
    password: str | None = field(default=None, repr=False, kw_only=True)
    query: QuerySource | None = field(default=None, converter=_kept, repr=False, kw_only=True)
    """For requests that are made without a query of their own."""
    priority: Priority = field(default=Priority.NORMAL, kw_only=True)
    transfer_timeout: float | None = field(default=None, kw_only=True)
    """Seconds, as of `Request`."""
    ssl: SslConfiguration | SSLContext | None = field(default=None, repr=False, kw_only=True)
    user_data: object = field(default=None, eq=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if self.bearer_token is not None and self.user is not None:
            raise ValueError("bearer_token: there is a user, too; a request has one kind of credentials")
        if self.password is not None and self.user is None:
            raise ValueError("password: it needs a user")
        self.create()  # everything else is a request's, and checked there

    def create(self, path: str | URL = "", query: QuerySource | None = None) -> Request:
        """A request for ``path`` below the base.

        Args:
            path: appended to the base's path with exactly one slash between; may bring a query and a fragment.
            query: instead of the factory's, and of the one in ``path``.

        Raises:
            ValueError: ``path`` is no path, but leads to another origin; or the query is impossible.
            TypeError: one has the wrong type.
        """
        below = make_url(path, field="path")
        if below.raw_host is not None or below.scheme:
            raise ValueError(
                f"path: {display(below)} is a whole URL; give what follows base_url, a slash first if it has a colon"
            )
        url = append_path(self.base_url, below)
        if query is None and not below.raw_query_string:
            query = self.query
        return Request(
            url,
            headers=self.headers,
            auth=self._auth(),
            query=query,
            priority=self.priority,
            transfer_timeout=self.transfer_timeout,
            ssl=self.ssl,
            user_data=self.user_data,
        )

    def replace(self, **changes: Unpack[FactoryChanges]) -> RequestFactory:
        """A copy with ``changes``, checked as a new factory is.

        Raises:
            ValueError, TypeError: as for the class.
        """
        return attrs.evolve(self, **changes)

    def _auth(self) -> Auth | None:
        if self.bearer_token is None:
            return None if self.user is None else make_login(self.user, self.password or "", field="user")
        try:
            return Bearer(self.bearer_token)
        except (TypeError, ValueError) as error:
            raise type(error)(f"bearer_{error}") from None


def append_path(base: URL, below: URL) -> URL:
    """``base`` with the path of ``below`` behind its own, exactly one slash between, and the query of ``below``."""
    path = base.raw_path
    if below.raw_path:
        path = f"{path.rstrip('/')}/{below.raw_path.lstrip('/')}"
    return URL.build(
        scheme=base.scheme,
        authority=base.raw_authority,
        path=path,
        query_string=below.raw_query_string,
        fragment=below.raw_fragment,
        encoded=True,
    )
