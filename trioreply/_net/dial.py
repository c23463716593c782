"""From a host name to a connected stream: resolve, race the addresses (RFC 8305), and name the reason for a failure.

Rules that hold here:

* Attempts start in order, one every `ATTEMPT_DELAY` seconds or as soon as the one before has failed; the first to
  connect wins. Whatever the others have opened is closed, also when the whole is cancelled, also when two connect at
  the same moment.
* One error leaves, never a group. Errors of the network go through one table, `_MEANINGS`; any other exception of a
  user's resolver or dialer leaves as itself. That is why no task of the race lets an `Exception` reach the nursery.
* Nothing here has a deadline: ``connect_timeout`` covers proxies and TLS too and is a cancel scope around all of it.
* Resolver and dialer are the seam of `trioreply._net.interfaces`; `SystemResolver` and `TcpDialer` are what is used
  by default. Every host goes to the resolver, numeric ones too, so that there is one place where hosts are refused.
* A Unix socket is a host with one address, its path: no resolver is asked, and the same table names its failures.
"""

from __future__ import annotations

import errno
import itertools
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager

import trio
from attrs import Factory

from .._model import errors
from .._model.values import define, frozen
from .groups import raise_ungrouped
from .interfaces import Dialer, LocalDialer, Resolver

ATTEMPT_DELAY = 0.25
"""Seconds an attempt has for itself before the next one starts; what RFC 8305 section 5 recommends."""

OnAttempt = Callable[[str], Awaitable[None]]
"""Told the address of each attempt right before it starts."""


async def connect(
    host: str,
    port: int,
    *,
    resolver: Resolver,
    dialer: Dialer,
    on_attempt: OnAttempt,
    attempt_delay: float = ATTEMPT_DELAY,
) -> trio.abc.Stream:
    """A stream connected to ``port`` of whichever address of ``host`` answers first.

    Raises:
        HostNotFoundError: ``host`` has no address, or the resolver refuses it.
        ConnectionRefusedError, TimeoutError, TemporaryNetworkFailureError, UnknownNetworkError: no address could be
            connected to. The most telling failure decides which; it is the cause, and the text lists all of them.
    """
    addresses = await resolve(host, port, resolver)
    if len(addresses) > 1:
        race = _Race(port=port, dialer=dialer, on_attempt=on_attempt, delay=attempt_delay)
        stream = await race.run(addresses)
        if stream is not None:
            return stream
        raise connect_error(host, port, {address: race.failures[address] for address in addresses})
    # No race, no nursery: this is nearly every connection to a machine nearby, and to a proxy.
    await on_attempt(addresses[0])
    try:
        return await dialer.dial(addresses[0], port)
    except OSError as error:
        raise connect_error(host, port, {addresses[0]: error}) from error


async def connect_local(path: str, *, dialer: Dialer, on_attempt: OnAttempt) -> trio.abc.Stream:
    """A stream connected to the Unix socket ``path``, which is absolute, or an abstract name that begins with NUL.

    Raises:
        HostNotFoundError: there is no such socket (Qt's word for it).
        ConnectionRefusedError: nobody listens on it.
        UnknownNetworkError: it may not be used, or ``dialer`` is no `LocalDialer`.
    """
    if not isinstance(dialer, LocalDialer):
        raise errors.UnknownNetworkError(
            f"Connecting failed: {shown(path)}: this manager's dialer, a {type(dialer).__name__}, cannot open Unix "
            "sockets; give it a method dial_local(path)"
        )
    await on_attempt(path)
    try:
        return await dialer.dial_local(path)
    except OSError as error:
        meaning = _meaning(error)
        title = meaning.title.format(host=shown(path))
        advice = _LOCAL_ADVICE.get(meaning.error, "check that you may use the socket and the directories above it")
        raise meaning.error(f"{title}: {shown(path)} ({_text(error)}); {advice}") from error


def shown(path: str) -> str:
    """``path`` as people write it: an abstract name begins with ``@``."""
    return f"@{path[1:]}" if path.startswith("\0") else path


async def resolve(host: str, port: int, resolver: Resolver) -> Sequence[str]:
    """The addresses of ``host`` in the order in which they should be tried; there is at least one.

    Raises:
        HostNotFoundError: there is none, or the resolver refuses them; its words are in the text.
    """
    try:
        addresses = await resolver.resolve(host, port)
    except (OSError, UnicodeError) as error:
        # Whatever kept the resolver from its answer, be it a name server that refused us: there is no address.
        raise _host_not_found(host, _text(error)) from error
    if not addresses:
        raise _host_not_found(host, "the name has no address")
    return addresses if len(addresses) == 1 else interleave(addresses)


def interleave(addresses: Sequence[str]) -> list[str]:
    """``addresses`` without repeats, families alternating, the family of the first one first (RFC 8305 section 4)."""
    unique = list(dict.fromkeys(addresses))
    preferred = [address for address in unique if _is_ipv6(address) == _is_ipv6(unique[0])]
    others = [address for address in unique if _is_ipv6(address) != _is_ipv6(unique[0])]
    pairs = itertools.zip_longest(preferred, others)
    return [address for pair in pairs for address in pair if address is not None]


