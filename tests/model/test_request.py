"""Requests: frozen, legal once built, and silent about secrets."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from trioreply import (
    CacheLoad,
    Http2,
    LoadControl,
    Operation,
    Priority,
    RedirectPolicy,
    Request,
    RetryPolicy,
    SslConfiguration,
)
from trioreply._model.bodies import BytesBody
from trioreply._model.headers import make_headers
from trioreply._model.request import RequestChanges, RequestDefaults, RequestFields

NUMBERS = [
    "max_redirects",
    "transfer_timeout",
    "connect_timeout",
    "read_buffer_size",
    "progress_interval",
    "decompression_limit",
]
WHOLE = ["max_redirects", "read_buffer_size", "decompression_limit"]
REQUIRED = ["max_redirects", "progress_interval"]
CHOICES = [
    "operation",
    "redirect_policy",
    "cache_load",
    "cookie_load",
    "cookie_save",
    "authentication_reuse",
    "http2",
]


def make(**fields: object) -> Request:
    """A request with fields that need not be of the right type."""
    return Request("http://h/", **fields)  # type: ignore[arg-type]  # wrong types are the point


def test_defaults() -> None:
    """A request needs a URL only; everything else has Qt's default, or ours where the design says so."""
    request = Request("http://h/")
    assert attrs.asdict(request, recurse=False) == {
        "url": URL("http://h/"),
        "operation": Operation.GET,
        "verb": "GET",
        "headers": make_headers(None),
        "query": None,
        "body": None,
        "priority": Priority.NORMAL,
        "redirect_policy": RedirectPolicy.NO_LESS_SAFE,
        "max_redirects": 50,
        "transfer_timeout": None,
        "connect_timeout": None,
        "read_buffer_size": None,
        "progress_interval": 0.1,
        "cache_load": CacheLoad.PREFER_NETWORK,
        "cache_save": True,
        "cookie_load": LoadControl.AUTOMATIC,
        "cookie_save": LoadControl.AUTOMATIC,
        "authentication_reuse": LoadControl.AUTOMATIC,
        "decompress": True,
        "decompression_limit": 10 * 1024 * 1024,
        "http2": Http2.ALLOWED,
        "expect_continue": False,
        "json": None,
        "form": None,
        "files": None,
        "auth": None,
        "retry": None,
        "ssl": None,
        "peer_verify_name": None,
        "proxy": None,
        "local_server_name": None,
        "limits": None,
        "sensitive_headers": frozenset(),
        "user_data": None,
    }


def test_keywords_name_every_field() -> None:
    """What editors offer as keywords are exactly the fields, so a new one cannot be forgotten."""
    fields = {attribute.name for attribute in attrs.fields(Request)}
    assert set(RequestChanges.__annotations__) | set(RequestFields.__annotations__) == fields


def test_requests_are_frozen_and_slotted() -> None:
    """A request cannot be changed, nor given a field that does not exist: one that was checked stays legal."""
    request = Request("http://h/")
    for name in ("url", "verb", "headers", "nonsense"):
        with pytest.raises(AttributeError):
            setattr(request, name, "x")
    with pytest.raises(TypeError):
        make(nonsense=1)
    positional: list[object] = [Operation.GET]
    with pytest.raises(TypeError):
        Request("http://h/", *positional)


@pytest.mark.parametrize(
    ("operation", "verb"),
    [
        (Operation.HEAD, "HEAD"),
        (Operation.GET, "GET"),
        (Operation.PUT, "PUT"),
        (Operation.POST, "POST"),
        (Operation.DELETE, "DELETE"),
    ],
)
def test_operation_and_verb_are_one(operation: Operation, verb: str) -> None:
    """A well-known operation has its verb, and its verb, in any case, is that operation (``sendCustomRequest``)."""
    assert Request("http://h/", operation=operation).verb == verb
    for spelling in (verb, verb.lower(), verb.title()):
        request = Request("http://h/", operation=Operation.CUSTOM, verb=spelling)
        assert (request.operation, request.verb) == (operation, verb)


def test_any_other_verb_is_custom() -> None:
    """A verb that is no operation's makes the request a custom one, and is kept as it is written."""
    for operation in Operation:
        request = Request("http://h/", operation=operation, verb="Purge")
        assert (request.operation, request.verb) == (Operation.CUSTOM, "Purge")


