"""Who demands credentials: an origin server, or a proxy. What differs between the two stands here, as one value.

RFC 9110 section 11 gives both the same protocol with other names: 401 or 407, WWW-Authenticate or Proxy-Authenticate,
and so on. What remains are a few questions to the request: what it brings, where it goes, how its target is written.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from .._model.auth import Auth, UserPassword, make_login
from .._model.credentials import Challenge
from .._model.messages import AuthenticationQuestion, Question
from .._model.request import Request
from .._model.urls import origin_form
from .credential_cache import Place


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
    )


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
    return Place((url.scheme, url.raw_host or "", url.port or 0), url.raw_path)
