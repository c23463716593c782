"""The error tree: Qt's codes, one class for each, and the names that Python and Trio have for the same things."""

from __future__ import annotations

import builtins
import copy
import errno
import pickle
from collections.abc import Callable

import pytest
import trio

import trioreply.errors
from trioreply import NetworkError
from trioreply._model.errors import error_for_status, status_error_string
from trioreply.errors import ContentError, ProtocolError, ProxyError, ReplyError, ServerError, TransportError

CODES = {
    "NO_ERROR": (0, None),
    "CONNECTION_REFUSED": (1, "ConnectionRefusedError"),
    "REMOTE_HOST_CLOSED": (2, "RemoteHostClosedError"),
    "HOST_NOT_FOUND": (3, "HostNotFoundError"),
    "TIMEOUT": (4, "TimeoutError"),
    "OPERATION_CANCELED": (5, "OperationCanceledError"),
    "SSL_HANDSHAKE_FAILED": (6, "SslHandshakeFailedError"),
    "TEMPORARY_NETWORK_FAILURE": (7, "TemporaryNetworkFailureError"),
    "NETWORK_SESSION_FAILED": (8, "NetworkSessionFailedError"),
    "BACKGROUND_REQUEST_NOT_ALLOWED": (9, "BackgroundRequestNotAllowedError"),
    "TOO_MANY_REDIRECTS": (10, "TooManyRedirectsError"),
    "INSECURE_REDIRECT": (11, "InsecureRedirectError"),
    "UNKNOWN_NETWORK": (99, "UnknownNetworkError"),
    "PROXY_CONNECTION_REFUSED": (101, "ProxyConnectionRefusedError"),
    "PROXY_CONNECTION_CLOSED": (102, "ProxyConnectionClosedError"),
    "PROXY_NOT_FOUND": (103, "ProxyNotFoundError"),
    "PROXY_TIMEOUT": (104, "ProxyTimeoutError"),
    "PROXY_AUTHENTICATION_REQUIRED": (105, "ProxyAuthenticationRequiredError"),
    "UNKNOWN_PROXY": (199, "UnknownProxyError"),
    "CONTENT_ACCESS_DENIED": (201, "ContentAccessDenied"),
    "CONTENT_OPERATION_NOT_PERMITTED": (202, "ContentOperationNotPermittedError"),
    "CONTENT_NOT_FOUND": (203, "ContentNotFoundError"),
    "AUTHENTICATION_REQUIRED": (204, "AuthenticationRequiredError"),
    "CONTENT_RE_SEND": (205, "ContentReSendError"),
    "CONTENT_CONFLICT": (206, "ContentConflictError"),
    "CONTENT_GONE": (207, "ContentGoneError"),
    "UNKNOWN_CONTENT": (299, "UnknownContentError"),
    "PROTOCOL_UNKNOWN": (301, "ProtocolUnknownError"),
    "PROTOCOL_INVALID_OPERATION": (302, "ProtocolInvalidOperationError"),
    "PROTOCOL_FAILURE": (399, "ProtocolFailure"),
    "INTERNAL_SERVER": (401, "InternalServerError"),
    "OPERATION_NOT_IMPLEMENTED": (402, "OperationNotImplementedError"),
    "SERVICE_UNAVAILABLE": (403, "ServiceUnavailableError"),
    "UNKNOWN_SERVER": (499, "UnknownServerError"),
}
"""Qt 6.12's numbers, and Qt's names for the classes."""

GROUPS = [TransportError, ProxyError, ContentError, ProtocolError, ServerError]
"""By the hundreds of their codes."""

ALSO: dict[str, type[Exception]] = {
    "ConnectionRefusedError": builtins.ConnectionRefusedError,
    "RemoteHostClosedError": trio.BrokenResourceError,
    "TimeoutError": builtins.TimeoutError,
    "OperationCanceledError": trio.ClosedResourceError,
}
"""What an error is besides."""

STATUSES = {
    **dict.fromkeys([-1, 0, 99, 100, 101, 200, 204, 206, 299, 300, 301, 302, 304, 308, 399], "NO_ERROR"),
    **dict.fromkeys([400, 418], "PROTOCOL_INVALID_OPERATION"),
    401: "AUTHENTICATION_REQUIRED",
    403: "CONTENT_ACCESS_DENIED",
    404: "CONTENT_NOT_FOUND",
    405: "CONTENT_OPERATION_NOT_PERMITTED",
    407: "PROXY_AUTHENTICATION_REQUIRED",
    409: "CONTENT_CONFLICT",
    410: "CONTENT_GONE",
    **dict.fromkeys([402, 406, 408, *range(411, 418), *range(419, 500)], "UNKNOWN_CONTENT"),
    500: "INTERNAL_SERVER",
    501: "OPERATION_NOT_IMPLEMENTED",
    503: "SERVICE_UNAVAILABLE",
    **dict.fromkeys([502, 504, 505, 511, 599, 600, 999, 2000], "UNKNOWN_SERVER"),
}


