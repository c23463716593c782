"""The read buffer, against the plainest model there is: one bytes object."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trioreply._reply.buffer import ReadBuffer

pieces = st.one_of(
    st.binary(max_size=5),
    st.text("ab\n", max_size=12).map(str.encode),
    st.sampled_from([b"x" * 4095, b"y" * 4096, b"z" * 5000, b"\n" + b"w" * 4096]),
)
sizes = st.one_of(st.integers(-1, 12), st.sampled_from([4095, 4096, 4097, 9000, 10**9]))


class BufferBesideBytes(RuleBasedStateMachine):
    """Does everything twice: with the buffer, and with bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = ReadBuffer()
        self.model = b""

    @rule(data=pieces)
    def append(self, data: bytes) -> None:
        """What is appended comes last."""
        self.buffer.append(data)
        self.model += data

    @rule(n=sizes)
    def read(self, n: int) -> None:
        """Reading takes from the front, all if the size is negative."""
        wanted = len(self.model) if n < 0 else n
        data = self.buffer.read(n)
        assert type(data) is bytes
        assert data == self.model[:wanted]
        self.model = self.model[wanted:]

    @rule(n=sizes)
    def peek(self, n: int) -> None:
        """Peeking sees what reading would give."""
        assert self.buffer.peek(n) == (self.model if n < 0 else self.model[:n])

    @rule(limit=st.one_of(st.none(), st.integers(1, 5000)))
    def take_piece(self, limit: int | None) -> None:
        """A piece is something from the front, and something unless there is nothing."""
        data = self.buffer.take_piece(limit)
        assert type(data) is bytes
        assert self.model.startswith(data)
        assert bool(data) == bool(self.model)
        assert limit is None or len(data) <= limit
        self.model = self.model[len(data) :]

    @rule()
    def read_line(self) -> None:
        """The first line ends where its line feed is."""
        end = self.buffer.line_end()
        if end is None:
            assert b"\n" not in self.model
        else:
            assert self.buffer.read(end) == self.model[:end]
            self.model = self.model[end:]

    @rule()
    def clear(self) -> None:
        """Afterwards there is nothing."""
        self.buffer.clear()
        self.model = b""

    @invariant()
    def same_length_and_line(self) -> None:
        """Length and end of the first line are those of the model, however often one asks."""
        assert len(self.buffer) == len(self.model)
        position = self.model.find(b"\n")
        assert self.buffer.line_end() == (None if position < 0 else position + 1)


TestBufferBesideBytes = BufferBesideBytes.TestCase
TestBufferBesideBytes.settings = settings(max_examples=60, stateful_step_count=30)


def test_a_piece_comes_as_it_went_in() -> None:
    """A large piece that is read whole is the very object that was received: nothing is copied."""
    buffer = ReadBuffer()
    one, two = b"a" * 5000, b"b" * 5000
    buffer.append(one)
    buffer.append(two)
    assert buffer.take_piece() is one
    assert buffer.read(5000) is two


def test_single_bytes_are_gathered() -> None:
    """A peer that sends single bytes does not make us hold an object for each."""
    buffer = ReadBuffer()
    for _ in range(20_000):
        buffer.append(b"x")
    sizes_taken = []
    while piece := buffer.take_piece():
        sizes_taken.append(len(piece))
    assert sum(sizes_taken) == 20_000
    assert len(sizes_taken) < 10


@pytest.mark.parametrize("n", [0, 5])
def test_an_empty_buffer_gives_nothing(n: int) -> None:
    """There is nothing in a new buffer."""
    buffer = ReadBuffer()
    assert (buffer.read(n), buffer.peek(n), buffer.take_piece(), buffer.line_end(), len(buffer)) == (
        b"",
        b"",
        b"",
        None,
        0,
    )


class Searched(bytes):
    """Bytes that count how often one looks for something in them."""

    searches = 0

    def find(self, *args: object) -> int:
        """Count, and look."""
        self.searches += 1
        return super().find(*args)  # type: ignore[arg-type]  # passed on as they came


def test_a_line_end_is_searched_once() -> None:
    """Asking for a line while a long one grows looks at each piece once, so it takes no square of time."""
    buffer = ReadBuffer()
    pieces_of_line = [Searched(b"x" * 4096) for _ in range(20)]
    for piece in pieces_of_line:
        buffer.append(piece)
        assert buffer.line_end() is None
    buffer.append(b"\n")
    assert buffer.line_end() == 20 * 4096 + 1
    assert [piece.searches for piece in pieces_of_line] == [1] * 20
