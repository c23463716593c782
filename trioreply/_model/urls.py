"""URLs, checked on the way in.

yarl parses and quotes well, and is lenient about hosts: it takes ``exa mple.com``, leaves ``ex%41mple.com`` undecoded
and calls ``0x7f.1`` a name although resolvers read it as 127.0.0.1. Two readers of one URL that see two hosts are how
request forgery works, so what is not clearly one host is refused here. So are spaces and control characters anywhere:
they would end up in the request line.

What is refused is shown in the error without user name and password: errors end up in logs.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from yarl import URL

# With half a character a text has no bytes; yarl would drop it silently.
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
# RFC 3986 section 3.4, and the square brackets that everybody writes in one.
_QUERY = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*", re.ASCII)
_CONTROL_OR_SPACE = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_AUTHORITY = re.compile("(?:[^:/?#]*:)?//([^/?#]*)")
# RFC 3986 section 3.2: yarl lets go of the brackets around what is no IPv6 address, and reads "+80" and "8_0" as 80.
_HOST_AND_PORT = re.compile(r"(\[[^\[\]]*:[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
_USER_INFO = re.compile("(?<=//)[^/?#]*@")
_HOST = re.compile(r"[a-z0-9_~!$&'()*+,;=-]+(\.[a-z0-9_~!$&'()*+,;=-]+)*\.?", re.ASCII | re.IGNORECASE)
_NOT_IN_HOSTS = re.compile(r"[\x00-\x20\x7f\ud800-\udfff/?#\\\[\]]")
_ZONE = re.compile(r"(?!25\Z)[a-z0-9._~-]+", re.ASCII | re.IGNORECASE)  # "%25" is the percent sign alone
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)
_MAX_HOST = 253  # RFC 1035 section 2.3.4, without the root's dot
_MAX_LABEL = 63


def make_url(value: str | URL, *, field: str = "url") -> URL:
    """``value`` as a URL that is safe to put into a request.

    Raises:
        TypeError: neither `str` nor `yarl.URL`.
        ValueError: it cannot be parsed, or its host or target is not acceptable; the text starts with ``field``.
    """
    if isinstance(value, str):
        return _parse(value, field)
    if not isinstance(value, URL):
        raise TypeError(f"{field}: give a str or a yarl.URL, not {type(value).__name__}")
    _refuse_control(str(value), field, data=value.scheme == "data")
    return _with_checked_host(value, field)


@functools.lru_cache(maxsize=256)
def _parse(text: str, field: str) -> URL:
    is_data = text[:5].lower() == "data:"
    _refuse_control(text, field, data=is_data)
    authority = _AUTHORITY.match(text)
    # A backslash ends the host for some, and is a part of the user name for others.
    if authority is not None and (
        "\\" in authority[1] or not _HOST_AND_PORT.fullmatch(authority[1].rpartition("@")[2])
    ):
        shown = _without_user(text)
        raise ValueError(
            f"{field}: {shown!r} is not a URL; look at its brackets, its backslashes, and at what follows a colon"
        )
    try:
        url = URL(text)
        url.port  # noqa: B018 - yarl parses the port when it is first asked for
    except (ValueError, IndexError):  # the latter for brackets before an @ with nothing behind it
        # From None, because yarl's text shows the URL as it is.
        shown = _without_user(text)
        raise ValueError(f"{field}: {shown!r} is not a URL; look at its host, and its port (0 to 65535)") from None
    url = _with_checked_host(url, field)
    return url if is_data else _with_query_as_written(url, text)


def _with_query_as_written(url: URL, text: str) -> URL:
    """``url`` with the very query of ``text``, if it is one already.

    yarl decodes what may be decoded (``%2F``), which changes URLs that are signed over their bytes, or that are read by
    somebody with rules of his own.
    """
    query = text.partition("#")[0].partition("?")[2]
    if query == url.raw_query_string or not _QUERY.fullmatch(query):
        return url
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=query,
        fragment=url.raw_fragment,
        encoded=True,
    )


def make_host(text: str, *, field: str) -> str:
    """A host that is given by itself, checked as that of a URL is: a name in ASCII, or an address without brackets.

    Raises:
        TypeError: it is no `str`.
        ValueError: it is no host; the text starts with ``field``.
    """
    if not isinstance(text, str):
        raise TypeError(f"{field}: give a str, not {type(text).__name__}")
    if "@" in text:
        # Not shown: what stands before it may be a password.
        raise ValueError(f"{field}: it holds an @; give the host alone")
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    if not bare or _NOT_IN_HOSTS.search(bare):
        raise ValueError(f"{field}: {text!r} is no host; give a name or an address, and nothing else")
    try:
        host = URL.build(scheme="http", host=bare).raw_host or ""
    except ValueError:
        # From None, because it would not start with the field.
        raise ValueError(f"{field}: {text!r} is no host; give a name or an address, and nothing else") from None
    _check_host(host, field)
    return host.replace("%25", "%", 1)


def _without_user(text: str) -> str:
    return _USER_INFO.sub("", text)


def _with_checked_host(url: URL, field: str) -> URL:
    host = url.raw_host
    _check_host(host, field)
    if host is not None and "%25" in host:
        # In a URL the percent sign before a zone is encoded (RFC 6874); everybody else writes the zone as it is.
        return url.with_host(host.replace("%25", "%", 1))
    return url


def _refuse_control(text: str, field: str, *, data: bool) -> None:
    # A data: URL is never sent anywhere, and people do write spaces in them.
    if (_CONTROL if data else _CONTROL_OR_SPACE).search(text):
        raise ValueError(f"{field}: {_without_user(text)!r} holds a space or a control character; percent-encode it")


@functools.lru_cache(maxsize=256)
def _check_host(host: str | None, field: str) -> None:
    if not host:
        return
    if ":" in host:
        address, percent, zone = host.partition("%")
        if not _is_address(address) or (percent and not _ZONE.fullmatch(zone)):
            raise ValueError(f"{field}: {host!r} is not an IPv6 address")
        return
    if not _HOST.fullmatch(host):
        raise ValueError(
            f"{field}: {host!r} is not a host name; spaces, percent signs and empty labels are not allowed"
        )
    labels = host.rstrip(".").split(".")
    if len(host.rstrip(".")) > _MAX_HOST or any(len(label) > _MAX_LABEL for label in labels):
        raise ValueError(f"{field}: the host name is too long (253 characters in all, 63 between two dots)")
    # The URL standard's rule: a name that ends in a number is an IPv4 address or nothing.
    if _NUMBER.fullmatch(labels[-1]) and not _is_address(host):
        raise ValueError(
            f"{field}: {host!r} is an unusual spelling of an IPv4 address; write it as four decimal numbers"
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def display(url: URL) -> str:
    """``url`` as text for people and logs: never with a user name or a password."""
    return str(url.with_user(None) if url.raw_user is not None or url.raw_password is not None else url)


def origin_form(url: URL) -> str:
    """The request target for an origin server: path and query, never empty (RFC 9112 section 3.2.1)."""
    return url.raw_path_qs or "/"


def absolute_form(url: URL) -> str:
    """The request target for a proxy that forwards the request (RFC 9112 section 3.2.2)."""
    return f"{url.scheme}://{host_header(url)}{origin_form(url)}"


def authority_form(url: URL) -> str:
    """The request target for a proxy that opens a tunnel: host and port, always both (RFC 9112 section 3.2.3)."""
    return f"{_bracketed(url.raw_host or '')}:{url.port}"


def host_header(url: URL) -> str:
    """The Host field: without a default port, without user information, brackets around IPv6 (RFC 9110 section 7.2)."""
    host = _bracketed(url.raw_host or "")
    return host if not host or url.port is None or url.is_default_port() else f"{host}:{url.port}"


def _bracketed(host: str) -> str:
    return f"[{host.partition('%')[0]}]" if ":" in host else host


HTTP_SCHEMES = frozenset({"http", "https", "unix+http", "local+http"})
"""The schemes that are HTTP underneath, whatever carries it."""


def local_socket(url: URL, name: str | None) -> str:
    """The Unix socket that serves ``url``: the path ``name``, or what a URL of a local scheme says by its host.

    As in Qt, a name that is no path lies in the directory for temporary files; one that begins with ``@`` is abstract,
    and given back with the NUL that the system wants there.
    """
    if name is None:
        name = url.raw_host or ""
    if name.startswith("@"):
        return f"\0{name[1:]}"
    if name.startswith("/"):
        return name
    import tempfile  # it brings half a dozen modules, for a rare case

    return f"{tempfile.gettempdir()}/{name}"
