"""The network in memory: names, listeners, refusals, and the record of what happened."""

from __future__ import annotations

import errno
import math
import socket

import pytest
import trio
import trio.testing

from trioreply._net.interfaces import LocalDialer
from trioreply.testing import Host, MemoryNetwork, MemoryStream


async def echo(stream: MemoryStream) -> None:
    """Send back what comes."""
    async for data in stream:
        await stream.send_all(data)


async def test_dialling_reaches_the_listener() -> None:
    """A dial to a listening place gives a stream that its server serves, and both are on record."""
    async with MemoryNetwork() as network:
        listener = network.listen("echo.test", 7, echo)
        (address,) = await network.resolve("echo.test", 7)
        stream = await network.dial(address, 7)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        assert network.resolved == [("echo.test", 7)]
        assert network.dialed == [(address, 7)]
        (connection,) = network.connections
        assert listener.connections == [connection]
        assert (connection.host, connection.bytes_received, connection.bytes_sent) == ("echo.test", 5, 5)
        assert list(network.open_streams) == [stream]
        await stream.aclose()
        assert not list(network.open_streams)


async def test_names_and_addresses() -> None:
    """A host has the addresses it was given, in that order, or one of its own; no two share one."""
    async with MemoryNetwork() as network:
        network.add_host("two.test", "2001:db8::1", "192.0.2.1")
        assert list(await network.resolve("two.test", 80)) == ["2001:db8::1", "192.0.2.1"]
        assert network.add_host("a.test").addresses != network.add_host("b.test").addresses
        with pytest.raises(ValueError, match=r"192\.0\.2\.1"):
            network.add_host("three.test", "192.0.2.1")
        with pytest.raises(ValueError, match=r"a\.test"):
            network.add_host("a.test")
        with pytest.raises(socket.gaierror):
            await network.resolve("nowhere.test", 80)


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1"])
async def test_numeric_hosts_are_their_own_address(literal: str) -> None:
    """A numeric host resolves to itself, and a listener there is dialled so."""
    async with MemoryNetwork() as network:
        network.listen(literal, 80, echo)
        with trio.testing.assert_checkpoints():
            (address,) = await network.resolve(literal, 80)
        assert address == literal
        await (await network.dial(address, 80)).aclose()
        assert list(await network.resolve("fe80::1%eth0", 80)) == ["fe80::1%eth0"]
        assert network.resolved == [(literal, 80), ("fe80::1%eth0", 80)]


@pytest.mark.parametrize("path", ["/run/echo", "\0echo"])
async def test_local_sockets(path: str) -> None:
    """A dial to a Unix socket reaches who listens there, and is on record by its path and with the port 0."""
    async with MemoryNetwork() as network:
        assert isinstance(network, LocalDialer)
        listener = network.listen_local(path, echo)
        stream = await network.dial_local(path)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"
        assert (network.dialed, network.resolved) == ([(path, 0)], [])
        (connection,) = listener.connections
        assert (connection.host, connection.address, connection.port) == (path, path, 0)
        await stream.aclose()
        with pytest.raises(OSError) as caught:
            network.listen_local(path, echo)
        assert caught.value.errno == errno.EADDRINUSE
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await network.dial_local(path)
        network.listen_local(path, echo)
        await (await network.dial_local(path)).aclose()


async def test_missing_local_sockets() -> None:
    """A path where nobody ever listened is no file, an abstract name that nobody has refuses; both are on record."""
    async with MemoryNetwork() as network:
        with pytest.raises(FileNotFoundError):
            await network.dial_local("/run/missing")
        with pytest.raises(ConnectionRefusedError):
            await network.dial_local("\0missing")
        assert network.dialed == [("/run/missing", 0), ("\0missing", 0)]


async def test_switches_of_a_local_socket(autojump_clock: trio.testing.MockClock) -> None:
    """A Unix socket has the switches of a host, under its path."""
    async with MemoryNetwork() as network:
        network.listen_local("/run/slow", echo)
        network.host("/run/slow").delay = 3
        await (await network.dial_local("/run/slow")).aclose()
        assert trio.current_time() == 3
        network.host("/run/slow").refuse = True
        with pytest.raises(ConnectionRefusedError):
            await network.dial_local("/run/slow")


async def test_a_cancelled_local_dial_leaves_nothing() -> None:
    """Dialling a Unix socket is a checkpoint, and cancelled there it has made no connection."""
    async with MemoryNetwork() as network:
        network.listen_local("/run/echo", echo)
        with trio.CancelScope() as scope:
            scope.cancel()
            await network.dial_local("/run/echo")
        assert scope.cancelled_caught
        assert network.connections == []


async def test_nobody_listens() -> None:
    """A port without a listener, or with one that was closed, refuses; an unknown address has no route."""
    async with MemoryNetwork() as network:
        listener = network.listen("echo.test", 7, echo)
        (address,) = network.host("echo.test").addresses
        with pytest.raises(ConnectionRefusedError):
            await network.dial(address, 8)
        with pytest.raises(OSError) as caught:
            network.listen("echo.test", 7, echo)
        assert caught.value.errno == errno.EADDRINUSE
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await network.dial(address, 7)
        assert not network.is_listening("echo.test", 7)
        with pytest.raises(OSError) as caught:
            await network.dial("203.0.113.1", 7)
        assert caught.value.errno == errno.EHOSTUNREACH


