"""SOCKS: what is sent, byte by byte; what each answer means; and that neither cuts nor a hostile proxy change that."""

from __future__ import annotations

import io
import ipaddress
import unicodedata

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from trioreply._model.auth import UserPassword
from trioreply._model.errors import (
    ConnectionRefusedError,
    HostNotFoundError,
    ProxyConnectionClosedError,
    ProxyConnectionRefusedError,
    ReplyError,
    TemporaryNetworkFailureError,
    TimeoutError,
    UnknownProxyError,
)
from trioreply._model.proxies import Proxy, ProxyType
from trioreply._wire.socks import LoginWanted, Negotiation, negotiate

SOCKS5 = Proxy(ProxyType.SOCKS5H, "proxy.test", user="alice", password="s3cret")
SOCKS4 = Proxy(ProxyType.SOCKS4, "proxy.test")
SOCKS4A = Proxy(ProxyType.SOCKS4A, "proxy.test")
ALICE = UserPassword("alice", "s3cret")

GREETING = b"\x05\x02\x00\x02"
LOGIN = b"\x01\x05alice\x06s3cret"
CONNECT = b"\x05\x01\x00\x03\x0cexample.test\x01\xbb"
CONSENT = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
CONNECT_4 = b"\x04\x01\x01\xbb\xc0\x00\x02\x07\x00"
CONSENT_4 = b"\x00\x5a\x00\x00\x00\x00\x00\x00"


def begin(proxy: Proxy = SOCKS5, host: str = "example.test", login: UserPassword | None = None) -> Negotiation:
    """A negotiation for port 443."""
    return negotiate(proxy, host, 443, login=login)


def begin_4(login: UserPassword | None = None) -> Negotiation:
    """A negotiation with a SOCKS4 proxy."""
    return begin(SOCKS4, "192.0.2.7", login)


def after_greeting(said: bytes, login: UserPassword | None = None) -> bytes:
    """What is sent after the proxy ``said`` something in one piece, up to its consent."""
    negotiation = begin(login=login)
    assert negotiation.start() == GREETING
    sent = negotiation.receive(said)
    assert negotiation.is_done
    return sent


def test_name_goes_to_the_proxy_as_it_is() -> None:
    """A SOCKS5 proxy that asks for no login is sent the greeting and then the name, and its consent ends it."""
    negotiation = begin()
    assert negotiation.start() == GREETING
    assert negotiation.receive(b"\x05\x00") == CONNECT
    assert not negotiation.is_done
    assert negotiation.receive(CONSENT) == b""
    assert negotiation.is_done


def test_login_is_sent_when_the_proxy_asks() -> None:
    """User and password go out if the proxy chooses them, and the request only after they were accepted."""
    negotiation = begin(login=ALICE)
    assert negotiation.start() == GREETING
    assert negotiation.receive(b"\x05\x02") == LOGIN
    assert negotiation.receive(b"\x01\x00") == CONNECT
    assert negotiation.receive(CONSENT) == b""
    assert negotiation.is_done


def test_login_is_not_sent_unasked() -> None:
    """A proxy that wants no authentication does not get to see the credentials."""
    assert after_greeting(b"\x05\x00" + CONSENT, ALICE) == CONNECT


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", b"\x01\xc0\x00\x02\x07"),
        ("2001:db8::1", b"\x04\x20\x01\x0d\xb8" + bytes(11) + b"\x01"),
        ("fe80::1%eth0", b"\x04\xfe\x80" + bytes(13) + b"\x01"),
        ("xn--bcher-kva.test", b"\x03\x12xn--bcher-kva.test"),
        ("h" * 255, b"\x03\xff" + b"h" * 255),
    ],
)
def test_targets_of_socks5(host: str, address: bytes) -> None:
    """Addresses go out in their binary form, without a zone, and names with their length."""
    negotiation = begin(host=host)
    assert negotiation.receive(b"\x05\x00") == b"\x05\x01\x00" + address + b"\x01\xbb"


@pytest.mark.parametrize("proxy", [SOCKS4, SOCKS4A])
def test_address_with_socks4(proxy: Proxy) -> None:
    """An IPv4 address is sent in the same way to every SOCKS4 proxy, which is given no user if there is none."""
    assert begin(proxy, "192.0.2.7").start() == CONNECT_4


def test_name_with_socks4a() -> None:
    """SOCKS4A sends an impossible address, and the name behind the user."""
    assert begin(SOCKS4A, login=ALICE).start() == b"\x04\x01\x01\xbb\x00\x00\x00\x01alice\x00example.test\x00"