@pytest.mark.parametrize("verb", ["", "A B", "A\r\nB", "\u00c4", b"GET", None])
def test_verb_must_be_a_token(verb: object) -> None:
    """A method goes into the request line, so it is a token or refused; a custom operation needs one."""
    with pytest.raises(ValueError, match=r"^verb: "):
        make(verb=verb)
    with pytest.raises(ValueError, match=r"^verb: "):
        Request("http://h/", operation=Operation.CUSTOM)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_from_zero_on(name: str) -> None:
    """Times, sizes and counts are not negative and not NaN; the error starts with the field's name."""
    assert getattr(make(**{name: 0}), name) == 0
    with pytest.raises(ValueError, match=rf"^{name}: -1 "):
        make(**{name: -1})
    if name not in WHOLE:
        assert getattr(make(**{name: math.inf}), name) == math.inf
        with pytest.raises(ValueError, match=rf"^{name}: nan "):
            make(**{name: math.nan})


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_of_the_wrong_kind(name: str) -> None:
    """Text, a truth value, half a byte, and None where a number is needed, are type errors with the field's name."""
    wrong: list[object] = ["5", True, [1]]
    wrong += [1.5] if name in WHOLE else []
    wrong += [None] if name in REQUIRED else []
    for value in wrong:
        with pytest.raises(TypeError, match=rf"^{name}: "):
            make(**{name: value})
    if name not in REQUIRED:
        assert getattr(make(**{name: None}), name) is None


@pytest.mark.parametrize("name", CHOICES)
def test_choices_are_members(name: str) -> None:
    """A choice is a member of its enumeration, and not its name or number."""
    for value in ("GET", 1, None, Priority.HIGH):
        with pytest.raises(TypeError, match=rf"^{name}: "):
            make(**{name: value})


def test_priority_may_be_its_number() -> None:
    """A priority is one of three, given by itself or by Qt's number."""
    assert make(priority=1).priority is Priority.HIGH
    for value in (2, "HIGH", None):
        with pytest.raises(ValueError, match=r"^priority: "):
            make(priority=value)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"headers": {"X": "a\r\nb"}}, "headers"),
        ({"headers": "abc"}, "headers"),
        ({"body": "text"}, "body"),
        ({"body": 5}, "body"),
        ({"sensitive_headers": "X-Key"}, "sensitive_headers"),
        ({"query": {"a": None}}, "query"),
        ({"query": {"a": math.nan}}, "query"),
        ({"query": [5]}, "query"),
    ],
)
def test_every_refusal_names_its_field(fields: dict[str, object], name: str) -> None:
    """Whatever is wrong with a field, the error starts with the field's name."""
    with pytest.raises((TypeError, ValueError), match=rf"^{name}: "):
        make(**fields)


def test_url_is_checked() -> None:
    """A request has a URL that is safe to use, however it was given."""
    assert Request(URL("http://h/")).url == Request("http://h/").url
    with pytest.raises(ValueError, match=r"^url: "):
        Request("http://0x7f.1/")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"a": "x y", "b": 1}, "a=x+y&b=1"),
        ([("a", 1), ("a", 2.5)], "a=1&a=2.5"),
        (iter([("a", "1")]), "a=1"),
        ("a=b&c", "a=b&c"),
        ({}, ""),
        ("", ""),
    ],
)
def test_query_replaces_that_of_the_url(query: object, text: str) -> None:
    """``query`` becomes the URL's query, whatever that had, and the request is as if the URL had been written so."""
    request = Request("http://h/p?old=1#f").replace(query=query)  # type: ignore[arg-type]  # of several types
    assert request.url.query_string.replace(" ", "+") == text
    assert request.query is None
    assert request.url.raw_fragment == "f"


def test_replace_checks_again() -> None:
    """``replace`` makes a new request, as carefully as the first; the old one stays."""
    request = Request("http://h/", headers={"X": "y"}, user_data="mine")
    other = request.replace(url="http://other/", max_redirects=3)
    assert (other.url, other.max_redirects, other.headers, other.user_data) == (
        URL("http://other/"),
        3,
        request.headers,
        "mine",
    )
    assert request.max_redirects == 50
    assert request.replace() == request
    with pytest.raises(ValueError, match=r"^max_redirects: "):
        request.replace(max_redirects=-1)
    with pytest.raises(ValueError, match=r"^headers: "):
        request.replace(headers={"X": "\n"})


def test_replace_keeps_verb_and_operation_together() -> None:
    """Changing the operation changes the verb with it, and the other way round."""
    request = Request("http://h/", verb="PATCH")
    posted = request.replace(operation=Operation.POST)
    assert (posted.operation, posted.verb) == (Operation.POST, "POST")
    purged = posted.replace(verb="PURGE")
    assert (purged.operation, purged.verb) == (Operation.CUSTOM, "PURGE")
    assert purged.replace(operation=Operation.CUSTOM).verb == "PURGE"
    assert posted.replace(query={"a": 1}).url == URL("http://h/?a=1")