async def test_a_network_must_be_open() -> None:
    """Dialling without 'async with' around the network says so."""
    network = MemoryNetwork()
    network.listen("127.0.0.1", 80, echo)
    with pytest.raises(RuntimeError, match="async with"):
        await network.dial("127.0.0.1", 80)


async def test_host_switches(autojump_clock: trio.testing.MockClock) -> None:
    """Refusing, unreachable, slow and silent hosts give what an operating system gives, from the moment it is set."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, echo)
        host: Host = network.host("127.0.0.1")
        host.refuse = True
        with pytest.raises(ConnectionRefusedError):
            await network.dial("127.0.0.1", 80)
        host.unreachable = True
        with pytest.raises(OSError) as caught:
            await network.dial("127.0.0.1", 80)
        assert caught.value.errno == errno.ENETUNREACH
        host.black_hole = True
        with trio.move_on_after(1000) as scope:
            await network.dial("127.0.0.1", 80)
        assert scope.cancelled_caught
        host.refuse = host.unreachable = host.black_hole = False
        host.delay = 3
        started = trio.current_time()
        await (await network.dial("127.0.0.1", 80)).aclose()
        assert trio.current_time() - started == 3


async def test_switches_of_one_address() -> None:
    """One address of a host can fail while the others work."""
    async with MemoryNetwork() as network:
        host = network.add_host("two.test", "192.0.2.1", "192.0.2.2")
        network.listen("two.test", 80, echo)
        host.on("192.0.2.1").refuse = True
        with pytest.raises(ConnectionRefusedError):
            await network.dial("192.0.2.1", 80)
        await (await network.dial("192.0.2.2", 80)).aclose()
        with pytest.raises(KeyError):
            host.on("192.0.2.3")


async def test_a_silent_name_server(autojump_clock: trio.testing.MockClock) -> None:
    """Resolving takes the time that the host's resolve_delay says, for ever if that is infinite."""
    async with MemoryNetwork() as network:
        network.add_host("slow.test").resolve_delay = math.inf
        with trio.move_on_after(1000) as scope:
            await network.resolve("slow.test", 80)
        assert scope.cancelled_caught


async def test_a_cancelled_dial_leaves_nothing() -> None:
    """Dialling is a checkpoint, and cancelled there it has made no connection."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, echo)
        with trio.CancelScope() as scope:
            scope.cancel()
            await network.dial("127.0.0.1", 80)
        assert scope.cancelled_caught
        assert network.connections == []


async def test_weather_of_the_whole_network() -> None:
    """The network's switches act on all connections, also on those that wait already."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, echo)
        stream = await network.dial("127.0.0.1", 80)
        network.stall = network.one_byte_at_a_time = True
        assert (network.stall, network.one_byte_at_a_time) == (True, True)
        await stream.send_all(b"ab")
        async with trio.open_nursery() as nursery:

            async def receive() -> None:
                assert await stream.receive_some() == b"a"

            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            assert network.connections[0].bytes_received == 0
            network.stall = False
        await stream.aclose()


async def test_drop_and_cut_everything() -> None:
    """The network can break, or end, all its connections at once; servers do not complain."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, echo)
        async with await network.dial("127.0.0.1", 80) as stream:
            network.cut()
            assert await stream.receive_some() == b""
        async with await network.dial("127.0.0.1", 80) as stream:
            network.drop()
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()


async def test_the_blocks_own_exception_is_not_grouped() -> None:
    """What the block raises leaves the network as itself, even with a scope around that is cancelled."""
    with pytest.raises(LookupError) as caught, trio.CancelScope() as scope:
        async with MemoryNetwork() as network:
            network.listen("127.0.0.1", 80, echo)
            scope.cancel()
            raise LookupError("mine")
    assert str(caught.value) == "mine"


async def test_a_failing_server_is_noticed() -> None:
    """What a server raises, other than a disconnect, is raised when the network is left, as itself."""

    async def fail(stream: MemoryStream) -> None:
        raise LookupError("a mistake in the server")

    with pytest.raises(LookupError, match="a mistake"):
        async with MemoryNetwork() as network:
            network.listen("127.0.0.1", 80, fail)
            stream = await network.dial("127.0.0.1", 80)
            assert await stream.receive_some() == b""


async def test_a_failing_block_tells_of_the_failed_server() -> None:
    """If block and server both fail, the block's exception wins and has the server's in its notes."""

    async def fail(stream: MemoryStream) -> None:
        raise LookupError("a mistake in the server")

    with pytest.raises(ZeroDivisionError) as caught:
        async with MemoryNetwork() as network:
            network.listen("127.0.0.1", 80, fail)
            stream = await network.dial("127.0.0.1", 80)
            await stream.receive_some()
            raise ZeroDivisionError
    assert "a mistake in the server" in caught.value.__notes__[0]


async def test_leaving_the_network_ends_its_servers() -> None:
    """A server that never ends is cancelled with the network, and its client sees the end."""
    async with MemoryNetwork() as network:
        network.listen("127.0.0.1", 80, echo)
        stream = await network.dial("127.0.0.1", 80)
        await trio.testing.wait_all_tasks_blocked()
    assert await stream.receive_some() == b""