@pytest.mark.parametrize("host", ["", "h" * 256, "bücher.test", "a b.test", "a\x00b.test", "a\nb.test"])
@pytest.mark.parametrize("proxy", [SOCKS5, SOCKS4A])
def test_impossible_names_are_refused(proxy: Proxy, host: str) -> None:
    """A name that does not fit the protocol's field, or would end it early, is an error before anything is sent."""
    with pytest.raises(HostNotFoundError, match="1 to 255, all of visible ASCII; check the URL"):
        begin(proxy, host)


@pytest.mark.parametrize("proxy", [SOCKS4, SOCKS4A])
def test_address_that_means_a_name_is_refused(proxy: Proxy) -> None:
    """SOCKS4 is not sent an address 0.0.0.x, after which the proxy would wait for a name; 0.0.0.0 is none of them."""
    with pytest.raises(HostNotFoundError, match=r"0\.0\.0\.9 is no address of a host"):
        begin(proxy, "0.0.0.9")
    assert begin(proxy, "0.0.0.0").start() == b"\x04\x01\x01\xbb\x00\x00\x00\x00\x00"
    assert begin(proxy, "1.0.0.9").start() == b"\x04\x01\x01\xbb\x01\x00\x00\x09\x00"


@pytest.mark.parametrize(
    ("proxy", "host", "remedy"),
    [
        (SOCKS4, "example.test", "SOCKS4A or SOCKS5H"),
        (SOCKS4, "2001:db8::1", "SOCKS5"),
        (SOCKS4A, "2001:db8::1", "SOCKS5"),
    ],
)
def test_what_socks4_cannot_say(proxy: Proxy, host: str, remedy: str) -> None:
    """A target that the version cannot express is an error that names a version that can."""
    with pytest.raises(UnknownProxyError, match=f"use a proxy of type {remedy}$"):
        begin(proxy, host)


@pytest.mark.parametrize("length", [0, 1, 255])
def test_longest_and_shortest_logins(length: int) -> None:
    """User and password may have up to 255 bytes each; a token for a user goes without a password."""
    text = "x" * length
    part = bytes([length]) + text.encode()
    assert begin(login=UserPassword(text, text)).receive(b"\x05\x02") == b"\x01" + part + part


@pytest.mark.parametrize("text", ["x" * 256, "ü" * 128])
def test_impossible_logins_are_refused(text: str) -> None:
    """User and password of more than 255 bytes in UTF-8 are an error which does not repeat them."""
    size = len(text.encode())
    with pytest.raises(UnknownProxyError, match=f"the user name for .* has {size} bytes") as user:
        begin(login=UserPassword(text, "s3cret"))
    with pytest.raises(UnknownProxyError, match=f"the password for .* has {size} bytes") as password:
        begin(login=UserPassword("alice", text))
    for said in (str(user.value), str(password.value)):
        assert text not in said
        assert "s3cret" not in said


def test_logins_are_in_normal_form() -> None:
    """A letter that was typed as two characters is the same user, and the same password, as if it had been one."""
    negotiation = begin(login=UserPassword("ze\u0301", "o\u0308"))
    assert negotiation.receive(b"\x05\x02") == b"\x01\x03z\xc3\xa9\x02\xc3\xb6"
    assert begin_4(UserPassword("ze\u0301", "")).start() == CONNECT_4[:-1] + b"z\xc3\xa9\x00"


def test_user_with_nul_is_refused() -> None:
    """A user name that would end SOCKS4's field early, and go on in the next, is an error."""
    with pytest.raises(UnknownProxyError, match=r"the user name for .* holds a NUL"):
        begin_4(UserPassword("alice\x00evil.test", ""))


def test_login_is_demanded() -> None:
    """A proxy that wants a login which nobody gave is no failure, but a decision that is due."""
    with pytest.raises(LoginWanted) as caught:
        begin().receive(b"\x05\x02")
    assert not caught.value.was_refused


def test_login_is_not_even_looked_at() -> None:
    """A proxy that takes neither passwords nor anybody without one has refused us, and no password would help."""
    for login in (None, ALICE):
        with pytest.raises(ProxyConnectionRefusedError, match="takes neither passwords nor anybody without one"):
            begin(login=login).receive(b"\x05\xff")


