"""The real dialler: TCP with its options, and Unix sockets."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trioreply._net import dialers
from trioreply._net.dialers import KeepAlive, TcpDialer
from trioreply._net.interfaces import LocalDialer
from trioreply._net.stream import SocketStream

needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 on this machine")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="a thing of Linux")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        pytest.param("::1", marks=pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 on this machine")),
    ],
)
async def test_tcp_dialer_connects(address: str) -> None:
    """A dialled stream carries bytes both ways, and dialling is a checkpoint."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        with assert_checkpoints():
            stream = await TcpDialer().dial(address, listener.getsockname()[1])
        server, _ = listener.accept()
    with server:
        await stream.send_all(b"ping")
        assert server.recv(10) == b"ping"
        server.sendall(b"pong")
        assert await stream.receive_some() == b"pong"
        await stream.aclose()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 on this machine")
@pytest.mark.parametrize("as_number", [True, False])
async def test_tcp_dialer_understands_zones(as_number: bool) -> None:
    """An IPv6 zone may be an interface's number or its name."""
    index, name = socket.if_nameindex()[0]
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        stream = await TcpDialer().dial(f"::1%{index if as_number else name}", listener.getsockname()[1])
        await stream.aclose()


async def test_tcp_dialer_refuses_unknown_zones() -> None:
    """A zone that is no interface of this machine is a network error."""
    with pytest.raises(OSError):
        await TcpDialer().dial("fe80::1%nosuchzone", 80)


async def test_tcp_dialer_refused() -> None:
    """A refused connection is the system's own error, and the socket is closed."""
    with socket.socket() as silent_owner:
        silent_owner.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await TcpDialer().dial("127.0.0.1", silent_owner.getsockname()[1])


async def test_tcp_dialer_fails_at_once() -> None:
    """A failure that the system reports without waiting is raised as well."""
    with pytest.raises(OSError, match=r"."):
        await TcpDialer().dial("255.255.255.255", 80)


async def test_tcp_dialer_cancelled() -> None:
    """A cancelled attempt closes its socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with trio.CancelScope() as scope:
            scope.cancel()
            await TcpDialer().dial("127.0.0.1", listener.getsockname()[1])
        assert scope.cancelled_caught
        server, _ = listener.accept()
    with server:
        assert server.recv(1) == b""


async def test_tcp_dialer_wants_addresses() -> None:
    """A resolver that gives a name is told so, instead of blocking everything while the name is looked up."""
    with pytest.raises(ValueError, match="address: 'localhost' is not numeric"):
        await TcpDialer().dial("localhost", 80)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who listens on the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


async def dial_to(listener: socket.socket, dialer: TcpDialer) -> tuple[SocketStream, socket.socket]:
    """Both ends of a new connection."""
    stream = await dialer.dial(*listener.getsockname()[:2])
    server, _ = listener.accept()
    return stream, server


def keep_alive_of(stream: SocketStream) -> tuple[int, ...]:
    """What the system says of the stream's keep-alive."""
    sock = stream._socket
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    return (
        sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        *(sock.getsockopt(socket.IPPROTO_TCP, option) for option in options),
    )


@needs_linux
async def test_keep_alive(listener: socket.socket) -> None:
    """TCP looks after silent peers with Qt's times unless told otherwise, and not at all if that is wanted."""
    for dialer, expected in (
        (TcpDialer(), (1, 60, 10, 5)),
        (TcpDialer(keep_alive=KeepAlive(idle=7, interval=8, probes=9)), (1, 7, 8, 9)),
        (TcpDialer(keep_alive=KeepAlive(idle=32767, interval=32767, probes=127)), (1, 32767, 32767, 127)),
    ):
        stream, server = await dial_to(listener, dialer)
        assert keep_alive_of(stream) == expected
        stream.close_nowait()
        server.close()
    stream, server = await dial_to(listener, TcpDialer(keep_alive=None))
    assert keep_alive_of(stream)[0] == 0
    stream.close_nowait()
    server.close()


