"""What becomes of a redirect: pure decisions.

A redirect is a 301, 302, 303, 307 or 308. What it leads to is made of its Location and of the URL that was asked for
(RFC 3986 section 5.2); who may go there is up to the request's policy; and what goes there is the request, less what
was meant for somebody else:

* After a 301, 302 or 303 the method is GET (HEAD stays), and the body goes with the fields that describe it. A 307 or
  308 keeps both, so the body must be one that can be sent again.
* Another origin (scheme, host or port) gets no credentials: neither the fields that carry them nor ``auth``, nor the
  user in the URL, nor what the application calls sensitive. What was taken off stays off, also if a later redirect
  leads back. ``peer_verify_name`` goes, too: it names the first host, and whoever holds that host's certificate could
  otherwise pass for the second. The TLS configuration stays: it says whom we trust, wherever we go, and a certificate
  of ours proves who we are without giving anything away.
* A user name and password in a Location are not used (RFC 9110 section 4.2.4): a server has no business to log us in
  as somebody. Within one origin those of the request's own URL remain.
* A redirect leads to ``http:`` and ``https:`` only, under every policy; but for a local server's to itself. The socket
  that a request names (``local_server_name``) is one origin's, too.

What was hard: Location is the peer's text, and two readers of one text who see two hosts are how requests are forged.
So it is taken apart by the RFC's grammar alone, put together with an authority always, and then has to pass as a URL
like any other. What real servers write all the same, spaces and bytes beyond ASCII, is percent-encoded first.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from yarl import URL

from .._model.bodies import is_rewindable
from .._model.errors import (
    ContentReSendError,
    InsecureRedirectError,
    ProtocolUnknownError,
    ReplyError,
    TooManyRedirectsError,
)
from .._model.events import Redirected
from .._model.headers import Headers
from .._model.messages import RedirectQuestion, ResponseHead
from .._model.options import Operation, RedirectPolicy
from .._model.request import Request, RequestChanges
from .._model.urls import HTTP_SCHEMES, display, make_url
from .._model.values import frozen

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses that lead elsewhere. 300 offers a choice, 304 is about a cache, and 305 is not followed by anybody."""
SCHEMES = HTTP_SCHEMES
"""Where redirects come from."""
TARGETS = frozenset({"http", "https"})
"""Where they lead."""
MAX_LOCATION = 16 * 1024
"""Characters of a Location; common servers take no longer request line."""

_KEEPING = frozenset({307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "cookie2", "proxy-authorization", "host"})
_ABOUT_THE_BODY = frozenset({"transfer-encoding", "trailer", "expect", "digest", "repr-digest", "last-modified"})
# RFC 3986 appendix B.
_REFERENCE = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
# What is in no URL and means only one thing: spaces, and bytes that are not UTF-8.
_TO_QUOTE = re.compile("[ \udc80-\udcff]")


@frozen
class Follow:
    """Send ``request`` next; ``redirected`` tells the reply."""

    request: Request
    redirected: Redirected


@frozen
class Refuse:
    """The reply ends with ``error``."""

    error: ReplyError


@frozen
class Verify:
    """Ask the application; if it agrees, do what is ``allowed``."""

    question: RedirectQuestion
    allowed: Follow | Refuse


Step = Follow | Refuse | Verify


def decide(request: Request, head: ResponseHead, *, followed: int, upgrade: Callable[[URL], URL]) -> Step:
    """What to do about ``head``, which answers ``request`` with one of `REDIRECTS`.

    Args:
        request: what was sent, with a URL of `SCHEMES` and another policy than MANUAL.
        head: the redirect.
        followed: how many redirects were followed until now.
        upgrade: gives a URL as it will really be used; judged is that one.
    """
    try:
        target = upgrade(resolve(request.url, _location(head)))
    except ProtocolUnknownError as error:
        return Refuse(error)
    if origin(target) == origin(request.url):
        target = _with_user_of(request.url, target)
    refusal = _refusal(request, target, followed=followed)
    if refusal is not None:
        return Refuse(refusal)
    status = head.status_code or 0  # it is one of REDIRECTS
    step = _following(request, status, target)
    if request.redirect_policy is RedirectPolicy.USER_VERIFIED:
        return Verify(RedirectQuestion(status, target), step)
    return step


def resolve(base: URL, location: str) -> URL:
    """What ``location`` means in a response to ``base``, without any user name or password.

    A fragment that it does not have is inherited (RFC 9110 section 10.2.2).

    Raises:
        ProtocolUnknownError: it is no URL, or none of a scheme that redirects may lead to.
    """
    try:
        url = make_url(_absolute(base, _TO_QUOTE.sub(_quoted, location)), field="Location")
    except ValueError as error:
        raise _unknown("the redirect's Location is no URL that could be requested") from error
    if url.scheme not in TARGETS and origin(url) != origin(base):
        raise _unknown("the redirect leads from one local server to another; that is not followed")
    # Only now: what stands before the host is a part of what has to be readable in one way only.
    return url if url.raw_user is None and url.raw_password is None else url.with_user(None)


