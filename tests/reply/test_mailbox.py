"""The event channel: the sender never waits, unread items stay few, and a cancelled receiver has consumed nothing."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from trioreply._reply.mailbox import Mailbox

from .scripted import settle


def small_letters(item: str) -> Hashable | None:
    """What coalesces here: items that begin with a small letter, by that letter."""
    return item[0] if item[0].islower() else None


class Log:
    """A watcher that writes down what readers do."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def receiving(self, _task: trio.lowlevel.Task) -> None:
        """A task asks."""
        self.entries.append("receiving")

    def waiting(self) -> None:
        """It waits."""
        self.entries.append("waiting")

    def received(self, _task: trio.lowlevel.Task, item: str) -> None:
        """It gets something."""
        self.entries.append(f"received {item}")

    def closed(self) -> None:
        """Nobody wants more."""
        self.entries.append("closed")


async def receive_all(mailbox: Mailbox[str]) -> list[str]:
    """Everything up to the end."""
    return [item async for item in mailbox]


async def test_items_with_a_key_coalesce() -> None:
    """Of items with one key the newest is kept, at the newest position; others keep their order and their number."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    for item in ("A", "p1", "B", "r1", "p2", "A", "r2", "p3"):
        mailbox.post(item)
    mailbox.end()
    assert await receive_all(mailbox) == ["A", "B", "A", "r2", "p3"]


@given(st.lists(st.sampled_from(["A", "B", "p1", "p2", "q1", "q2"]), max_size=40))
def test_unread_items_are_few_and_in_order(items: list[str]) -> None:
    """Whatever is posted: nothing without a key is lost, there is one item a key, and the order is that of the last."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    for item in items:
        mailbox.post(item)
    mailbox.end()
    expected = [
        item
        for position, item in enumerate(items)
        if item.isupper() or item[0] not in [later[0] for later in items[position + 1 :]]
    ]
    assert trio.run(receive_all, mailbox) == expected


async def test_a_waiting_task_gets_the_item_at_once() -> None:
    """With a task waiting an item is handed over, so that nothing coalesces that somebody was there to see."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    got: list[str] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            got.extend([item async for item in mailbox])

        for item in ("p1", "p2"):
            await settle()
            assert mailbox.has_waiter
            mailbox.post(item)
            assert not mailbox.has_waiter
        mailbox.post("p3")
        mailbox.post("p4")
        mailbox.end()
    assert got == ["p1", "p2", "p4"]


async def test_the_end_comes_after_what_rests() -> None:
    """What was unread at the end is still received; then, however often one asks, there is no more."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    mailbox.post("A")
    mailbox.end()
    with trio.testing.assert_checkpoints():
        assert await mailbox.receive() == "A"
    for _ in range(2):
        with trio.testing.assert_checkpoints(), pytest.raises(trio.EndOfChannel):
            await mailbox.receive()


async def test_the_end_wakes_who_waits() -> None:
    """A task that waits when the channel ends learns it there and then."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with trio.testing.assert_checkpoints(), pytest.raises(trio.EndOfChannel):
                await mailbox.receive()

        await settle()
        mailbox.end()


async def test_closing_drops_and_wakes() -> None:
    """After ``aclose`` unread items are gone, a waiting task and every later call get ClosedResourceError."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with pytest.raises(trio.ClosedResourceError, match="by another task"):
                await mailbox.receive()

        await settle()
        with trio.testing.assert_checkpoints():
            await mailbox.aclose()
    mailbox.post("A")
    mailbox.end()
    with trio.testing.assert_checkpoints(), pytest.raises(trio.ClosedResourceError):
        await mailbox.receive()
    mailbox.close()


async def test_closing_drops_what_rests() -> None:
    """What is unread when the reader closes is not delivered any more."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    mailbox.post("A")
    mailbox.close()
    with pytest.raises(trio.ClosedResourceError):
        await mailbox.receive()


async def test_two_readers_are_one_too_many() -> None:
    """While a task receives another one that tries is told so; the first is not disturbed."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    got: list[str] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            got.append(await mailbox.receive())

        await settle()
        with pytest.raises(trio.BusyResourceError):
            await mailbox.receive()
        mailbox.post("A")
    assert got == ["A"]
    mailbox.post("B")
    assert await mailbox.receive() == "B"


@pytest.mark.parametrize("resting", [[], ["A", "p1"]])
async def test_a_cancelled_receive_consumes_nothing(resting: list[str]) -> None:
    """A receive that is cancelled, at its checkpoint or while it waits, leaves every item for the next one."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    for item in resting:
        mailbox.post(item)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with trio.CancelScope() as scope:
                if resting:
                    scope.cancel()
                else:
                    nursery.start_soon(cancel, scope)
                await mailbox.receive()
            assert scope.cancelled_caught

        async def cancel(scope: trio.CancelScope) -> None:
            await settle()
            scope.cancel()

    assert not mailbox.has_waiter
    mailbox.post("B")
    mailbox.end()
    assert await receive_all(mailbox) == [*resting, "B"]


async def test_an_item_handed_over_is_not_cancelled_away() -> None:
    """A task that was handed an item receives it even if it is cancelled before it runs."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    scope = trio.CancelScope()
    got: list[str] = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            with scope:
                got.append(await mailbox.receive())

        await settle()
        mailbox.post("A")
        scope.cancel()
    assert got == ["A"]


async def test_the_watcher_sees_it_all() -> None:
    """The rules that depend on who reads hear of every request, wait, delivery and closing, in this order."""
    log = Log()
    mailbox: Mailbox[str] = Mailbox(small_letters, log)
    mailbox.post("A")
    await mailbox.receive()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await settle()
        mailbox.post("B")
    await mailbox.aclose()
    assert log.entries == ["receiving", "received A", "receiving", "waiting", "received B", "closed"]


async def test_repr_is_a_gauge() -> None:
    """The channel says how it is: open, ended or closed, how much is unread, and whether a task waits."""
    mailbox: Mailbox[str] = Mailbox(small_letters)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await settle()
        assert repr(mailbox) == "<Mailbox: open, 0 unread, a task waits>"
        mailbox.post("A")
    mailbox.post("B")
    mailbox.end()
    assert repr(mailbox) == "<Mailbox: ended, 1 unread>"
    mailbox.close()
    assert repr(mailbox) == "<Mailbox: closed, 0 unread>"
