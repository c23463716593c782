"""From an address to a connected socket: TCP, and Unix sockets.

Rules that hold here:

* Nothing blocks, and nothing is looked up: addresses are numeric, zones are translated by the kernel's own table.
* A socket is closed on every way out but success, cancellation included.
* What a connection could do without never fails it: a system that knows no keep-alive times connects all the same.

What was hard: an interface has addresses of several kinds, and which of them fits depends on where the connection
goes. The standard library does not tell them, but Linux does on a netlink socket; elsewhere an address must be given.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial

import trio
from attrs import Attribute, field

from .._model.values import frozen
from .stream import SocketStream

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

IPv4Place = tuple[str, int]
IPv6Place = tuple[str, int, int, int]
Place = IPv4Place | IPv6Place
"""An address and a port as the socket module wants them."""


def _integer_up_to(limit: int) -> Callable[[object, Attribute[int], object], None]:
    def check(_instance: object, attribute: Attribute[int], value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= limit:
            raise ValueError(f"{attribute.name}: {value!r} is not possible; give an integer from 1 to {limit}")

    return check


@frozen(kw_only=True)
class KeepAlive:
    """When TCP asks a silent peer whether it is still there (``QNetworkRequest::tcpKeepAliveIdleTimeBeforeProbes`` and
    its kin; the defaults are Qt's).

    The longest values are those of Linux; a system that takes less keeps its own.

    Raises:
        ValueError: a value is no integer, or out of range; the text starts with the field's name.
    """

    idle: int = field(default=60, validator=_integer_up_to(32767))
    """Seconds of silence before the first question."""
    interval: int = field(default=10, validator=_integer_up_to(32767))
    """Seconds between questions that nobody answers."""
    probes: int = field(default=5, validator=_integer_up_to(127))
    """Questions without an answer after which the connection is given up."""


QTS_KEEP_ALIVE = KeepAlive()
"""What is used unless something else is asked for."""


class TcpDialer:
    """Plain TCP, and Unix sockets (a `LocalDialer`).

    Args:
        local_address: where connections start from, as curl's ``--interface``: a numeric address of this machine or, on
            Linux, the name of an interface, of which an address is taken that fits the target. Without it the system
            chooses.
        keep_alive: when TCP asks a silent peer whether it is still there; ``None`` for never.

    Raises:
        ValueError: ``local_address`` is neither.
    """

    def __init__(self, *, local_address: str | None = None, keep_alive: KeepAlive | None = QTS_KEEP_ALIVE) -> None:
        if local_address is not None and _parsed(local_address) is None:
            _check_interface(local_address)
        self._local_address = local_address
        self._keep_alive = keep_alive

    def __repr__(self) -> str:
        return f"TcpDialer(local_address={self._local_address!r}, keep_alive={self._keep_alive!r})"

    async def dial(self, address: str, port: int) -> SocketStream:
        """As `Dialer.dial`. Always a checkpoint.

        Raises:
            OSError: as `Dialer.dial`; also if ``local_address`` cannot reach ``address``, or is not of this machine.
            ValueError: ``address`` is not numeric; looking it up would block everything.
        """
        family, place = _socket_address(address, port)
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            sock.setblocking(False)
            if self._keep_alive is not None:
                _keep_alive(sock, self._keep_alive)
            if self._local_address is not None:
                _bind(sock, self._local_address, address)
            code = sock.connect_ex(place)
            if code in _IN_PROGRESS:
                await trio.lowlevel.wait_writable(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            else:
                await trio.lowlevel.checkpoint()
            if code:
                raise OSError(code, os.strerror(code))
            stack.pop_all()
            return SocketStream(sock)

    async def dial_local(self, path: str) -> SocketStream:
        """As `LocalDialer.dial_local`. Always a checkpoint.

        Raises:
            OSError: as `LocalDialer.dial_local`; ``ENAMETOOLONG`` for a path that no socket can have.
        """
        _check_path(path)
        with ExitStack() as stack:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.setblocking(False)
            # Again and again while too many wait to be accepted already.
            while (code := _connect_local(sock, path)) == errno.EAGAIN:  # noqa: ASYNC110 - no event tells the end of it
                await trio.sleep(_BACKLOG_PAUSE)
            await trio.lowlevel.checkpoint()
            if code:
                raise OSError(code, os.strerror(code))
            stack.pop_all()
            return SocketStream(sock)


def _option(*names: str) -> int | None:
    """The first of these options that the system has."""
    return next((int(getattr(socket, name)) for name in names if hasattr(socket, name)), None)


# macOS has its own name for the first one.
_KEEP_ALIVE_OPTIONS = (
    _option("TCP_KEEPIDLE", "TCP_KEEPALIVE"),
    _option("TCP_KEEPINTVL"),
    _option("TCP_KEEPCNT"),
)


def _keep_alive(
    sock: socket.socket, times: KeepAlive, *, options: tuple[int | None, ...] = _KEEP_ALIVE_OPTIONS
) -> None:
    """Set ``times`` on ``sock``, as far as the system knows them."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in zip(options, (times.idle, times.interval, times.probes), strict=True):
        if option is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


_IN_PROGRESS = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK})
_BACKLOG_PAUSE = 0.01
"""Seconds; a busy server accepts many in that time, and asking costs a microsecond."""
_LOCAL_ROOTS = ("/", "\0") if sys.platform == "linux" else ("/",)


def _check_path(path: str) -> None:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system's Python has no Unix sockets")
    if not path.startswith(_LOCAL_ROOTS) or "\0" in path[1:]:
        raise OSError(errno.EINVAL, "this is no absolute path, and no abstract name of Linux")


