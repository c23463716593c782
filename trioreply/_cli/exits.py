"""How the command ends: its exit codes, one for each group of errors, and the message that goes with a failure.

Scripts branch on these numbers, so they are part of the public interface: new ones may be added, none may change. Up
to 8 they are ours; from 128 on they are a signal's number plus 128, as shells report it.
"""

from __future__ import annotations

import enum

from .. import ContentError, NetworkError, ProtocolError, ProxyError, ReplyError, ServerError, TransportError


class Exit(enum.IntEnum):
    """The exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    TRANSPORT = 3
    PROXY = 4
    CONTENT = 5
    PROTOCOL = 6
    SERVER = 7
    OUTPUT = 8
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    TERMINATED = 143


MEANINGS = {
    Exit.OK: "success",
    Exit.FAILED: "the demo saw a promise broken",
    Exit.USAGE: "wrong usage of the command",
    Exit.TRANSPORT: "network: not found, refused, closed, timed out, ...",
    Exit.PROXY: "the proxy failed, or refused",
    Exit.CONTENT: "the server refused (statuses 4xx)",
    Exit.PROTOCOL: "unknown protocol, bad request (400), or a broken answer",
    Exit.SERVER: "the server failed (statuses 5xx)",
    Exit.OUTPUT: "a body, a file, the cookies or the hosts could not be written",
    Exit.INTERRUPTED: "interrupted (Ctrl-C)",
    Exit.BROKEN_PIPE: "nobody reads our output any more",
    Exit.TERMINATED: "terminated by a signal",
}
"""What ``--help`` says about each."""

_GROUPS: tuple[tuple[type[ReplyError], Exit], ...] = (
    (TransportError, Exit.TRANSPORT),
    (ProxyError, Exit.PROXY),
    (ContentError, Exit.CONTENT),
    (ProtocolError, Exit.PROTOCOL),
    (ServerError, Exit.SERVER),
)

_ADVICE = {
    NetworkError.TIMEOUT: "try again, or give it longer with --timeout or --connect-timeout",
    NetworkError.REMOTE_HOST_CLOSED: "try again",
    NetworkError.TEMPORARY_NETWORK_FAILURE: "check the network connection",
    NetworkError.PROTOCOL_UNKNOWN: "give a URL like http://example.org/",
    NetworkError.PROTOCOL_FAILURE: "the server does not speak HTTP well, and its answer cannot be trusted",
    NetworkError.AUTHENTICATION_REQUIRED: "log in with --user, or check what you gave",
    NetworkError.PROXY_AUTHENTICATION_REQUIRED: "log in with --proxy-user, or check what you gave",
    NetworkError.CONTENT_NOT_FOUND: "check the path of the URL",
    NetworkError.TOO_MANY_REDIRECTS: "look with -v whether they go round in circles",
    NetworkError.INSECURE_REDIRECT: "see with --no-location what is there, or decide with --redirect-policy",
}

_WORDS = {
    "max_redirects=": "--max-redirs ",
    "give it as bytes, or as a path": "give it as text, or as @FILE",
    "; give them with the Proxy, or answer the ProxyAuthenticationRequired event": "",
    "Proxy(tls=SslConfiguration(ca_certificates=...))": "--proxy-cacert",
    "correct it, or open the manager with trust_env=False": "correct it, or overrule it with --proxy or --noproxy",
}
"""From the library's advice to ours."""


class CommandError(Exception):
    """The command cannot do what it was asked to: its message is for the user, its code for the shell."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.code = code


def exit_for(error: NetworkError) -> Exit:
    """The exit code of a reply that ended with ``error``."""
    kind = error.exception
    if kind is None:
        return Exit.OK
    return next(code for group, code in _GROUPS if issubclass(kind, group))


def explain(error: NetworkError, message: str) -> str:
    """``message``, a reply's error string, with what can be done about it."""
    for ours, theirs in _WORDS.items():
        message = message.replace(ours, theirs)
    advice = _ADVICE.get(error)
    return message if advice is None else f"{message}; {advice}"