def test_keep_alive_never_fails_a_connection() -> None:
    """Options that the system lacks or does not take are left out; the others are set."""
    with socket.socket() as sock:
        dialers._keep_alive(sock, KeepAlive(probes=9), options=(None, 9999, socket.TCP_KEEPCNT))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 9
    with socket.socket(socket.AF_UNIX) as sock:
        dialers._keep_alive(sock, KeepAlive())


@pytest.mark.parametrize("field", ["idle", "interval", "probes"])
@pytest.mark.parametrize("value", [0, -1, 40000, 1.5, True, "6", None])
def test_keep_alive_values(field: str, value: object) -> None:
    """Times and counts that TCP cannot have are refused by their field's name."""
    with pytest.raises(ValueError, match=f"^{field}: .* integer from 1 to"):
        KeepAlive(**{field: value})  # type: ignore[arg-type]  # the wrong type is the point


@needs_linux
async def test_local_address(listener: socket.socket) -> None:
    """Connections start from the address that was asked for, at a port of the system's choice."""
    stream, server = await dial_to(listener, TcpDialer(local_address="127.0.0.7"))
    assert server.getpeername()[0] == "127.0.0.7"
    assert server.getpeername()[1] > 0
    stream.close_nowait()
    server.close()


@needs_linux
async def test_local_address_does_not_use_up_ports(listener: socket.socket) -> None:
    """The port is not fixed before the target is known, so that connections to several targets may share it."""
    stream, server = await dial_to(listener, TcpDialer(local_address="127.0.0.7"))
    assert stream._socket.getsockopt(socket.IPPROTO_IP, dialers._option("IP_BIND_ADDRESS_NO_PORT") or 0) == 1
    stream.close_nowait()
    server.close()


def test_local_address_without_late_ports() -> None:
    """A system that must fix the port at once does so."""
    with socket.socket() as sock:
        dialers._bind(sock, "127.0.0.1", "192.0.2.1", no_port=None)
        assert sock.getsockname()[1] > 0


async def test_local_address_of_another_family(listener: socket.socket) -> None:
    """An IPv6 address cannot be where a connection to an IPv4 one starts, and the error says so."""
    with pytest.raises(OSError, match="the local address ::1 cannot reach it: one is IPv4, the other IPv6") as caught:
        await dial_to(listener, TcpDialer(local_address="::1"))
    assert caught.value.errno == errno.EAFNOSUPPORT


async def test_local_address_of_nobody(listener: socket.socket) -> None:
    """An address that this machine does not have is named in the error."""
    with pytest.raises(OSError, match=r"the local address 192\.0\.2\.77 cannot be used: ") as caught:
        await dial_to(listener, TcpDialer(local_address="192.0.2.77"))
    assert caught.value.errno == errno.EADDRNOTAVAIL


@needs_linux
async def test_interface(listener: socket.socket) -> None:
    """An interface's name stands for its address."""
    stream, server = await dial_to(listener, TcpDialer(local_address="lo"))
    assert server.getpeername()[0] == "127.0.0.1"
    stream.close_nowait()
    server.close()


@needs_linux
@needs_ipv6
async def test_interface_with_ipv6() -> None:
    """Of an interface's addresses one is taken that has the target's family."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        stream, server = await dial_to(listener, TcpDialer(local_address="lo"))
        assert server.getpeername()[0] == "::1"
        stream.close_nowait()
        server.close()


@needs_linux
async def test_interface_that_is_not_there(listener: socket.socket) -> None:
    """An interface that does not exist fails the connection, not the dialler: a tunnel may come up later."""
    with pytest.raises(OSError, match="no interface 'nosuchzone'") as caught:
        await dial_to(listener, TcpDialer(local_address="nosuchzone"))
    assert caught.value.errno == errno.ENODEV


OWN = ["fe80::1", "2001:db8::1", "192.0.2.1", "169.254.1.1"]


@pytest.mark.parametrize(
    ("own", "target", "expected"),
    [
        (OWN, "2001:db8::99", "2001:db8::1"),
        (OWN, "fe80::99%2", "fe80::1"),
        (OWN[::-1], "fe80::99%2", "fe80::1"),
        (OWN[::-1], "198.51.100.1", "192.0.2.1"),
        (OWN, "169.254.7.7", "169.254.1.1"),
        (["fe80::1"], "2001:db8::99", "fe80::1"),
        (["2001:db8::1"], "fe80::99%2", "2001:db8::1"),
    ],
)
def test_choice_of_an_interfaces_address(own: list[str], target: str, expected: str) -> None:
    """A link-local target is reached from a link-local address, any other from any other, if there is one."""
    chosen = dialers._nearest(ip_address(target), map(ip_address, own), interface="eth0")
    assert chosen == ip_address(expected)


def test_interface_without_the_family() -> None:
    """An interface without an address of the target's family is no way there, and the error says so."""
    with pytest.raises(OSError, match="the interface eth0 has no IPv4 address") as caught:
        dialers._nearest(ip_address("192.0.2.99"), [ip_address("2001:db8::1")], interface="eth0")
    assert caught.value.errno == errno.EADDRNOTAVAIL