def _absolute(base: URL, reference: str) -> str:
    """``reference`` with all that it takes from ``base``; what it means is not looked at yet."""
    scheme, authority, path, query, fragment = next(_REFERENCE.finditer(reference)).groups()  # it fits any text
    if scheme is None:
        scheme = base.scheme
        if authority is None:
            authority = base.raw_authority
            path, query = _merged(base, path, query)
    elif scheme.lower() not in TARGETS and scheme.lower() != base.scheme:
        raise _unknown(f"the redirect leads to the scheme {scheme[:40]!r}; only http and https are followed")
    if not authority or "\\" in authority:  # a backslash ends a host for some, and is a part of the user for others
        raise _unknown("the redirect's Location names no host")
    if fragment is None:
        fragment = base.raw_fragment
    text = f"{scheme}://{authority}{path}"
    text += "" if query is None else f"?{query}"
    return text + (f"#{fragment}" if fragment else "")


def _merged(base: URL, path: str, query: str | None) -> tuple[str, str | None]:
    """Path and query of a reference without a host (RFC 3986 section 5.2.2); `make_url` takes the dots out."""
    if not path:
        return base.raw_path, base.raw_query_string or None if query is None else query
    if path[0] == "/":
        return path, query
    return f"{base.raw_path.rpartition('/')[0]}/{path}", query


def origin(url: URL) -> tuple[str, str | None, int | None]:
    """What must be equal for two URLs to belong to one party (RFC 9110 section 4.3.1)."""
    return url.scheme, url.raw_host, url.port


def next_request(request: Request, status: int, target: URL) -> Request:
    """``request`` as it goes on to ``target`` after a redirect with ``status``."""
    changes: RequestChanges = {"url": target}
    headers = request.headers
    if status not in _KEEPING and (request.body is not None or request.verb not in ("GET", "HEAD")):
        changes["body"] = None
        if request.verb != "HEAD":
            changes["operation"] = Operation.GET
        headers = _without(headers, _is_about_the_body)
    if origin(request.url) != origin(target):
        changes["auth"] = None
        changes["peer_verify_name"] = None
        changes["local_server_name"] = None
        secret = _CREDENTIALS | request.sensitive_headers
        headers = _without(headers, secret.__contains__)
    changes["headers"] = headers
    return request.replace(**changes)


def _location(head: ResponseHead) -> str:
    """The Location of ``head``.

    Raises:
        ProtocolUnknownError: there is none, or it cannot be meant.
    """
    values = set(head.headers.getall("Location", ()))
    if len(values) > 1:
        raise _unknown("the redirect has several Locations, which contradict each other")
    location = values.pop() if values else ""
    if not location:
        raise _unknown("the redirect has no Location")
    if len(location) > MAX_LOCATION:
        raise _unknown(f"the redirect's Location is longer than {MAX_LOCATION} characters")
    return location


def _refusal(request: Request, target: URL, *, followed: int) -> ReplyError | None:
    """Why ``request`` must not go on to ``target``; ``None`` if it may."""
    if followed >= request.max_redirects:
        return TooManyRedirectsError(f"Too many redirects: more than max_redirects={request.max_redirects}")
    policy = request.redirect_policy
    if policy is RedirectPolicy.NO_LESS_SAFE and request.url.scheme == "https" and target.scheme != "https":
        return InsecureRedirectError(f"Insecure redirect: {display(target)} is not secure, and what leads there is")
    if policy is RedirectPolicy.SAME_ORIGIN and origin(target) != origin(request.url):
        return InsecureRedirectError(f"Insecure redirect: {display(target)} is another origin")
    return None


def _following(request: Request, status: int, target: URL) -> Follow | Refuse:
    if status in _KEEPING and not is_rewindable(request.body):
        return Refuse(
            ContentReSendError(
                f"the redirect {status} wants the body sent to {display(target)}, and it cannot be sent a second time; "
                "give it as bytes, or as a path"
            )
        )
    return Follow(next_request(request, status, target), Redirected(status, target))


def _with_user_of(url: URL, target: URL) -> URL:
    if url.raw_user is None and url.raw_password is None:
        return target
    return target.with_user(url.user).with_password(url.password)


def _without(headers: Headers, is_dropped: Callable[[str], bool]) -> Headers:
    if not any(is_dropped(name.lower()) for name in headers):
        return headers
    fields = headers.copy()
    for name in {name for name in headers if is_dropped(name.lower())}:
        fields.popall(name, None)
    return type(headers)(fields)


def _is_about_the_body(name: str) -> bool:
    # RFC 9110 section 15.4: "content-specific header fields"; and those that say how it is sent.
    return name.startswith("content-") or name in _ABOUT_THE_BODY


def _quoted(match: re.Match[str]) -> str:
    return f"%{ord(match[0]) & 0xFF:02X}"


def _unknown(why: str) -> ProtocolUnknownError:
    return ProtocolUnknownError(f"Unknown protocol specified: {why}")