def test_sensitive_names_ignore_case() -> None:
    """Names of sensitive fields are kept in lower case, so that they are found in any."""
    assert Request("http://h/", sensitive_headers=["X-Key", "x-KEY", "A"]).sensitive_headers == {"x-key", "a"}


def test_equality_ignores_user_data() -> None:
    """Requests that ask for the same are equal and hash alike, whatever the application hangs on them."""
    one = Request("http://h/", headers={"X": "y"}, body=b"data", user_data=[])
    two = Request("http://h/", headers={"x": "y"}, body=b"data", user_data={})
    assert one == two
    assert hash(one) == hash(two)
    assert one.body == BytesBody(b"data")
    assert one != two.replace(body=b"other")


def test_defaults_of_a_manager() -> None:
    """What a manager says stands in where a request says nothing, and only there."""
    headers = make_headers({"User-Agent": "x", "A": "1"})
    defaults = RequestDefaults(headers, headers, transfer_timeout=5)
    plain = defaults.complete(Request("http://h/"))
    assert (plain.headers, plain.transfer_timeout) == (defaults.headers, 5)
    own = defaults.complete(Request("http://h/", headers={"a": "2"}, transfer_timeout=math.inf))
    assert list(own.headers.items()) == [("a", "2"), ("User-Agent", "x")]
    assert own.transfer_timeout == math.inf
    assert RequestDefaults().complete(Request("http://h/")) == Request("http://h/")


def test_policies_of_a_manager() -> None:
    """A manager's policies stand in where a request says nothing; said for this very request, the default counts."""
    manual, thrice, tls = RedirectPolicy.MANUAL, RetryPolicy(3), SslConfiguration(use_system_ca=False)
    defaults = RequestDefaults(ssl=tls, retry=thrice, redirect_policy=manual)
    plain = defaults.complete(Request("http://h/"))
    assert (plain.ssl, plain.retry, plain.redirect_policy) == (tls, thrice, manual)
    own = Request("http://h/", ssl=SslConfiguration(), retry=RetryPolicy(1), redirect_policy=RedirectPolicy.SAME_ORIGIN)
    own = defaults.complete(own)
    assert (own.ssl, own.retry) == (SslConfiguration(), RetryPolicy(1))
    assert own.redirect_policy is RedirectPolicy.SAME_ORIGIN
    said = Request("http://h/", redirect_policy=RedirectPolicy.NO_LESS_SAFE)
    assert defaults.complete(said, {"redirect_policy"}).redirect_policy is RedirectPolicy.NO_LESS_SAFE


@pytest.mark.parametrize(
    ("url", "fields", "accepts"),
    [
        ("http://h/", RequestFields(), True),
        ("https://h/", RequestFields(), True),
        ("data:,x", RequestFields(), False),
        ("http://h/", RequestFields(decompress=False), False),
        ("http://h/", RequestFields(headers={"Range": "bytes=0-"}), False),
    ],
)
def test_codings_are_asked_for(url: str, fields: RequestFields, accepts: bool) -> None:
    """Content codings are asked for where a whole response over HTTP is to be decoded."""
    defaults = RequestDefaults(coded_headers=make_headers({"Accept-Encoding": "gzip"}))
    assert ("Accept-Encoding" in defaults.complete(Request(url, **fields)).headers) is accepts


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"retry": 3}, TypeError, "retry: give a RetryPolicy"),
        ({"ssl": "none"}, TypeError, "ssl: give a SslConfiguration"),
        ({"peer_verify_name": ""}, ValueError, "peer_verify_name"),
        ({"peer_verify_name": "a b"}, ValueError, "peer_verify_name"),
        ({"peer_verify_name": 1}, ValueError, "peer_verify_name"),
        ({"auth": "me"}, TypeError, "auth: "),
    ],
)
def test_what_is_of_the_wrong_kind(fields: dict[str, object], error: type[Exception], text: str) -> None:
    """A field that cannot be used is found where it is given, and named."""
    with pytest.raises(error, match=text):
        Request("http://h/", **fields)  # type: ignore[arg-type]  # the mistakes


@given(st.text("abcdefgh", min_size=12, max_size=20))
def test_repr_keeps_secrets(secret: str) -> None:
    """A request in a log shows no password, no header's value (it may be a key), no query and no body."""
    request = Request(
        f"http://user:{secret}@h/path",
        headers={"Authorization": f"Bearer {secret}", "X-Api-Key": secret},
        body=secret.encode(),
    )
    assert secret not in repr(request)
    assert "http://h/path" in repr(request)
    assert "<Authorization, X-Api-Key>" in repr(request)