@needs_linux
def test_link_local_addresses_have_a_zone() -> None:
    """An interface's link-local address comes with its interface, without which it means nothing."""
    links = {index: address for index, address in dialers._interface_addresses() if str(address).startswith("fe80:")}
    if not links:
        pytest.skip("no link-local address on this machine")
    index = next(iter(links))
    assert dialers._address_of(socket.if_indextoname(index), f"fe80::99%{index}") == f"{links[index]}%{index}"


@needs_linux
def test_addresses_of_this_machine() -> None:
    """The kernel's list has the loopback's address, at the loopback's number, and ends."""
    found = [(index, str(address)) for index, address in dialers._interface_addresses()]
    assert (socket.if_nametoindex("lo"), "127.0.0.1") in found
    assert len(set(found)) == len(found)


def address_message(index: int, flags: int, *attributes: tuple[int, bytes]) -> bytes:
    """An RTM_NEWADDR message as of rtnetlink(7)."""
    content = dialers._ADDRESS.pack(socket.AF_INET, 8, flags, 0, index)
    for kind, data in attributes:
        content += dialers._ATTRIBUTE.pack(4 + len(data), kind) + data + bytes(-len(data) % 4)
    return dialers._HEADER.pack(16 + len(content), 20, 2, 1, 0) + content


DONE = dialers._HEADER.pack(20, 3, 2, 1, 0) + bytes(4)


def test_netlink_answers() -> None:
    """Of a point-to-point link our own end counts, addresses that are not ours yet do not, and junk ends nothing."""
    ours, theirs, late = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\x0a\0\0\3"
    datagrams = [
        address_message(1, 0x80, (1, theirs), (3, b"tun0\0"), (2, ours)) + address_message(1, 0x40, (1, late)),
        address_message(2, 0) + address_message(2, 0x08, (1, late)) + address_message(3, 0, (1, late), (0, b"")),
        address_message(4, 0, (1, theirs)) + DONE,
        address_message(5, 0, (1, theirs)),
    ]
    assert [(index, str(address)) for index, address in dialers._decoded(datagrams)] == [
        (1, "10.0.0.1"),
        (3, "10.0.0.3"),
        (4, "10.0.0.2"),
    ]
    assert list(dialers._decoded([])) == []


@needs_linux
@pytest.mark.parametrize("name", ["", "with space", "a/b", "more-than-15-letters", "eth0:1", "fe80::1%", "[::1]"])
def test_impossible_local_addresses(name: str) -> None:
    """What is neither an address nor a name that an interface could have is refused when the dialler is made."""
    with pytest.raises(ValueError, match=r"^local_address: .* neither"):
        TcpDialer(local_address=name)


def test_interfaces_elsewhere() -> None:
    """Where interfaces' addresses cannot be asked for, an address must be given."""
    with pytest.raises(ValueError, match=r"^local_address: 'en0' .* give an address"):
        dialers._check_interface("en0", can_ask=False)


def test_dialer_tells_its_options() -> None:
    """A dialler prints as it was made."""
    text = "TcpDialer(local_address='127.0.0.1', keep_alive=None)"
    assert repr(TcpDialer(local_address="127.0.0.1", keep_alive=None)) == text
    assert "idle=60, interval=10, probes=5" in repr(TcpDialer())


