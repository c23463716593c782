"""What httptools is held to beyond the tests of every codec, and how the codecs are chosen."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, ModuleType

import pytest

from trioreply._model.errors import ProtocolFailure
from trioreply._wire.codecs import codec_maker
from trioreply._wire.h1_cycle import H1Codec
from trioreply._wire.h1_rules import DEFAULT_LIMITS, WireLimits

from .h1_cases import CHUNKED, EMPTY, GET, OK, Case, by_codec, cut, httptools_codec, needs_httptools, play
from .h1_cases import Make as MakeCodec
from .h1_table import FRAMED


@contextmanager
def interrupted_in(function: str) -> Iterator[None]:
    """Ctrl-C is pressed when a function of this name is called."""

    def press(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name == function:
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(press)
    try:
        yield
    finally:
        sys.setprofile(None)


@needs_httptools
@pytest.mark.parametrize(
    ("callback", "wire"),
    [("on_header", EMPTY), ("on_message_complete", CHUNKED + b"0\r\n\r\n")],
)
def test_ctrl_c_is_not_the_peers_fault(callback: str, wire: bytes) -> None:
    """Ctrl-C in the middle of the parser interrupts the program; it does not become a complaint about the server."""
    codec = httptools_codec()
    codec.start(GET)
    with interrupted_in(callback), pytest.raises(KeyboardInterrupt):
        list(codec.receive(wire))
    assert not codec.is_reusable


@contextmanager
def garbage_kept() -> Iterator[list[object]]:
    """What only the garbage collector can find meanwhile; complete at the end of the block."""
    gc.collect()
    gc.disable()
    found: list[object] = []
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@needs_httptools
def test_no_garbage() -> None:
    """A cycle leaves nothing of ours behind that only the garbage collector could find."""
    codec = httptools_codec()
    with garbage_kept() as garbage:
        for case in FRAMED:
            if case.reusable:
                play(codec, case.request, cut(case.wire, range(0, 500, 7)))
    modules = [str(getattr(type(thing), "__module__", "")) for thing in garbage]
    assert not [module for module in modules if module.startswith(("trioreply", "httptools"))]


class DeafParser:
    """A parser that knows every head to be that of a chunked body, and takes the end of a chunk for the body's end."""

    status_code, reason, http_version, fields = 200, b"OK", "1.1", ()

    def __init__(self, block: bytes) -> None:
        assert block == CHUNKED

    def decode(self, chunks: bytes) -> tuple[bytes, list[tuple[bytes, bytes]] | None]:
        """Say something and be content with any line end, but not with the last one."""
        return b"?", [] if chunks.endswith(b"\r\n") and not chunks.startswith(b"0") else None


@pytest.mark.parametrize("chunks", [b"1\r\nx\r\n", b"0\r\n\r\n"], ids=["too early", "too late"])
def test_two_readings_of_the_end(chunks: bytes) -> None:
    """Where the parser and the rules see the end of a body at different places, the response is in doubt and fails."""
    codec = H1Codec(DeafParser, DEFAULT_LIMITS)
    codec.start(GET)
    with pytest.raises(ProtocolFailure, match="in doubt"):
        list(codec.receive(CHUNKED + chunks))
    assert not codec.is_reusable


def named(make: Callable[[], object]) -> str:
    """The class of what is made."""
    return type(make()).__name__


@needs_httptools
def test_the_quick_one_is_chosen() -> None:
    """With httptools installed, it is used."""
    assert named(codec_maker()) == "HttptoolsCodec"


def test_the_reference_can_be_asked_for() -> None:
    """H11 is always there, and can be chosen whatever else is installed."""
    assert named(codec_maker(parser="h11")) == "H11Codec"


def without(monkeypatch: pytest.MonkeyPatch, substitute: ModuleType | None) -> None:
    """Take httptools away, or put something in its place."""
    monkeypatch.setitem(sys.modules, "httptools", substitute)
    monkeypatch.delitem(sys.modules, "trioreply._wire.h1_fast", raising=False)


def old_httptools() -> ModuleType:
    """As much of a release from before the leniencies as there is to be seen."""
    module = ModuleType("httptools")
    setattr(module, "HttpResponseParser", object)  # noqa: B010 - the type checker knows that modules have no such thing
    return module


@pytest.mark.parametrize("substitute", [None, old_httptools()], ids=["missing", "too old"])
def test_without_httptools(monkeypatch: pytest.MonkeyPatch, substitute: ModuleType | None) -> None:
    """Where httptools is missing or too old, h11 is used; who asks for httptools by name is told."""
    without(monkeypatch, substitute)
    assert named(codec_maker()) == "H11Codec"
    with pytest.raises(ImportError, match="httptools"):
        codec_maker(parser="httptools")


@by_codec
def test_limits_reach_the_codec(make: MakeCodec) -> None:
    """The limits are those that the maker was given."""
    case = Case("too long", OK + b"A: b\r\n\r\n", error=ProtocolFailure)
    assert play(make(WireLimits(fields=0)), GET, [case.wire]).error is case.error
