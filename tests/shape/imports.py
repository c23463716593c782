"""Gates about who may import what: layers, rings, sans-IO modules, third parties."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from .source import PACKAGE, Import, Kind, Source, imports_of, section_of

LAYERS = {
    "_version": 0,
    "_facade": -1,  # whatever is public says so with it
    "_clock": 0,
    "_model": 0,
    "_wire": 1,
    "_reply": 1,
    "_net": 2,
    "_policies": 2,
    "_schemes": 3,
    "_config": 4,
    "_jobs": 4,
    "_manager": 4,
    "_opening": 4,
    "_essentials": 4,
    "__init__": 5,
    "abc": 5,
    "errors": 5,
    "events": 5,
    "testing": 6,
    "_cli": 6,
    "contrib": 6,
    "__main__": 6,
}
"""From the values at the bottom to the programs at the top; two sections of one layer do not see each other."""

_FACADE = 5
_NEIGHBOURS = {
    "__init__": {"abc", "errors", "events"},
    "_manager": {"_config", "_jobs"},
    "_opening": {"_config", "_manager"},  # it opens one
    "_essentials": {"_config", "_manager", "_opening"},  # it lists them
    "_cli": {"testing"},  # `trioreply demo` brings its own server
    "__main__": {"_cli"},
}
"""The exceptions to "do not see each other"."""

TYPING_SHARE = 0.10

# Which files of layers 0 and 1 may know Trio, and why.
TRIO_BELOW = {
    f"{PACKAGE}/_model/errors.py",  # our exception classes are Trio's too
}
_SANS_IO = {"trio", "socket", "ssl", "asyncio", "select", "selectors"}
_PURE_REPLY = {"state", "buffer", "progress"}

# Values of our own public interface, so they are met in many files: a URL is one, and attrs makes the rest.
SHARED_LIBRARIES = {"trio", "attrs", "attr", "yarl"}


def imports_point_down(sources: Iterable[Source]) -> Iterator[str]:
    """A section imports only from itself and from lower layers; the programs on top import only the facade."""
    for source in sources:
        if source.section not in LAYERS:
            yield source.at(1, f"{source.section} has no layer: give it one in LAYERS")
            continue
        for imported in _internal(source):
            target = _target_section(imported)
            if not _may_see(source.section, target):
                yield source.at(imported.line, f"{source.section} must not import {imported.target}")


def _may_see(section: str, target: str) -> bool:
    if target == section or target in _NEIGHBOURS.get(section, ()):
        return True
    if LAYERS[section] > _FACADE:
        return LAYERS[target] == _FACADE
    return LAYERS[target] < LAYERS[section]


def _internal(source: Source) -> Iterator[Import]:
    return (imported for imported in imports_of(source) if imported.top == PACKAGE)


def _target_section(imported: Import) -> str:
    section = section_of(imported.target)
    return section if section in LAYERS else "__init__"


def no_import_rings(sources: Iterable[Source]) -> Iterator[str]:
    """No module imports itself through others, imports inside functions included."""
    graph = _graph(sources)
    for module in sorted(graph):
        ring = _way(graph, module)
        if ring and module == min(ring):
            yield f"{module}: import ring {' -> '.join([*ring, ring[0]])}"


def _graph(sources: Iterable[Source]) -> Mapping[str, set[str]]:
    files = {source.module: source for source in sources}
    graph: dict[str, set[str]] = {}
    for module, source in files.items():
        targets = {_module_of(imported, files) for imported in _internal(source) if imported.kind is not Kind.TYPING}
        graph[module] = targets - {"", module}
    return graph


def _module_of(imported: Import, files: Mapping[str, Source]) -> str:
    name = imported.target
    while name and name not in files:
        name = name.rpartition(".")[0]
    return name


def _way(graph: Mapping[str, set[str]], start: str) -> list[str]:
    """The modules on a shortest way from ``start`` back to it; none if there is no way."""
    came_from: dict[str, str] = {}
    queue = [start]
    for module in queue:
        for target in sorted(graph.get(module, ())):
            if target == start:
                way = [module]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if target not in came_from:
                came_from[target] = module
                queue.append(target)
    return []


def few_typing_only_imports(sources: Iterable[Source]) -> Iterator[str]:
    """At most a tenth of the internal imports are for the type checker only: they hide what depends on what."""
    internal = [(source, imported) for source in sources for imported in _internal(source)]
    hidden = [place for place in internal if place[1].kind is Kind.TYPING]
    if len(hidden) > TYPING_SHARE * len(internal):
        for source, imported in hidden:
            yield source.at(imported.line, f"one of {len(hidden)} typing-only imports among {len(internal)}")


def sans_io_is_sans_io(sources: Iterable[Source]) -> Iterator[str]:
    """Values, codecs, the reply's tables and every decision neither import the network or Trio, nor wait."""
    for source in sources:
        if not _is_sans_io(source):
            continue
        for imported in imports_of(source):
            if imported.kind is Kind.TYPING:
                continue  # naming the type of what passes through is no I/O
            if imported.top in _SANS_IO and not (imported.top == "trio" and source.path in TRIO_BELOW):
                yield source.at(imported.line, f"a sans-IO module imports {imported.top}")
        for node in _waiting_functions(source.tree):
            yield source.at(node, f"a sans-IO module has the async function {node.name}")


def _is_sans_io(source: Source) -> bool:
    name = source.module.rpartition(".")[2]
    if source.section == "_reply":
        return name in _PURE_REPLY
    return source.section in ("_model", "_wire") or name.endswith("decide")


def _waiting_functions(tree: ast.AST) -> Iterator[ast.AsyncFunctionDef]:
    """Async functions, but for those that an interface only names."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.AsyncFunctionDef):
            yield child
        if not (isinstance(child, ast.ClassDef) and any("Protocol" in ast.unparse(base) for base in child.bases)):
            yield from _waiting_functions(child)


def one_importer_per_library(sources: Iterable[Source]) -> Iterator[str]:
    """Each third-party library is known to one file of the client, so that it can be replaced there."""
    importers: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for source in sources:
        if source.section == "testing":
            continue  # it plays the other side, with libraries of its own
        for imported in imports_of(source):
            if _is_third_party(imported.top) and source.path not in dict(importers[imported.top]):
                place = source.at(imported.line, f"imports {imported.top}")
                importers[imported.top].append((source.path, place))
    for library, places in sorted(importers.items()):
        if len(places) > 1:
            others = ", ".join(path for path, _ in places[1:])
            yield f"{places[0][1]}, which is also imported by {others}; one file should stand between us and {library}"


def _is_third_party(top: str) -> bool:
    return top not in sys.stdlib_module_names and top != PACKAGE and top not in SHARED_LIBRARIES