@pytest.fixture(params=["path", pytest.param("abstract", marks=needs_linux)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a Unix socket can be."""
    return str(tmp_path / "socket") if request.param == "path" else f"\0trioreply-{os.getpid()}"


def listen_at(place: str, backlog: int = 10) -> socket.socket:
    """A listening Unix socket."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(place)
    sock.listen(backlog)
    return sock


async def test_local_socket(place: str) -> None:
    """A stream to a Unix socket carries bytes both ways, and dialling is a checkpoint."""
    dialer: LocalDialer = TcpDialer()
    assert isinstance(dialer, LocalDialer)
    with listen_at(place) as listener:
        with assert_checkpoints():
            stream = await dialer.dial_local(place)
        server, _ = listener.accept()
    with server:
        await stream.send_all(b"ping")
        assert server.recv(10) == b"ping"
        server.sendall(b"pong")
        assert await stream.receive_some() == b"pong"
        await stream.aclose()


async def test_local_socket_that_is_not_there(tmp_path: Path) -> None:
    """A missing path, one without a listener and one of another kind are the system's own errors."""
    with pytest.raises(FileNotFoundError):
        await TcpDialer().dial_local(str(tmp_path / "missing"))
    listen_at(str(tmp_path / "left")).close()
    with pytest.raises(ConnectionRefusedError):
        await TcpDialer().dial_local(str(tmp_path / "left"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        await TcpDialer().dial_local(str(tmp_path / "file"))


@needs_linux
async def test_abstract_name_of_nobody() -> None:
    """An abstract name that nobody has is refused by the system."""
    with pytest.raises(ConnectionRefusedError):
        await TcpDialer().dial_local("\0trioreply-nobody")


@pytest.mark.parametrize("path", ["/tmp/" + "x" * 200, pytest.param("\0" + "x" * 200, marks=needs_linux)])
async def test_local_path_is_too_long(path: str) -> None:
    """A path that no socket can have is told as such, with the system's code for it."""
    with pytest.raises(OSError, match="too long for a Unix socket") as caught:
        await TcpDialer().dial_local(path)
    assert caught.value.errno == errno.ENAMETOOLONG


@pytest.mark.parametrize("path", ["", "relative", "@name", "/tmp/a\0b", "\0a\0b"])
async def test_local_path_is_ambiguous(path: str) -> None:
    """Only an absolute path or an abstract name, with no NUL inside, means one socket."""
    with pytest.raises(OSError, match="no absolute path") as caught:
        await TcpDialer().dial_local(path)
    assert caught.value.errno == errno.EINVAL


async def test_system_without_unix_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no Unix sockets that is a network error."""
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(OSError, match="no Unix sockets"):
        await TcpDialer().dial_local("/run/x")


async def test_local_dial_cancelled(place: str) -> None:
    """A cancelled dial closes its socket."""
    with listen_at(place) as listener:
        with trio.CancelScope() as scope:
            scope.cancel()
            await TcpDialer().dial_local(place)
        assert scope.cancelled_caught
        server, _ = listener.accept()
    with server:
        assert server.recv(1) == b""


@needs_linux
async def test_full_backlog(place: str, autojump_clock: trio.testing.MockClock) -> None:
    """While too many wait to be accepted a dial waits, without blocking anybody, until one is; cancelled, it ends."""
    autojump_clock.autojump_threshold = 0.001
    streams: list[SocketStream] = []
    with listen_at(place, backlog=0) as listener:
        streams.append(await TcpDialer().dial_local(place))
        with trio.move_on_after(0.5) as scope:
            await TcpDialer().dial_local(place)
        assert scope.cancelled_caught
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def dial() -> None:
                streams.append(await TcpDialer().dial_local(place))

            await wait_all_tasks_blocked()
            assert len(streams) == 1
            listener.accept()[0].close()
        assert len(streams) == 2
        # The dial that was cancelled left nothing behind.
        listener.accept()[0].close()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    for stream in streams:
        stream.close_nowait()
