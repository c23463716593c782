"""The code keeps the shape that `docs/architecture` promises; each rule is a gate in `tests/shape`.

A gate that makes the code worse is changed, with a sentence that says why. Each gate is also shown a snippet that
breaks its rule, because a gate that nobody ever saw closed may be painted on the wall.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import frozen

from .shape import imports, manners, sizes
from .shape.source import Gate, Source, sources_below

CLIENT = sources_below("trioreply")
TESTS = sources_below("tests", without=("tests/benchmarks/",))


def broken(gate: Gate, sources: Iterable[Source]) -> str:
    """All places where the rule is broken, one on a line; empty if there are none."""
    return "\n".join(gate(sources))


def must_hold(gate: Gate, sources: Iterable[Source]) -> None:
    """Fail with all the places where the rule is broken, and nothing else: pytest would cut them short."""
    if complaints := broken(gate, sources):
        pytest.fail(complaints, pytrace=False)


def test_imports_point_down() -> None:
    """A section imports only from itself and from lower layers; the programs on top import only the facade."""
    must_hold(imports.imports_point_down, CLIENT)


def test_no_import_rings() -> None:
    """No module imports itself through others."""
    must_hold(imports.no_import_rings, CLIENT)


def test_few_typing_only_imports() -> None:
    """Imports for the type checker only do not hide what depends on what."""
    must_hold(imports.few_typing_only_imports, CLIENT)


def test_sans_io_is_sans_io() -> None:
    """Values, codecs, the reply's tables and every decision neither import Trio or sockets, nor wait."""
    must_hold(imports.sans_io_is_sans_io, CLIENT)


def test_one_importer_per_library() -> None:
    """Each third-party library is known to one file of the client."""
    must_hold(imports.one_importer_per_library, CLIENT)


def test_only_trios_clock() -> None:
    """Nobody reads a clock but Trio's."""
    must_hold(manners.only_trios_clock, CLIENT)


def test_nurseries_where_listed() -> None:
    """Tasks are started only in the files that are listed for it."""
    must_hold(manners.nurseries_where_listed, CLIENT)


def test_no_swallowed_cancellation() -> None:
    """Nothing catches what must always propagate."""
    must_hold(manners.no_swallowed_cancellation, CLIENT)


def test_shields_are_bounded() -> None:
    """A shielded scope stands in a listed closing path and has a deadline."""
    must_hold(manners.shields_are_bounded, CLIENT)


def test_public_things_have_docstrings() -> None:
    """Modules, public classes and public functions say what they are for, in the tests too."""
    must_hold(manners.public_things_have_docstrings, [*CLIENT, *TESTS])


def test_modules_are_short() -> None:
    """A module fits in the head, in the tests too."""
    must_hold(sizes.modules_are_short, [*CLIENT, *TESTS])


def test_classes_are_short() -> None:
    """A class has one job."""
    must_hold(sizes.classes_are_short, CLIENT)


def test_functions_are_short() -> None:
    """A function fits on a screen."""
    must_hold(sizes.functions_are_short, CLIENT)


def test_functions_are_simple() -> None:
    """A function has few ways through it and is not nested deeply."""
    must_hold(sizes.functions_are_simple, CLIENT)


def test_signatures_are_short() -> None:
    """Few parameters, and at most three of them by place."""
    must_hold(sizes.signatures_are_short, CLIENT)


def test_prose_keeps_step_with_code() -> None:
    """Enough is said about the code, and not more than a reader wants."""
    must_hold(sizes.prose_keeps_step_with_code, CLIENT)


def test_escape_hatches_are_rare() -> None:
    """The checkers are seldom told to look away."""
    must_hold(sizes.escape_hatches_are_rare, CLIENT)


def test_escape_hatches_have_reasons() -> None:
    """Where a checker is told to look away, the line says why, in the tests too."""
    must_hold(sizes.escape_hatches_have_reasons, [*CLIENT, *TESTS])


def test_tests_state_their_rule() -> None:
    """Reading the docstrings of the tests alone gives the specification."""
    must_hold(sizes.tests_state_their_rule, TESTS)


def test_tests_fit_on_a_screen() -> None:
    """Nine tests of ten can be read at a glance."""
    must_hold(sizes.tests_fit_on_a_screen, TESTS)


def test_tests_use_the_real_thing() -> None:
    """No mocks, no patched modules, no real sleep."""
    must_hold(sizes.tests_use_the_real_thing, TESTS)


