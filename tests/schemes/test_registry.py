"""Which handler serves a URL, and which schemes may be used at all."""

from __future__ import annotations

import pytest
import trio

import trioreply
from trioreply import NetworkError, Request, ResponseHead
from trioreply._schemes.registry import Registry
from trioreply.abc import Handler, Sink
from trioreply.errors import ProtocolUnknownError


class Nobody:
    """A sink that nobody listens to; handlers in this file put nothing into it."""

    put = ask = None


def named(log: list[str], name: str) -> Handler:
    """A handler that writes its name down."""

    async def handle(_request: Request, _sink: Sink) -> None:
        log.append(name)
        await trio.lowlevel.checkpoint()

    return handle


async def serve(registry: Registry, url: str) -> None:
    """Have ``url`` served."""
    await registry(Request(url), Nobody())  # type: ignore[arg-type]  # the handlers do not use it


async def test_the_scheme_chooses_the_handler() -> None:
    """A URL is served by the handler of its scheme, in whatever case the name was registered."""
    log: list[str] = []
    registry = Registry()
    registry.register("a", named(log, "a"))
    registry.register("B+1.x-y", named(log, "b"))
    for url in ("a:x", "b+1.x-y:x", "A:x"):
        await serve(registry, url)
    assert log == ["a", "b", "a"]
    assert registry.supported == ("a", "b+1.x-y")


async def test_the_last_registration_counts() -> None:
    """Registering a scheme again replaces its handler, and leaves its place."""
    log: list[str] = []
    registry = Registry()
    for name in ("a", "b"):
        registry.register(name, named(log, f"old {name}"))
    registry.register("a", named(log, "new a"))
    await serve(registry, "a:x")
    assert log == ["new a"]
    assert registry.supported == ("a", "b")


@pytest.mark.parametrize("url", ["nobody:x", "relative", ""])
async def test_unknown_schemes(url: str) -> None:
    """A scheme without handler, or none, is PROTOCOL_UNKNOWN, and the text says what there is."""
    registry = Registry()
    registry.register("a", named([], "a"))
    with pytest.raises(ProtocolUnknownError, match=r'^Protocol "(nobody)?" is unknown; this manager supports a$'):
        await serve(registry, url)


async def test_schemes_that_are_not_allowed() -> None:
    """With a list of schemes only these can be used, also if others have a handler; the list may name absent ones."""
    log: list[str] = []
    registry = Registry(["A", "absent"])
    for name in ("a", "b"):
        registry.register(name, named(log, name))
    await serve(registry, "a:x")
    with pytest.raises(ProtocolUnknownError, match=r'^Protocol "b" is not among the schemes this manager allows$'):
        await serve(registry, "b:x")
    with pytest.raises(ProtocolUnknownError, match="unknown"):
        await serve(registry, "absent:x")
    assert log == ["a"]
    assert registry.supported == ("a",)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a:", "+a", "\u00e4", "a\n"])
def test_names_of_schemes(name: str) -> None:
    """A scheme's name is a letter, then letters, digits, '+', '.' and '-' (RFC 3986 section 3.1)."""
    with pytest.raises(ValueError, match=r"^scheme: "):
        Registry().register(name, named([], "x"))
    with pytest.raises(ValueError, match=r"^scheme: "):
        Registry([name])


async def test_in_a_manager() -> None:
    """A manager serves schemes of one's own like those built in, and refuses what it was not allowed."""

    async def handle(_request: Request, sink: Sink) -> None:
        await sink.put(ResponseHead())

    async with trioreply.open_manager(schemes=["own", "http"]) as manager:
        manager.register_scheme("own", handle)
        assert manager.supported_schemes == ("http", "own")
        async with manager.get("own:x") as reply:
            assert await reply.wait_finished() is NetworkError.NO_ERROR
        async with manager.get("data:,x") as reply:
            assert await reply.wait_finished() is NetworkError.PROTOCOL_UNKNOWN
