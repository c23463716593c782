"""Gates about size: what a reader must hold in the head at once.

Docstrings are not counted, so nobody saves on them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from attrs import frozen

from .source import (
    Documented,
    Function,
    Source,
    code_lines,
    comments_of,
    docstring_lines,
    dotted,
    functions_of,
    imports_of,
    line_count,
    nodes_of,
    prose_in_docstrings,
)

MODULE_LINES = 500
CLASS_LINES = 350
BODY_LINES = 60
LONG_BODY_LINES = 50
LONG_BODY_SHARE = 0.02
COMPLEXITY = 12
NESTING = 4
PARAMETERS = 10
POSITIONAL = 3
PROSE_SHARE = (0.25, 0.85)
TEST_LINES = 40
TEST_RATIO = (1.1, 2.2)

_BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.Assert)
_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def modules_are_short(sources: Iterable[Source]) -> Iterator[str]:
    """A module fits in the head."""
    for source in sources:
        lines = source.text.count("\n") - len(prose_in_docstrings(source))
        if lines > MODULE_LINES:
            yield source.at(1, f"{lines} lines, and {MODULE_LINES} are the limit")


def classes_are_short(sources: Iterable[Source]) -> Iterator[str]:
    """A class has one job."""
    for source in sources:
        for node in nodes_of(source):
            if isinstance(node, ast.ClassDef) and (lines := _lines_without_prose(node)) > CLASS_LINES:
                yield source.at(node, f"class {node.name} has {lines} lines, and {CLASS_LINES} are the limit")


def _lines_without_prose(node: ast.ClassDef) -> int:
    return line_count(node) - sum(docstring_lines(inner) for inner in ast.walk(node) if isinstance(inner, Documented))


def functions_are_short(sources: Iterable[Source]) -> Iterator[str]:
    """A function fits on a screen, and nearly all on half of one."""
    bodies = [
        (source, node, line_count(node) - docstring_lines(node)) for source in sources for node in functions_of(source)
    ]
    for source, node, lines in bodies:
        if lines > BODY_LINES:
            yield source.at(node, f"{node.name} has {lines} lines, and {BODY_LINES} are the limit")
    long = [source.at(node, node.name) for source, node, lines in bodies if lines > LONG_BODY_LINES]
    if len(long) > max(1, LONG_BODY_SHARE * len(bodies)):
        yield f"{len(long)} functions have more than {LONG_BODY_LINES} lines: {'; '.join(long)}"


def functions_are_simple(sources: Iterable[Source]) -> Iterator[str]:
    """A function has few ways through it, and is not nested deeply."""
    for source in sources:
        for node in functions_of(source):
            if (ways := _complexity(node)) > COMPLEXITY:
                yield source.at(node, f"{node.name} has complexity {ways}, and {COMPLEXITY} is the limit")
            if (depth := _nesting(node)) > NESTING:
                yield source.at(node, f"{node.name} is nested {depth} deep, and {NESTING} is the limit")


def _complexity(function: Function) -> int:
    ways = 1
    for node in _own_nodes(function):
        if isinstance(node, _BRANCHES):
            ways += 1
        elif isinstance(node, ast.BoolOp):
            ways += len(node.values) - 1
        elif isinstance(node, ast.match_case):
            ways += 1
    return ways


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """What stands in a function, without what stands in functions inside it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _SCOPES):
            yield child
            yield from _own_nodes(child)


def _nesting(node: ast.AST) -> int:
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _SCOPES):
            deepest = max(deepest, _nesting(child) + (isinstance(child, _BLOCKS) and not _is_elif(node, child)))
    return deepest


def _is_elif(parent: ast.AST, child: ast.AST) -> bool:
    return isinstance(parent, ast.If) and isinstance(child, ast.If) and parent.orelse == [child]


def signatures_are_short(sources: Iterable[Source]) -> Iterator[str]:
    """Few parameters, and what is not obvious by its place is given by name."""
    for source in sources:
        for node in functions_of(source):
            positional = [name for name in _positional(node) if name not in ("self", "cls")]
            if len(positional) > POSITIONAL:
                yield source.at(node, f"{node.name} has {len(positional)} positional parameters")
            if (total := len(positional) + len(node.args.kwonlyargs)) > PARAMETERS:
                yield source.at(node, f"{node.name} has {total} parameters, and {PARAMETERS} are the limit")


def _positional(node: Function) -> list[str]:
    return [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]