def test_tests_keep_step_with_code() -> None:
    """There is more test code than code, and not so much more that changing anything becomes a burden."""
    low, high = sizes.TEST_RATIO
    assert low <= sizes.lines_of_code(TESTS) / sizes.lines_of_code(CLIENT) <= high


@frozen
class Bad:
    """A file that breaks a gate's rule, and a part of what the gate says about it."""

    gate: Gate
    complaint: str
    text: str
    path: str = "trioreply/_net/pool.py"

    def __str__(self) -> str:
        return f"{getattr(self.gate, '__name__', '')}: {self.complaint}"


def lines(count: int, indent: str = "") -> str:
    """So many lines of code."""
    return f"{indent}x = 1\n" * count


BAD = [
    Bad(imports.imports_point_down, "must not import trioreply._manager", "from .._manager import Manager"),
    Bad(
        imports.imports_point_down, "must not import trioreply._schemes", "def f():\n    import trioreply._schemes.http"
    ),
    Bad(imports.imports_point_down, "must not import trioreply._policies", "from .. import _policies"),
    Bad(imports.imports_point_down, "must not import trioreply.open_manager", "from trioreply import open_manager"),
    Bad(imports.imports_point_down, "must not import trioreply._net", "from .._net import x", "trioreply/_cli/app.py"),
    Bad(imports.imports_point_down, "utils has no layer", "", "trioreply/utils.py"),
    Bad(imports.few_typing_only_imports, "one of 1", "if TYPE_CHECKING:\n    from .dial import Dial"),
    Bad(imports.sans_io_is_sans_io, "imports trio", "import trio", "trioreply/_reply/state.py"),
    Bad(imports.sans_io_is_sans_io, "imports ssl", "from ssl import SSLContext", "trioreply/_model/tls.py"),
    Bad(imports.sans_io_is_sans_io, "async function f", "async def f(): ...", "trioreply/_policies/cache/decide.py"),
    Bad(manners.only_trios_clock, "time.monotonic", "import time\nnow = time.monotonic()"),
    Bad(manners.only_trios_clock, "imports from time", "from time import time"),
    Bad(manners.only_trios_clock, "datetime.datetime.now", "import datetime\ndatetime.datetime.now()"),
    Bad(manners.nurseries_where_listed, "opens a nursery", "import trio\ntrio.open_nursery()"),
    Bad(manners.nurseries_where_listed, "system task", "import trio\ntrio.lowlevel.spawn_system_task(f)"),
    Bad(manners.no_swallowed_cancellation, "a bare except", "try:\n    f()\nexcept:\n    pass"),
    Bad(
        manners.no_swallowed_cancellation, "BaseException", "try:\n    f()\nexcept (OSError, BaseException):\n    pass"
    ),
    Bad(manners.no_swallowed_cancellation, "Cancelled", "try:\n    f()\nexcept trio.Cancelled:\n    raise"),
    Bad(manners.no_swallowed_cancellation, "Cancelled", "with suppress(trio.Cancelled):\n    f()"),
    Bad(manners.shields_are_bounded, "list the file", "trio.move_on_after(2, shield=True)"),
    Bad(manners.shields_are_bounded, "without a deadline", "trio.CancelScope(shield=True)", "trioreply/_manager.py"),
    Bad(manners.shields_are_bounded, "afterwards", "scope.shield = True", "trioreply/_manager.py"),
    Bad(manners.public_things_have_docstrings, "module", "x = 1"),
    Bad(manners.public_things_have_docstrings, "f has", '"""."""\ndef f(): ...'),
    Bad(manners.public_things_have_docstrings, "f has", '"""."""\nclass C:\n    async def f(self): ...'),
    Bad(sizes.modules_are_short, "501 lines", lines(501)),
    Bad(sizes.classes_are_short, "class C has 351 lines", "class C:\n" + lines(350, "    ")),
    Bad(sizes.functions_are_short, "f has 61 lines", "def f():\n" + lines(60, "    ")),
    Bad(sizes.functions_are_short, "2 functions", "def f():\n" + lines(50, "    ") + "def g():\n" + lines(50, "    ")),
    Bad(sizes.functions_are_simple, "complexity 13", "def f():\n" + "    if a: pass\n" * 12),
    Bad(sizes.functions_are_simple, "complexity 13", "def f():\n    return " + " or ".join("a" * 13)),
    Bad(sizes.functions_are_simple, "complexity 13", "def f():\n    match a:\n" + "        case 1: pass\n" * 12),
    Bad(
        sizes.functions_are_simple,
        "nested 5 deep",
        "def f():\n" + "".join(" " * depth + "if a:\n" for depth in range(1, 6)) + " " * 6 + "pass",
    ),
    Bad(sizes.signatures_are_short, "4 positional", "def f(self, a, b, c, d): ..."),
    Bad(sizes.signatures_are_short, "11 parameters", "def f(*, a, b, c, d, e, f, g, h, i, j, k): ..."),
    Bad(sizes.prose_keeps_step_with_code, "0 lines of prose for 9", lines(9)),
    Bad(sizes.prose_keeps_step_with_code, "9 lines of prose for 1", "# why\n" * 9 + lines(1)),
    Bad(sizes.escape_hatches_are_rare, "6 x type: ignore", "x = 1  # type: ignore[misc]  # because\n" * 6),
    Bad(sizes.escape_hatches_are_rare, "3 x noqa", "x = 1  # noqa: E501 - because\n" * 3),
    Bad(sizes.escape_hatches_are_rare, "3 x Any", "x: Any = 1\n" * 3),
    Bad(sizes.escape_hatches_are_rare, "5 x no cover", "x = 1  # pragma: no cover - because\n" * 5),
    Bad(sizes.escape_hatches_have_reasons, "no reason given", "x = 1  # type: ignore[misc]\n"),
    Bad(sizes.escape_hatches_have_reasons, "no reason given", "x = 1  # noqa: E501\n"),
    Bad(sizes.escape_hatches_have_reasons, "no reason given", "x = 1  # noqa\n"),
    Bad(sizes.escape_hatches_have_reasons, "no reason given", "x = 1  # pragma: no cover\n"),
    Bad(sizes.tests_state_their_rule, "test_f does not say", "def test_f(): ...", "tests/test_x.py"),
    Bad(sizes.tests_fit_on_a_screen, "1 of 1", "def test_f():\n" + lines(40, "    "), "tests/test_x.py"),
    Bad(sizes.tests_use_the_real_thing, "unittest.mock", "from unittest.mock import Mock", "tests/test_x.py"),
    Bad(sizes.tests_use_the_real_thing, "time.sleep", "time.sleep(1)", "tests/test_x.py"),
    Bad(sizes.tests_use_the_real_thing, "setattr", "monkeypatch.setattr(a, 'b', c)", "tests/test_x.py"),
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_gate_sees_what_breaks_its_rule(bad: Bad) -> None:
    """A gate complains about a file that breaks its rule, and says where."""
    assert bad.complaint in broken(bad.gate, [Source(bad.path, bad.text)])


def test_ring_of_two_modules_is_seen() -> None:
    """A ring is seen even if one of its imports hides in a function."""
    first = Source("trioreply/_net/dial.py", "from .pool import Pool")
    second = Source("trioreply/_net/pool.py", "def f():\n    from .dial import Dial")
    assert "_net.dial -> trioreply._net.pool -> trioreply._net.dial" in broken(imports.no_import_rings, [first, second])


def test_second_importer_is_seen() -> None:
    """A library that two files of the client import is seen, and what only tests of the peer import is not."""
    files = [Source(f"trioreply/_wire/{name}.py", "import h11") for name in ("h1", "h2")]
    peer = Source("trioreply/testing/peer.py", "import h11")
    assert "also imported by trioreply/_wire/h2.py;" in broken(imports.one_importer_per_library, [*files, peer])
    assert not broken(imports.one_importer_per_library, [files[0], peer])


GOOD = '''
"""A module that keeps every rule: it opens a scope, catches what it may, and marks one exception with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

from .._model.errors import ReplyError
from .._model.headers import Headers
from .interfaces import Dialer


class Door(Protocol):
    """Something that opens."""

    async def open(self) -> None:
        """Open it."""
        ...


async def knock(door: Door, *, seconds: float) -> str | None:
    """Wait until ``door`` is open, but not for ever."""
    try:
        with trio.move_on_after(seconds):
            await door.open()
    except (OSError, ReplyError) as error:
        return str(error)
    if trio.current_time() < 0:  # pragma: no cover - time does not run backwards
        return "early"
    elif seconds:
        # A second look, because the first may have been too early.
        return "late"
    return None
'''.lstrip()


@pytest.mark.parametrize("gate", dict.fromkeys(bad.gate for bad in BAD))
def test_gate_lets_good_code_pass(gate: Gate) -> None:
    """A gate has nothing to say about a file that keeps the rules."""
    assert not broken(gate, [Source("trioreply/_net/knock.py", GOOD)])