class FakeReply:
    """As much of a reply as an error knows of."""

    is_finished = True

    def __reduce__(self) -> str:
        raise TypeError("a reply stays in the run of Trio that it was made in")


CLASSES = [code.exception for code in NetworkError if code.exception is not None]
each_class = pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)


def test_codes_are_those_of_qt() -> None:
    """The codes have Qt's numbers, and there are no others: people compare and store them."""
    assert {code.name: code.value for code in NetworkError} == {name: number for name, (number, _) in CODES.items()}


@pytest.mark.parametrize(("name", "class_name"), [(name, class_name) for name, (_, class_name) in CODES.items()])
def test_each_code_has_its_own_exception(name: str, class_name: str | None) -> None:
    """A code and its exception class know each other; only NO_ERROR, which is no failure, has none."""
    code = NetworkError[name]
    if class_name is None:
        assert code.exception is None
        return
    kind = getattr(trioreply.errors, class_name)
    assert code.exception is kind
    assert getattr(kind, "code", None) is code


@each_class
def test_groups_follow_the_hundreds(kind: type[ReplyError]) -> None:
    """``except ProxyError`` means the codes 101 to 199, and so on: a class is in the group of its hundred alone."""
    assert [group for group in GROUPS if issubclass(kind, group)] == [GROUPS[kind.code // 100]]


@each_class
def test_foreign_names(kind: type[ReplyError]) -> None:
    """Where Python or Trio has a name for what happened the error is that too, and nowhere else is it an OSError."""
    also = ALSO.get(kind.__name__)
    assert also is None or issubclass(kind, also)
    assert issubclass(kind, OSError) == (also is not None and issubclass(also, OSError))
    for other in (trio.BrokenResourceError, trio.ClosedResourceError):
        assert issubclass(kind, other) == (also is other)


def test_operating_system_errors_have_their_number() -> None:
    """Code that looks at ``errno`` finds it in the two errors that are also operating system errors."""
    assert trioreply.errors.ConnectionRefusedError("no").errno == errno.ECONNREFUSED
    assert trioreply.errors.TimeoutError("late").errno == errno.ETIMEDOUT


@each_class
def test_error_prints_its_message_alone(kind: type[ReplyError]) -> None:
    """What an error prints is its message; the URL stays in a field of its own."""
    error = kind("it broke", url="http://h/", status_code=500)
    assert (str(error), error.message, error.url, error.status_code, error.reply) == (
        "it broke",
        "it broke",
        "http://h/",
        500,
        None,
    )
    assert (str(kind()), kind().url, kind().status_code) == ("", None, None)


@each_class
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_can_be_copied_and_pickled(
    kind: type[ReplyError], duplicate: Callable[[ReplyError], ReplyError]
) -> None:
    """A copy, and what another process unpickles, is the same error; the reply, which is of this run, is left out."""
    error = kind("it broke", url="http://h/", status_code=500, reply=FakeReply())
    error.resendable = True
    error.add_note("while testing")
    double = duplicate(error)
    assert type(double) is kind
    assert (str(double), double.args) == ("it broke", ("it broke",))
    assert (double.url, double.status_code, double.resendable) == ("http://h/", 500, True)
    assert double.__notes__ == ["while testing"]
    assert double.reply is None
    assert getattr(double, "errno", None) == getattr(error, "errno", None)


def test_only_sayings_about_sending_make_an_error_resendable() -> None:
    """No error says by its class that a request may be sent again: where it was raised decides."""
    assert not any(kind.resendable for kind in CLASSES)


def test_locate_fills_in_what_is_unknown() -> None:
    """Whoever ends with an error says where and for whom; what was known better deep down stays."""
    error = trioreply.errors.ProtocolFailure("nonsense")
    reply, other = FakeReply(), FakeReply()
    error.locate(url="http://h/", status_code=None, reply=None)
    assert (error.url, error.status_code, error.reply) == ("http://h/", None, None)
    error.locate(url="http://other/", status_code=404, reply=reply)
    error.locate(url=None, status_code=500, reply=other)
    assert (error.url, error.status_code, error.reply) == ("http://h/", 404, reply)


@pytest.mark.parametrize(("status", "name"), STATUSES.items())
def test_status_table(status: int, name: str) -> None:
    """A status amounts to the error that Qt was measured to give for it."""
    assert error_for_status(status) is NetworkError[name]


@pytest.mark.parametrize(
    ("status", "reason", "text"),
    [
        (401, "Unauthorized", "Host requires authentication"),
        (407, "", "Proxy requires authentication"),
        (404, "Not Found", "Error transferring http://h/x - server replied: Not Found"),
        (502, "", "Error transferring http://h/x - server replied with status code 502"),
    ],
)
def test_status_texts(status: int, reason: str, text: str) -> None:
    """The text of a status error is Qt's, and names the status when the server gave no reason."""
    assert status_error_string(status, reason, "http://h/x") == text
