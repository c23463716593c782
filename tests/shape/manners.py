"""Gates about how the code behaves towards time, cancellation and tasks, and about what it says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from .source import PACKAGE, Function, Source, decorated, docstring_of, nodes_of

# Where tasks may be started, and what they are. A nursery that is not visible from here is a leak in waiting.
NURSERIES = {
    f"{PACKAGE}/_opening.py",  # the exchanges, detached uploads, the reaper: all tasks of a manager
    f"{PACKAGE}/_jobs/download.py",  # the job of one download
    f"{PACKAGE}/_jobs/fetch_all.py",  # the fetches of one block
    f"{PACKAGE}/_cli/tasks.py",  # the downloads of one command; who tells of a stream of events while it is read
    f"{PACKAGE}/_net/dial.py",  # the attempts that race each other
    f"{PACKAGE}/_net/h1_connection.py",  # writing a request while its response is read
}

# Closing paths: what must still happen when the task is cancelled already, and is bounded in time.
SHIELDS = {
    f"{PACKAGE}/_manager.py",  # leaving waits a moment for polite farewells
    f"{PACKAGE}/_reply/reply.py",  # leaving a reply's block waits until it holds nothing
    f"{PACKAGE}/_net/dial.py",  # the attempts that lost the race are closed
    f"{PACKAGE}/_net/upload.py",  # a body's file is closed
    f"{PACKAGE}/_net/owned.py",  # a file is closed, a temporary one removed
    f"{PACKAGE}/_jobs/patient.py",  # a write that was begun ends before the file is let go
}

# Where wall-clock time enters, to be passed on as a function.
WALL_CLOCKS = {f"{PACKAGE}/_clock.py"}

_CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"}
_DATES = {"now", "utcnow", "today"}
_NOT_TO_CATCH = {"BaseException", "Cancelled", "KeyboardInterrupt", "GeneratorExit"}
_SCOPES = {"CancelScope", "move_on_after", "move_on_at", "fail_after", "fail_at"}


def only_trios_clock(sources: Iterable[Source]) -> Iterator[str]:
    """Nobody reads a clock but Trio's: time that tests cannot move makes rules that tests cannot check."""
    for source in sources:
        if source.path in WALL_CLOCKS:
            continue
        for node in nodes_of(source):
            if isinstance(node, ast.ImportFrom) and node.module == "time":
                yield source.at(node, "imports from time")
            elif isinstance(node, ast.Attribute) and _is_clock(node):
                yield source.at(node, f"uses {ast.unparse(node)}; take the time as an argument, or trio.current_time()")


def _is_clock(node: ast.Attribute) -> bool:
    owner = ast.unparse(node.value)
    if owner == "time":
        return node.attr in _CLOCKS
    return owner.rpartition(".")[2] in ("datetime", "date") and node.attr in _DATES


def nurseries_where_listed(sources: Iterable[Source]) -> Iterator[str]:
    """Tasks are started in the files that are listed for it, and never as system tasks."""
    for source in sources:
        for node in nodes_of(source):
            name = _last_name(node)
            if name == "open_nursery" and not _is_listed(source, NURSERIES):
                yield source.at(node, "opens a nursery; list the file in NURSERIES with what its tasks are")
            elif name == "spawn_system_task":
                yield source.at(node, "starts a system task, which nobody owns")


def no_swallowed_cancellation(sources: Iterable[Source]) -> Iterator[str]:
    """No bare ``except``, and none for what must always propagate."""
    for source in sources:
        for node in nodes_of(source):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                yield source.at(node, "a bare except")
            elif isinstance(node, ast.ExceptHandler) and node.type is not None:
                yield from _forbidden(source, node.type, node)
            elif isinstance(node, ast.Call) and _last_name(node.func) == "suppress":
                for argument in node.args:
                    yield from _forbidden(source, argument, node)


def _forbidden(source: Source, caught: ast.expr, place: ast.AST) -> Iterator[str]:
    for name in sorted({_last_name(node) for node in ast.walk(caught)} & _NOT_TO_CATCH):
        yield source.at(place, f"catches {name}, which must propagate")


def shields_are_bounded(sources: Iterable[Source]) -> Iterator[str]:
    """A shielded scope stands in a closing path, in a listed file, and has a deadline."""
    for source in sources:
        for node in nodes_of(source):
            if isinstance(node, ast.Call) and _last_name(node.func) in _SCOPES:
                yield from _check_scope(source, node)
            elif isinstance(node, ast.Assign) and any(_last_name(target) == "shield" for target in node.targets):
                yield source.at(node, "shields a scope afterwards; give shield and deadline when it is made")


def _check_scope(source: Source, call: ast.Call) -> Iterator[str]:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    shield = keywords.get("shield")
    if shield is None or (isinstance(shield, ast.Constant) and shield.value is False):
        return
    if not _is_listed(source, SHIELDS):
        yield source.at(call, "a shielded scope; list the file in SHIELDS with what it closes")
    if _last_name(call.func) == "CancelScope" and not keywords.keys() & {"deadline", "relative_deadline"}:
        yield source.at(call, "a shielded scope without a deadline can hang for ever")


def public_things_have_docstrings(sources: Iterable[Source]) -> Iterator[str]:
    """Modules, public classes, and public functions and methods say what they are for."""
    for source in sources:
        if source.text.strip() and docstring_of(source.tree) is None:
            yield source.at(1, "the module has no docstring")
        for node in _public(source.tree):
            if docstring_of(node) is None:
                yield source.at(node, f"{node.name} has no docstring")


def _public(node: ast.AST) -> Iterator[ast.ClassDef | Function]:
    """Public classes, functions and methods; nothing that is inside a function or a private class is public."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _public(child)
        elif _is_public(child):
            yield child
            if isinstance(child, ast.ClassDef):
                yield from _public(child)


def _is_public(node: ast.ClassDef | Function) -> bool:
    if node.name.startswith("_"):
        return False
    return isinstance(node, ast.ClassDef) or not decorated(node, "overload", "setter", "deleter")


def _is_listed(source: Source, listed: set[str]) -> bool:
    # `testing` plays servers and networks: it has tasks and closing paths of its own.
    return source.path in listed or source.section == "testing"


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