@pytest.mark.parametrize("status", [1, 2, 5, 255])
def test_login_is_refused(status: int) -> None:
    """Every status but 0 means that user and password are wrong."""
    negotiation = begin(login=ALICE)
    negotiation.receive(b"\x05\x02")
    with pytest.raises(LoginWanted) as caught:
        negotiation.receive(bytes([1, status]))
    assert caught.value.was_refused


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (1, HostNotFoundError, "general failure"),
        (2, HostNotFoundError, "not allowed by its rules"),
        (3, TemporaryNetworkFailureError, "network unreachable"),
        (4, HostNotFoundError, "host unreachable"),
        (5, ConnectionRefusedError, "connection refused"),
        (6, TimeoutError, "time to live expired"),
        (7, UnknownProxyError, "command not supported"),
        (8, UnknownProxyError, "address type not supported"),
    ],
)
def test_refusals_of_socks5(code: int, error: type[ReplyError], words: str) -> None:
    """Each code becomes the error of its meaning, even if the proxy does not send the rest of its answer."""
    negotiation = begin()
    negotiation.receive(b"\x05\x00")
    with pytest.raises(
        ReplyError, match=f"No connection to example.test:443: the proxy socks5h://.* {words};"
    ) as caught:
        negotiation.receive(bytes([5, code]))
    assert type(caught.value) is error
    assert not negotiation.is_done


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (0x5B, UnknownProxyError, "rejected or failed"),
        (0x5C, ProxyConnectionRefusedError, "it cannot ask this machine's identd who we are"),
        (0x5D, ProxyConnectionRefusedError, "this machine's identd names another user"),
    ],
)
def test_refusals_of_socks4(code: int, error: type[ReplyError], words: str) -> None:
    """Each code becomes the error of its meaning, even if the proxy does not send the rest of its answer."""
    negotiation = begin_4()
    with pytest.raises(ReplyError, match=f"No connection to 192.0.2.7:443: the proxy socks4://.* {words};") as caught:
        negotiation.receive(bytes([0, code]))
    assert type(caught.value) is error
    assert not negotiation.is_done


def test_unknown_refusals() -> None:
    """A code without a meaning is told as it is, and is never taken for consent."""
    answers = [(begin(), b"\x05\x00\x05", code) for code in range(9, 256)]
    answers += [(begin_4(), b"\x00", code) for code in {*range(256)} - {0x5A, 0x5B, 0x5C, 0x5D}]
    for negotiation, opening, code in answers:
        with pytest.raises(UnknownProxyError, match=f"an unknown refusal, code {code}; ask who runs it"):
            negotiation.receive(opening + bytes([code]))


def test_target_in_texts() -> None:
    """An IPv6 target stands in brackets where its port follows."""
    with pytest.raises(ConnectionRefusedError, match=r"to \[2001:db8::1\]:443"):
        begin(host="2001:db8::1").receive(b"\x05\x00\x05\x05")


@pytest.mark.parametrize(
    ("said", "login"),
    [
        (b"H", None),
        (b"\x00", None),
        (b"\x04\x5a", None),
        (b"\x05\x01", None),  # GSS-API, which was not offered
        (b"\x05\x80", ALICE),
        (b"\x05\x02\x05", ALICE),
        (b"\x05\x00\x04", None),
        (b"\x05\x00\x05\x00\x00\x00", None),
        (b"\x05\x00\x05\x00\x00\x02", None),
    ],
)
def test_not_socks5(said: bytes, login: UserPassword | None) -> None:
    """A wrong version, a method that was not offered and an unknown type of address are recognised at once."""
    negotiation = begin(login=login)
    with pytest.raises(UnknownProxyError, match="did not answer as a SOCKS5 server; check the proxy's type and port"):
        negotiation.receive(said)
    assert not negotiation.is_done


@pytest.mark.parametrize("said", [b"H", b"\x04", b"\x05"])
def test_not_socks4(said: bytes) -> None:
    """A wrong version is recognised at once."""
    with pytest.raises(UnknownProxyError, match="did not answer as a SOCKS4 server; check the proxy's type and port"):
        begin_4().receive(said)


@pytest.mark.parametrize("reserved", [0, 1, 255])
@pytest.mark.parametrize(
    "bound",
    [
        b"\x01\xc6\x33\x64\x01",
        b"\x04" + bytes(range(16)),
        b"\x03\x00",
        b"\x03\x05proxy",
        b"\x03\x02\xff\xfe",
        b"\x03\xff" + b"n" * 255,
    ],
)
def test_bound_addresses(reserved: int, bound: bytes) -> None:
    """The address in the consent may be of every type and length, even senseless; a reserved field means nothing."""
    assert after_greeting(b"\x05\x00" + b"\x05\x00" + bytes([reserved]) + bound + b"\x04\x38") == CONNECT


