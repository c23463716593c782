"""The hosts that are to be spoken to securely only: in memory, kept in step with a file if there is one.

What a host says about itself comes in by `HstsStore.learn`; what the application knows by `HstsStore.add`. A host is
known if there is a policy for it, or one that includes subdomains for a host above it (RFC 6797 section 8.2).

With a file, the store notes what has changed since it was last saved, and a note goes only when the file has it. A
host repeats its word with every response, which moves the expiry by seconds: that is not worth writing, so it is noted
only when it has moved by more than a hundredth.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import final

import trio
from yarl import URL

from .._clock import wall_clock
from .._facade import public
from .._model.hsts import HstsPolicy, canonical_host, parse_strict_transport
from .._model.running import RunSync
from .hsts_file import HstsFile

MAX_HOSTS = 10_000
"""Policies that hosts can bring in. Whoever answers for a domain can invent hosts in it, each with a policy."""

_WORTH_SAVING = 0.01


@public
@final
class HstsStore:
    """Known HSTS hosts. It may serve several managers. None of the plain methods waits or blocks.

    Args:
        policies: what is known from the start (``addStrictTransportSecurityHosts``).
        path: a file in which policies outlive the process (``enableStrictTransportSecurityStore``); a manager calls
            `load` and `save` by itself.
        max_hosts: how many policies there may be before hosts' own words push out each other.
        now: the time in POSIX seconds; tests give one that they can move.
        run_sync: carries out what blocks.
    """

    def __init__(
        self,
        policies: Iterable[HstsPolicy] = (),
        path: str | os.PathLike[str] | None = None,
        *,
        max_hosts: int = MAX_HOSTS,
        now: Callable[[], float] = wall_clock,
        run_sync: RunSync = trio.to_thread.run_sync,
    ) -> None:
        self._policies: dict[str, HstsPolicy] = {}  # the one that was confirmed last is the last
        self._file = None if path is None else HstsFile(path)
        self._max_hosts = max_hosts
        self._now = now
        self._run_sync = run_sync
        self._saved: dict[str, HstsPolicy] = {}  # what the file has, or will have with the changes
        self._changes: dict[str, HstsPolicy | None] = {}
        self._has_news = False
        self.add(policies)

    def __repr__(self) -> str:
        return f"<HstsStore: {len(self._policies)} hosts{'' if self._file is None else f', {self._file!r}'}>"

    def __len__(self) -> int:
        return len(self.policies)

    def __iter__(self) -> Iterator[HstsPolicy]:
        return iter(self.policies)

    # Looking

    @property
    def policies(self) -> tuple[HstsPolicy, ...]:
        """All policies that are not over (``strictTransportSecurityHosts``)."""
        now = self._now()
        return tuple(policy for policy in self._policies.values() if not policy.is_expired(now))

    def knows(self, host: str | None) -> bool:
        """Whether ``host`` is to be spoken to securely only; its certificate's errors cannot be ignored then."""
        if not self._policies or not host:
            return False
        now = self._now()
        name = host.lower().removesuffix(".")
        policy = self._policies.get(name)
        if policy is not None and not policy.is_expired(now):
            return True
        while name := name.partition(".")[2]:
            policy = self._policies.get(name)
            if policy is not None and policy.include_subdomains and not policy.is_expired(now):
                return True
        return False

    def upgrade(self, url: URL) -> URL:
        """``url`` itself, or its secure form if it is a ``http:`` URL of a known host (RFC 6797 section 8.3).

        Port 80 becomes 443; any other port stays, for there is no telling what listens where.
        """
        if url.scheme != "http" or not self.knows(url.raw_host):
            return url
        return (url.with_port(None) if url.port == 80 else url).with_scheme("https")

    # Changing

    def add(self, policies: Iterable[HstsPolicy]) -> None:
        """Take ``policies`` in place of what is known of their hosts (``addStrictTransportSecurityHosts``)."""
        now = self._now()
        for policy in policies:
            if policy.is_expired(now):
                self.remove(policy.host)
            else:
                self._put(policy)
                self._note(policy.host, policy)

    def remove(self, host: str) -> None:
        """Forget what is known of ``host``, if anything is. A host above it may still speak for it.

        Raises:
            ValueError: it is no host name.
        """
        name = canonical_host(host)
        if self._policies.pop(name, None) is not None or name in self._saved:
            self._note(name, None)

    def clear(self) -> None:
        """Forget every host that is known."""
        for name in [*self._policies]:
            self.remove(name)

    def learn(self, host: str, value: str) -> None:
        """Take ``host``'s own word, the value of its Strict-Transport-Security field (RFC 6797 section 8.1).

        Only call this for what came over a secure connection without errors. A value that does not follow the grammar
        says nothing, and neither does anything about an address. What the application has said for ever stays.
        """
        said = parse_strict_transport(value)
        if said is None:
            return
        try:
            name = canonical_host(host)
        except ValueError:
            return
        known = self._policies.get(name)
        if known is not None and known.expiry is None:
            return
        if not said.max_age:
            self.remove(name)
            return
        if known is None and not self._make_room():
            return
        expiry = self._now() + said.max_age
        policy = HstsPolicy(name, expiry, said.include_subdomains)
        self._put(policy)
        if _is_worth_saving(self._saved.get(name), policy, expiry, max_age=said.max_age):
            self._note(name, policy)

    def _put(self, policy: HstsPolicy) -> None:
        self._policies.pop(policy.host, None)  # for the order
        self._policies[policy.host] = policy

    def _make_room(self) -> bool:
        """Whether there is room for another host's word, if need be in the place of an older one."""
        if len(self._policies) < self._max_hosts:
            return True
        # Who has not confirmed it for the longest time leaves; what the application said for ever stays.
        oldest = next((policy.host for policy in self._policies.values() if policy.expiry is not None), None)
        if oldest is None:
            return False
        self.remove(oldest)
        return True

    def _note(self, name: str, policy: HstsPolicy | None) -> None:
        if self._file is None:
            return
        if policy is None:
            self._saved.pop(name, None)
        else:
            self._saved[name] = policy
        self._changes[name] = policy
        self._has_news = True

    # The file

    @property
    def has_news(self) -> bool:
        """Whether anything has changed since saving was last tried."""
        return self._has_news

    async def load(self) -> None:
        """Add what the file has; of a host that is known already that stays. Nothing happens without a file.

        Raises:
            HstsStoreError: the file cannot be read.
        """
        await trio.lowlevel.checkpoint()
        if self._file is None:
            return
        for policy in await self._run_sync(self._file.read, self._now(), abandon_on_cancel=True):
            if policy.host not in self._changes:
                self._saved[policy.host] = policy
                if policy.host not in self._policies:
                    self._put(policy)

    async def save(self) -> None:
        """Write what has changed to the file, if there is one.

        Raises:
            HstsStoreError: it was not written; everything is still known, and will be written the next time.
        """
        await trio.lowlevel.checkpoint()
        self._has_news = False
        if self._file is None or not self._changes:
            return
        changes, self._changes = self._changes, {}
        is_written = False
        try:
            await self._run_sync(self._file.write, changes, self._now(), abandon_on_cancel=True)
            is_written = True
        finally:
            if not is_written:
                self._changes = {**changes, **self._changes}


def _is_worth_saving(saved: HstsPolicy | None, policy: HstsPolicy, expiry: float, *, max_age: int) -> bool:
    """Whether ``policy``, which ends at ``expiry``, says enough that the one in the file does not."""
    if saved is None or saved.include_subdomains is not policy.include_subdomains:
        return True
    return abs(expiry - (saved.expiry or 0.0)) > max_age * _WORTH_SAVING