def _is_ipv6(address: str) -> bool:
    return ":" in address


@define
class _Race:
    """Attempts at several addresses, and what became of them."""

    port: int
    dialer: Dialer
    on_attempt: OnAttempt
    delay: float
    failures: dict[str, OSError] = Factory(dict)
    winner: trio.abc.Stream | None = None
    bug: Exception | None = None

    async def run(self, addresses: Sequence[str]) -> trio.abc.Stream | None:
        """The winner, which is then the caller's; ``None`` if every attempt failed."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close_winner)
            try:
                async with trio.open_nursery() as nursery:
                    with self._keep_bug(nursery.cancel_scope):
                        await self._start_attempts(nursery, addresses)
            except BaseExceptionGroup as group:
                await raise_ungrouped(group)
            if self.bug is not None:
                raise self.bug
            stack.pop_all()
        return self.winner

    async def _start_attempts(self, nursery: trio.Nursery, addresses: Sequence[str]) -> None:
        for address in addresses:
            await self.on_attempt(address)
            failed = trio.Event()
            nursery.start_soon(self._attempt, address, failed, nursery.cancel_scope)
            with trio.move_on_after(self.delay):
                await failed.wait()

    async def _attempt(self, address: str, failed: trio.Event, race: trio.CancelScope) -> None:
        with self._keep_bug(race):
            try:
                stream = await self.dialer.dial(address, self.port)
            except OSError as error:
                self.failures[address] = error
                failed.set()
                return
            if self.winner is None:
                self.winner = stream
                race.cancel()
            else:
                # Another one won in the same turn of the scheduler, or this dialer does not heed cancellation.
                await trio.aclose_forcefully(stream)

    @contextmanager
    def _keep_bug(self, race: trio.CancelScope) -> Iterator[None]:
        """End the race because of a bug in the user's code, and keep it for `run` to raise outside the nursery."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again in `run`, where no nursery makes a group of it
            self.bug = self.bug or error
            race.cancel()

    async def _close_winner(self) -> None:
        # No shield: closing by force is complete whether we are cancelled or not, and it never waits.
        if self.winner is not None:
            await trio.aclose_forcefully(self.winner)


@frozen
class _Meaning:
    """What an `OSError` from a connection attempt means to the user."""

    error: type[errors.TransportError]
    title: str
    advice: str
    classes: tuple[type[OSError], ...] = ()
    errnos: frozenset[int] = frozenset()

    def fits(self, error: OSError) -> bool:
        return isinstance(error, self.classes) or error.errno in self.errnos


# The first row that fits counts. The order is also from the most telling to the least: a refusal comes from the host
# itself, while an unreachable network is often just a machine without IPv6, and says nothing of the address that was
# meant.
_MEANINGS = (
    _Meaning(
        errors.ConnectionRefusedError,
        "Connection refused",
        "check the port, and that the server is running",
        classes=(ConnectionRefusedError,),
    ),
    _Meaning(
        errors.TimeoutError,
        "Socket operation timed out",
        "check that the host is up, and that no firewall drops the connection",
        classes=(TimeoutError,),
    ),
    _Meaning(
        errors.TemporaryNetworkFailureError,
        "Network unreachable",
        "check this machine's network connection",
        errnos=frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}),
    ),
    # From dialers that look up names themselves; and what Qt says of a Unix socket that is not there.
    _Meaning(
        errors.HostNotFoundError,
        "Host {host} not found",
        "check the spelling",
        classes=(socket.gaierror, FileNotFoundError),
    ),
    _Meaning(
        errors.UnknownNetworkError,
        "Connecting failed",
        "check host and port, and that this machine allows the connection",
        classes=(OSError,),
    ),
)

_LOCAL_ADVICE: Mapping[type[errors.ReplyError], str] = {
    errors.HostNotFoundError: "check the path, and that its server is running",
    errors.ConnectionRefusedError: "check that its server is running",
}


def connect_error(host: str, port: int, failures: Mapping[str, OSError]) -> errors.TransportError:
    """The one error that all of ``failures`` (by address, in the order of the attempts; at least one) amount to.

    Of the most telling failures the first is the cause; the text names host and port, lists what every address said,
    and ends with what to check.
    """
    attempts = [(_meaning(error), error) for error in failures.values()]
    meaning, cause = min(attempts, key=lambda attempt: _MEANINGS.index(attempt[0]))
    details = "; ".join(f"{address}: {_text(error)}" for address, error in failures.items())
    title = meaning.title.format(host=host)
    reported = meaning.error(f"{title}: {host} port {port} ({details}); {meaning.advice}")
    reported.__cause__ = cause
    return reported


def _meaning(error: OSError) -> _Meaning:
    return next(meaning for meaning in _MEANINGS if meaning.fits(error))


def _host_not_found(host: str, reason: str) -> errors.HostNotFoundError:
    return errors.HostNotFoundError(
        f"Host {host} not found: {reason}; check the spelling, and this machine's network connection"
    )


def _text(error: Exception) -> str:
    strerror = error.strerror if isinstance(error, OSError) else None
    return strerror or str(error) or type(error).__name__
