"""The unread part of a body: a queue of bytes with the reading methods of a sequential device.

Pieces are kept as they came, so a large read costs one join and nothing is copied twice; only small pieces are
gathered, lest a peer that sends single bytes makes us hold a million objects. The search for a line end remembers how
far it has looked.
"""

from __future__ import annotations

from collections import deque

_GATHER = 4096
# Never changed. One that is empty takes 760 bytes, and many replies wait for their first piece for long.
_NONE: deque[bytes | bytearray] = deque()


class ReadBuffer:
    """Bytes in order; ``len()`` is what can be read now."""

    __slots__ = ("_offset", "_pieces", "_searched", "_size")

    def __init__(self) -> None:
        self._pieces = _NONE
        self._offset = 0  # how much of the first piece has been read
        self._size = 0
        self._searched = 0  # there is no line end among so many unread bytes

    def __len__(self) -> int:
        return self._size

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end."""
        if not data:
            return
        self._size += len(data)
        if not self._pieces:
            self._pieces = deque((data,))
            return
        if len(data) < _GATHER:
            last = self._pieces[-1]
            if isinstance(last, bytearray) and len(last) < _GATHER:
                last += data
                return
        self._pieces.append(bytearray(data) if len(data) < _GATHER else data)

    def clear(self) -> None:
        """Forget everything unread."""
        self._pieces = _NONE
        self._offset = self._size = self._searched = 0

    def read(self, n: int = -1) -> bytes:
        """Take at most ``n`` bytes from the front; all of them if ``n`` is negative."""
        wanted = self._size if n < 0 or n > self._size else n
        if wanted == 0:
            return b""
        if wanted == self._size and len(self._pieces) == 1 and not self._offset:
            whole = self._pieces[0]
            self.clear()
            return bytes(whole)
        self._size -= wanted
        self._searched = max(self._searched - wanted, 0)
        parts: list[bytes | bytearray | memoryview] = []
        while wanted:
            first = self._pieces[0]
            left = len(first) - self._offset
            if left <= wanted:
                parts.append(memoryview(first)[self._offset :] if self._offset else first)
                self._pieces.popleft()
                self._offset = 0
                wanted -= left
            else:
                parts.append(memoryview(first)[self._offset : self._offset + wanted])
                self._offset += wanted
                wanted = 0
        if len(parts) == 1 and isinstance(parts[0], bytes):
            return parts[0]
        return b"".join(parts)

    def take_piece(self, limit: int | None = None) -> bytes:
        """Take one piece as it came, or ``limit`` bytes of it; ``b""`` if there is nothing."""
        if not self._size:
            return b""
        left = len(self._pieces[0]) - self._offset
        return self.read(left if limit is None else min(limit, left))

    def peek(self, n: int) -> bytes:
        """The first ``n`` bytes (all if negative), which stay unread."""
        wanted = self._size if n < 0 or n > self._size else n
        parts = []
        start = self._offset
        for piece in self._pieces:
            if not wanted:
                break
            part = memoryview(piece)[start : start + wanted]
            wanted -= len(part)
            start = 0
            parts.append(part)
        return b"".join(parts)

    def line_end(self) -> int | None:
        """How many bytes the first line has, its line feed included; ``None`` while it is incomplete."""
        position = -self._offset
        for piece in self._pieces:
            end = position + len(piece)
            if end > self._searched:
                found = piece.find(b"\n", max(self._searched - position, 0))
                if found >= 0:
                    return position + found + 1
                self._searched = end
            position = end
        return None
