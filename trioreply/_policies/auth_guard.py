"""Who demands credentials: an origin server, or a proxy. What differs between the two stands here, as one value.

RFC 9110 section 11 gives both the same protocol with other names: 401 or 407, WWW-Authenticate or Proxy-Authenticate,
and so on. What remains are a few questions to the request: what it brings, where it goes, how its target is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from .._model.auth import Auth, UserPassword, make_login
from .._model.credentials import Challenge
from .._model.messages import AuthenticationQuestion, ProxyChallenge, Question
from .._model.proxies import Proxy
from .._model.request import Request
from .._model.urls import absolute_form, authority_form, origin_form
from .._model.values import frozen
from .credential_cache import CredentialCache, Place


@frozen(kw_only=True)
class Guard:
    """Who demands credentials, in which fields, and what a request has to say to it."""

    status: int
    demand: str
    """The field of the challenges."""
    credentials: str
    """The field of the answer."""
    info: str
    """The field with which the guard proves itself."""
    auth_of: Callable[[Request], Auth | None]
    """What is sent without being asked for."""
    login_of: Callable[[Request], UserPassword | None]
    """What the request brings for the case that it is challenged."""
    place_of: Callable[[Request], Place]
    target_of: Callable[[Request], str]
    """The target as it stands in the request line; Digest protects it."""
    question: Callable[[Request, Challenge], Question[tuple[str, str]]]
    is_said: Callable[[Request], bool]
    """Whether a request goes out with the field as the user says it."""
    has_extent: bool = True
    """Whether credentials may be good for a part of it only; a proxy is one space (RFC 7616 section 3.3)."""


@frozen
class Setting:
    """What all conversations of a manager with one kind of guard have in common."""

    guard: Guard
    cache: CredentialCache
    make_cnonce: Callable[[], str]
    """Gives unpredictable text of token characters."""
    has_netrc: bool = False


def origin_guard(auth_of: Callable[[Request], Auth | None]) -> Guard:
    """The origin server; ``auth_of`` gives a request's own ``auth``."""
    return Guard(
        status=401,
        demand="WWW-Authenticate",
        credentials="Authorization",
        info="Authentication-Info",
        auth_of=auth_of,
        login_of=_login_in_url,
        place_of=_place,
        target_of=lambda request: origin_form(request.url),
        question=lambda request, challenge: AuthenticationQuestion(request.url, challenge),
        is_said=lambda request: "Authorization" in request.headers,
    )


def proxy_guard() -> Guard:
    """The proxy of a request that it forwards, or of a CONNECT request to it.

    What the proxy's own entry says is sent when the proxy asks for it (as Qt), and not before: it might want Digest.
    """
    return Guard(
        status=407,
        demand="Proxy-Authenticate",
        credentials="Proxy-Authorization",
        info="Proxy-Authentication-Info",
        auth_of=lambda _request: None,
        login_of=lambda request: proxy_login(_proxy_of(request)),
        place_of=lambda request: proxy_place(_proxy_of(request)),
        target_of=lambda request: (authority_form if request.verb == "CONNECT" else absolute_form)(request.url),
        question=lambda request, challenge: ProxyChallenge(_proxy_of(request), challenge),
        is_said=_says_itself,
        has_extent=False,
    )


def _says_itself(request: Request) -> bool:
    names = (name.lower() for name, _ in _proxy_of(request).headers)
    return "Proxy-Authorization" in request.headers or "proxy-authorization" in names


def proxy_login(proxy: Proxy) -> UserPassword | None:
    """What the proxy's own entry says; ``None`` if that is nothing."""
    return None if proxy.user is None else UserPassword(proxy.user, proxy.password or "")


def proxy_place(proxy: Proxy) -> Place:
    """Where a proxy is, as far as credentials are concerned: all of it is one place."""
    # The same address behind another proxy is another machine, and what was told over TLS is not told without it.
    kind = f"{proxy.type.value}{'' if proxy.tls is None else ' over TLS'}"
    return Place((kind if proxy.via is None else f"{kind} via {proxy.via}", proxy.host, proxy.port), "/")


def _proxy_of(request: Request) -> Proxy:
    return cast("Proxy", request.proxy)  # this guard is asked of requests that go to one


def _login_in_url(request: Request) -> UserPassword | None:
    url = request.url
    if url.raw_user is None and url.raw_password is None:
        return None
    try:
        return make_login(url.user or "", url.password or "", field="url")
    except ValueError:
        return None  # a percent-encoded colon or control character: there is no way to send it


def _place(request: Request) -> Place:
    url = request.url
    # A Unix socket is a place of its own, whatever the host is called that stands in the URL.
    scheme = url.scheme if request.local_server_name is None else f"{url.scheme} {request.local_server_name}"
    return Place((scheme, url.raw_host or "", url.port or 0), url.raw_path)