def prose_keeps_step_with_code(sources: Iterable[Source]) -> Iterator[str]:
    """There is enough said about the code as a whole, and not more than a reader wants."""
    prose = code = 0
    for source in sources:
        lines = code_lines(source)
        alone = {line for line, _ in comments_of(source)} - lines
        prose += len(alone | prose_in_docstrings(source))
        code += len(lines)
    low, high = PROSE_SHARE
    if not low * code <= prose <= high * code:
        yield f"{prose} lines of prose for {code} of code; between {low:.0%} and {high:.0%} is right"


@frozen
class Budget:
    """How often an escape hatch may be used in 1,000 lines of code."""

    name: str
    per_thousand: float
    uses: Callable[[Source], Sequence[int]]
    """The lines where it is used."""


def _in_comments(pattern: str) -> Callable[[Source], Sequence[int]]:
    return lambda source: [line for line, text in comments_of(source) if re.search(pattern, text)]


def _any_lines(source: Source) -> Sequence[int]:
    nodes = (node for node in nodes_of(source) if isinstance(node, (ast.Name, ast.Attribute)))
    return [node.lineno for node in nodes if dotted(node) in ("Any", "typing.Any")]


BUDGETS = (
    Budget("type: ignore", 5, _in_comments(r"type: ignore")),
    Budget("noqa", 2, _in_comments(r"#\s*noqa")),
    Budget("Any", 2, _any_lines),
    Budget("no cover", 4, _in_comments(r"pragma: no (cover|branch)")),
)

# The tool's own words, then why.
_REASONED = re.compile(
    r"# type: ignore\[[\w, -]+\]\s+# \S"
    r"|# noqa: [A-Z0-9, ]+\s*(-|#) \S"
    r"|# pragma: no (cover|branch)\s*(-|:) \S"
)
_HATCH = re.compile(r"#\s*(type: ignore|noqa|pragma: no )")


def escape_hatches_are_rare(sources: Iterable[Source]) -> Iterator[str]:
    """The checkers are seldom told to look away; a small package is counted as if it had 1,000 lines."""
    files = list(sources)
    thousands = max(1.0, sum(len(code_lines(source)) for source in files) / 1000)
    for budget in BUDGETS:
        places = [source.at(line, budget.name) for source in files for line in budget.uses(source)]
        if len(places) > budget.per_thousand * thousands:
            yield f"{len(places)} x {budget.name} in {thousands:.1f} thousand lines: {'; '.join(places)}"


def escape_hatches_have_reasons(sources: Iterable[Source]) -> Iterator[str]:
    """Where a checker is told to look away, the line says why."""
    for source in sources:
        for line, text in comments_of(source):
            if _HATCH.search(text) and not _REASONED.search(text):
                yield source.at(line, f"no reason given: {text}")


def tests_state_their_rule(sources: Iterable[Source]) -> Iterator[str]:
    """The docstring of a test is the rule that it protects."""
    for source in sources:
        for node in _tests(source):
            if not docstring_lines(node):
                yield source.at(node, f"{node.name} does not say what rule it protects")


def tests_fit_on_a_screen(sources: Iterable[Source]) -> Iterator[str]:
    """Nine tests of ten are short enough to be read at a glance."""
    tests = [(line_count(node), source.at(node, node.name)) for source in sources for node in _tests(source)]
    long = [f"{place} ({lines})" for lines, place in tests if lines > TEST_LINES]
    if len(long) > 0.1 * len(tests):
        yield f"{len(long)} of {len(tests)} tests have more than {TEST_LINES} lines: {'; '.join(long)}"


def tests_use_the_real_thing(sources: Iterable[Source]) -> Iterator[str]:
    """No mocks, no patched modules, and no real sleep."""
    for source in sources:
        for imported in imports_of(source):
            if "mock" in imported.target.lower().replace("mockclock", ""):
                yield source.at(imported.line, f"imports {imported.target}")
        for node in nodes_of(source):
            if isinstance(node, ast.Call) and (name := dotted(node.func)) in ("time.sleep", "monkeypatch.setattr"):
                yield source.at(node, f"calls {name}")


def _tests(source: Source) -> Iterator[Function]:
    for node in functions_of(source):
        if node.name.startswith("test_") and source.path.rpartition("/")[2].startswith("test_"):
            yield node


def lines_of_code(sources: Iterable[Source]) -> int:
    """How much there is to read, prose not counted."""
    return sum(len(code_lines(source)) for source in sources)
