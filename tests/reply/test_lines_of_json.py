"""JSON lines of a reply: each line a value, what is no JSON by its number, and the bounds of lines."""

from __future__ import annotations

import pytest
import trio.testing

from trioreply import NetworkError, ResponseData
from trioreply.errors import RemoteHostClosedError, UnknownContentError

from .scripted import SHOWN_URL, Script, open_reply, settle


def responding(*pieces: bytes) -> Script:
    """A response that is complete."""
    script = Script()
    script.respond(*pieces)
    script.end()
    return script


async def test_values() -> None:
    """Each line is a value, also one that counts as false; blank ones are skipped, and the last may lack its end."""
    body = [b'{"a"', b': 1}\n\n0\r\nnull\n  \t\n""\n', b"[]\nfalse"]
    async with open_reply(responding(*body)) as reply:
        assert [value async for value in reply.json_lines()] == [{"a": 1}, 0, None, "", [], False]


@pytest.mark.parametrize("body", [b"", b"\n", b"\n \r\n\t"])
async def test_no_values(body: bytes) -> None:
    """A body without a line that says something has no values, and that is no mistake."""
    async with open_reply(responding(body)) as reply:
        assert [value async for value in reply.json_lines()] == []


async def test_values_come_as_they_come() -> None:
    """A value is given as soon as its line is complete; what follows stays to be read in another way."""
    script = Script()
    script.respond(b"1\n", b"2\nrest")
    async with open_reply(script) as reply:
        values = reply.json_lines()
        assert [await anext(values), await anext(values)] == [1, 2]
        assert reply.read() == b"rest"


@pytest.mark.parametrize("line", [b"{", b"\xff", b"1 2", b"[" * 100_000, b"1" * 5000])
async def test_what_is_no_json(line: bytes) -> None:
    """A line that is no JSON is UNKNOWN_CONTENT with its number and place; the reply and the lines after it live on."""
    async with open_reply(responding(b"1\n\n", line, b"\n2\n")) as reply:
        values = reply.json_lines()
        assert await anext(values) == 1
        with pytest.raises(UnknownContentError, match=r"^line 3 is not JSON: ") as caught:
            await anext(values)
        assert (caught.value.url, caught.value.status_code, caught.value.reply) == (SHOWN_URL, 200, reply)
        assert caught.value.__cause__ is not None
        assert [value async for value in values] == [2]
        assert reply.error is NetworkError.NO_ERROR


@pytest.mark.parametrize("pieces", [(b"123456\n",), (b"123", b"456")])
async def test_a_line_that_is_too_long(pieces: tuple[bytes, ...]) -> None:
    """A line longer than wanted is UNKNOWN_CONTENT and aborts the reply, as in `lines`."""
    script = Script()
    script.respond(b"1\n", *pieces)
    async with open_reply(script) as reply:
        values = reply.json_lines(5)
        assert await anext(values) == 1
        with pytest.raises(UnknownContentError, match="max_size=5"):
            await anext(values)
        assert reply.error is NetworkError.UNKNOWN_CONTENT
    assert script.cancelled


async def test_values_first_and_then_the_error() -> None:
    """When the transfer failed the complete lines come, then the error; half a line is nobody's value."""
    script = Script()
    script.respond(b"1\n2")
    script.put(RemoteHostClosedError("Connection closed"))
    async with open_reply(script) as reply:
        values = reply.json_lines()
        assert await anext(values) == 1
        for _ in range(2):
            with pytest.raises(RemoteHostClosedError):
                await anext(values)


async def test_waiting_rules() -> None:
    """A step is a checkpoint, is the only reader, and has taken nothing when it is cancelled."""
    script = Script()
    script.respond(b"1\n", b"2")
    async with open_reply(script) as reply:
        await settle()
        values = reply.json_lines()
        with trio.testing.assert_checkpoints():
            assert await anext(values) == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(values.__anext__)
            await settle()
            with pytest.raises(trio.BusyResourceError):
                await anext(reply.json_lines())
            nursery.cancel_scope.cancel()
        script.put(ResponseData(b"3\n"))
        assert await anext(values) == 23