def _connect_local(sock: socket.socket, path: str) -> int:
    try:
        return sock.connect_ex(path)
    except OSError as error:
        # What Python says before it asks the system: the one mistake it finds by itself.
        raise OSError(errno.ENAMETOOLONG, "the path is too long for a Unix socket, about 100 bytes") from error


def _parsed(address: str) -> Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _socket_address(address: str, port: int) -> tuple[socket.AddressFamily, Place]:
    parsed = _parsed(address)
    if parsed is None:
        raise ValueError(f"address: {address!r} is not numeric; a resolver must give IPv4 or IPv6 addresses")
    if isinstance(parsed, ipaddress.IPv4Address):
        return socket.AF_INET, (address, port)
    # The socket module would hand a zone to the blocking resolver, so it is translated here (RFC 4007 section 11.2).
    bare, _, zone = address.partition("%")
    scope = int(zone) if zone.isdecimal() else socket.if_nametoindex(zone) if zone else 0
    return socket.AF_INET6, (bare, port, 0, scope)


_BIND_ADDRESS_NO_PORT = _option("IP_BIND_ADDRESS_NO_PORT")


def _bind(sock: socket.socket, local: str, target: str, *, no_port: int | None = _BIND_ADDRESS_NO_PORT) -> None:
    """Let ``sock``, which is to be connected to ``target``, start from the address or the interface ``local``."""
    source = local if _parsed(local) is not None else _address_of(local, target)
    family, place = _socket_address(source, 0)
    if family != sock.family:
        raise OSError(errno.EAFNOSUPPORT, f"the local address {source} cannot reach it: one is IPv4, the other IPv6")
    if no_port is not None:
        # The port is then chosen when the target is known: many connections may share one, as without `bind`.
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_IP, no_port, 1)
    try:
        sock.bind(place)
    except OSError as error:
        raise OSError(error.errno, f"the local address {source} cannot be used: {error.strerror}") from error


_HAS_NETLINK = hasattr(socket, "AF_NETLINK")
_MAX_INTERFACE = 15  # Linux's IFNAMSIZ, without the NUL


def _check_interface(name: str, *, can_ask: bool = _HAS_NETLINK) -> None:
    if not can_ask:
        raise ValueError(f"local_address: {name!r} is no IP address; give an address, names need Linux")
    # Whether there is one is another question: a tunnel may come up later.
    if not 1 <= len(os.fsencode(name)) <= _MAX_INTERFACE or any(char in "/:%\0" or char.isspace() for char in name):
        raise ValueError(f"local_address: {name!r} is neither an IP address nor the name of an interface")


def _address_of(interface: str, target: str) -> str:
    """The address of ``interface`` from which ``target`` is best reached, with its zone if it needs one."""
    try:
        index = socket.if_nametoindex(interface)
    except OSError as error:
        raise OSError(errno.ENODEV, f"this machine has no interface {interface!r}") from error
    own = [address for owner, address in _interface_addresses() if owner == index]
    nearest = _nearest(ipaddress.ip_address(target), own, interface=interface)
    return f"{nearest}%{index}" if nearest.version == 6 and nearest.is_link_local else str(nearest)


def _nearest(target: Address, addresses: Iterable[Address], *, interface: str) -> Address:
    """Which of the ``addresses`` of ``interface`` is the one to reach ``target`` from."""
    fitting = [address for address in addresses if address.version == target.version]
    if not fitting:
        raise OSError(errno.EADDRNOTAVAIL, f"the interface {interface} has no IPv{target.version} address")
    # A link-local address leads to its link, and nothing else does.
    return min(fitting, key=lambda address: address.is_link_local != target.is_link_local)


# rtnetlink(7): a header, a question or an answer, and in the answers attributes, each padded to four bytes.
_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_ADDRESS = struct.Struct("=BBBBI")  # family, length of the prefix, flags, scope, interface
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_GET_ADDRESSES, _NEW_ADDRESS = 22, 20
_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_UNUSABLE = 0x08 | 0x40  # duplicate, or perhaps one: not ours yet
_BUFFER = 65536  # more than the kernel puts into one datagram


def _interface_addresses() -> Iterator[tuple[int, Address]]:
    """The usable addresses of all interfaces, by the interfaces' numbers. The kernel answers at once."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sock:
        sock.bind((0, 0))
        question = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        sock.send(_HEADER.pack(_HEADER.size + len(question), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + question)
        yield from _decoded(iter(partial(sock.recv, _BUFFER), b""))


def _decoded(datagrams: Iterable[bytes]) -> Iterator[tuple[int, Address]]:
    for datagram in datagrams:
        for kind, message in _pieces(datagram, _HEADER):
            if kind != _NEW_ADDRESS:  # that was all, or an error
                return
            _, _, flags, _, index = _ADDRESS.unpack_from(message)
            attributes = dict(_pieces(message[_ADDRESS.size :], _ATTRIBUTE))
            packed = attributes.get(_IFA_LOCAL, attributes.get(_IFA_ADDRESS))
            if packed and not flags & _UNUSABLE:
                yield index, ipaddress.ip_address(packed)


def _pieces(data: bytes, header: struct.Struct) -> Iterator[tuple[int, bytes]]:
    """What ``data`` consists of: types and contents, where each header begins with the length of the whole and that."""
    while len(data) >= header.size:
        length, kind, *_ = header.unpack_from(data)
        yield kind, data[header.size : length]
        data = data[max(header.size, (length + 3) & ~3) :]