def test_end_of_the_stream() -> None:
    """A stream that ends before the consent is complete is an error, wherever that is."""
    said = b"\x05\x02\x01\x00" + CONSENT
    for end in range(len(said)):
        negotiation = begin(login=ALICE)
        if end:
            negotiation.receive(said[:end])
        assert not negotiation.is_done
        with pytest.raises(ProxyConnectionClosedError, match="ended the SOCKS5 handshake; check the proxy's type"):
            negotiation.receive(b"")
    with pytest.raises(ProxyConnectionClosedError, match="ended the SOCKS4 handshake"):
        begin_4().receive(b"")


def test_bytes_behind_the_consent() -> None:
    """A proxy that goes on speaking after its consent is not believed, whether or not it takes a breath."""
    for negotiation, consent in [(begin(), b"\x05\x00" + CONSENT), (begin_4(), CONSENT_4)]:
        negotiation.receive(consent)
        assert negotiation.is_done
        with pytest.raises(UnknownProxyError, match="put bytes of its own into the tunnel"):
            negotiation.receive(b"H")
    with pytest.raises(UnknownProxyError, match="put bytes of its own into the tunnel"):
        begin().receive(b"\x05\x00" + CONSENT + b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(UnknownProxyError, match="put bytes of its own into the tunnel"):
        begin_4().receive(CONSENT_4 + b"H")


def test_nothing_shows_secrets() -> None:
    """Neither a negotiation nor any of its errors shows the user name or the password."""
    negotiations = [begin(login=ALICE), begin(SOCKS4A, login=ALICE)]
    texts = [repr(negotiation) for negotiation in negotiations]
    for said in (b"", b"H", b"\x05\xff", b"\x05\x02\x01\x01", b"\x05\x00\x05\x01", b"\x05\x00\x05\x63", b"\x00\x5d"):
        for proxy in (SOCKS5, SOCKS4A):
            with pytest.raises((ReplyError, LoginWanted)) as caught:
                begin(proxy, login=ALICE).receive(said)
            texts += [str(caught.value), repr(caught.value)]
    assert not [text for text in texts if "alice" in text or "s3cret" in text]


@define
class ModelServer:
    """A SOCKS server that reads everything at once, written from the RFCs and not from the code."""

    method: int = 0
    user: bytes = b""
    password: bytes = b""
    name: str = ""
    port: int = 0

    def read_socks5(self, wire: io.BytesIO) -> None:
        """Understand all that a client says, who was told to use the method."""
        assert wire.read(1) == b"\x05"
        methods = wire.read(wire.read(1)[0])
        assert self.method in methods
        if self.method == 2:
            assert wire.read(1) == b"\x01"
            self.user = wire.read(wire.read(1)[0])
            self.password = wire.read(wire.read(1)[0])
        assert wire.read(3) == b"\x05\x01\x00"
        kind = wire.read(1)[0]
        if kind == 3:
            self.name = wire.read(wire.read(1)[0]).decode("ascii")
        else:
            self.name = str(ipaddress.ip_address(wire.read({1: 4, 4: 16}[kind])))
        self.port = int.from_bytes(wire.read(2))
        assert not wire.read()

    def read_socks4(self, wire: io.BytesIO) -> None:
        """Understand a request of SOCKS4 or SOCKS4A."""
        assert wire.read(2) == b"\x04\x01"
        self.port = int.from_bytes(wire.read(2))
        address = ipaddress.IPv4Address(wire.read(4))
        self.user, *rest = wire.read().split(b"\x00")
        is_name = 0 < int(address) < 256
        assert rest.pop() == b""
        assert len(rest) == is_name
        self.name = rest[0].decode("ascii") if is_name else str(address)


NAMES = st.from_regex(r"[a-z]([a-z0-9.-]{0,253}[a-z])?", fullmatch=True)
IPV4 = st.ip_addresses(v=4).filter(lambda address: not 0 < int(address) < 256).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
PORTS = st.integers(0, 65535)
# What comes through our own checks: no control characters. 255 bytes are 63 letters of the longest kind.
LOGIN_PARTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=63).filter(
    lambda text: len(unicodedata.normalize("NFC", text).encode()) <= 255
)
LOGINS = st.builds(UserPassword, LOGIN_PARTS, LOGIN_PARTS)
BOUND = st.one_of(
    st.binary(min_size=4, max_size=4).map(lambda address: b"\x01" + address),
    st.binary(min_size=16, max_size=16).map(lambda address: b"\x04" + address),
    st.binary(max_size=255).map(lambda name: bytes([3, len(name)]) + name),
)
CUTS = st.lists(st.integers(0, 300), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """``data`` cut at ``places``, as far as it is that long, into pieces that are not empty."""
    ends = sorted({min(place, len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False) if start < end]


def octets(text: str) -> bytes:
    """A user name or a password as a server is to get it."""
    return unicodedata.normalize("NFC", text).encode()


@given(host=NAMES | IPV4 | IPV6, port=PORTS, login=st.none() | LOGINS, bound=BOUND, places=CUTS)
def test_socks5_is_understood(
    *, host: str, port: int, login: UserPassword | None, bound: bytes, places: list[int]
) -> None:
    """A server that reads by the RFCs gets the target, the port and the login that were meant, however it answers."""
    server = ModelServer(method=0 if login is None else 2)
    negotiation = negotiate(SOCKS5, host, port, login=login)
    sent = negotiation.start()
    status = b"" if login is None else b"\x01\x00"
    for piece in cut(b"\x05" + bytes([server.method]) + status + b"\x05\x00\x00" + bound + b"\x00\x00", places):
        assert not negotiation.is_done
        sent += negotiation.receive(piece)
    assert negotiation.is_done
    server.read_socks5(io.BytesIO(sent))
    assert (server.name, server.port) == (host, port)
    if login is not None:
        assert (server.user, server.password) == (octets(login.user), octets(login.password))


@given(
    host=NAMES | IPV4,
    port=PORTS,
    login=st.none() | LOGINS,
    rest=st.binary(min_size=6, max_size=6),
    places=CUTS,
)
def test_socks4_is_understood(
    *, host: str, port: int, login: UserPassword | None, rest: bytes, places: list[int]
) -> None:
    """A server of SOCKS4A gets the target, the port and the user that were meant, however it answers."""
    server = ModelServer()
    negotiation = negotiate(SOCKS4A, host, port, login=login)
    server.read_socks4(io.BytesIO(negotiation.start()))
    assert (server.name, server.port) == (host, port)
    assert server.user == (b"" if login is None else octets(login.user))
    for piece in cut(b"\x00\x5a" + rest, places):
        assert not negotiation.is_done
        assert negotiation.receive(piece) == b""
    assert negotiation.is_done


def outcome(negotiation: Negotiation, pieces: list[bytes]) -> tuple[bytes, bool, str]:
    """What comes of feeding the pieces: all that was sent, whether it is done, and the error."""
    sent = negotiation.start()
    try:
        for piece in pieces:
            sent += negotiation.receive(piece)
    except (ReplyError, LoginWanted) as error:
        # What was to be sent depends on the cuts here: a piece that raises gives no answer, and none is of use.
        return b"", negotiation.is_done, f"{type(error).__name__}: {error}"
    return sent, negotiation.is_done, ""


# By chance alone nearly everything would end at the first byte.
STEPS = [b"\x05", b"\x00", b"\x02", b"\x01", b"\x03", b"\x04", b"\x5a", b"\x05\x00", b"\x05\x02\x01\x00", CONSENT]
HOSTILE = st.lists(st.sampled_from(STEPS) | st.binary(max_size=4), max_size=12).map(b"".join) | st.binary(max_size=600)
BEGINNINGS = st.sampled_from([(SOCKS5, None), (SOCKS5, ALICE), (SOCKS4A, ALICE)])


@given(BEGINNINGS, HOSTILE, st.lists(st.integers(0, 600), max_size=12))
def test_whatever_comes_has_one_outcome(
    beginning: tuple[Proxy, UserPassword | None], data: bytes, places: list[int]
) -> None:
    """Any bytes lead to consent, to one of our errors or to waiting for more, and cuts do not decide which."""
    proxy, login = beginning
    whole, cut_up, by_byte = (
        outcome(begin(proxy, login=login), pieces)
        for pieces in (cut(data, []), cut(data, places), [bytes([byte]) for byte in data])
    )
    assert whole == cut_up == by_byte


@pytest.mark.parametrize("size", [1, 7, 65536])
def test_endless_answers_are_refused_at_once(size: int) -> None:
    """A proxy that never comes to an end is refused right behind the longest legal answer, however it cuts."""
    longest = b"\x05\x00" + b"\x05\x00\x00\x03\xff" + b"n" * 257
    negotiation = begin()
    fed = 0
    with pytest.raises(UnknownProxyError, match="put bytes of its own"):
        for piece in cut(longest + bytes(10 * size), list(range(0, len(longest) + 10 * size, size))):
            fed += len(piece)
            negotiation.receive(piece)
    assert fed <= len(longest) + size
