"""Source files as values: text, syntax tree, and the two things every gate asks about: imports and comments."""

from __future__ import annotations

import ast
import enum
import functools
import io
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import field, frozen

PACKAGE = "trioreply"
ROOT = Path(__file__).parents[2]

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@frozen
class Source:
    """One file of Python."""

    path: str
    """Relative to the root of the project, with forward slashes."""
    text: str = field(repr=False)

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree, made when a gate asks for it: not everybody who imports the gates runs them."""
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        """The dotted name."""
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def section(self) -> str:
        """The part of the package it belongs to: ``_net`` for ``trioreply._net.pool``, ``__init__`` for the facade."""
        return section_of(self.module)

    def at(self, node: ast.AST | int, message: str) -> str:
        """``message``, with the place in front."""
        line = node if isinstance(node, int) else getattr(node, "lineno", 1)
        return f"{self.path}:{line}: {message}"


Gate = Callable[[Iterable[Source]], Iterator[str]]


def sources_below(folder: str, *, without: tuple[str, ...] = ()) -> tuple[Source, ...]:
    """All Python files below ``folder`` of the project, but those whose path starts with one of ``without``."""
    files = sorted((ROOT / folder).rglob("*.py"))
    named = [(file.relative_to(ROOT).as_posix(), file) for file in files]
    return tuple(Source(name, file.read_text("utf-8")) for name, file in named if not name.startswith(without))


def section_of(module: str) -> str:
    """See `Source.section`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


class Kind(enum.Enum):
    """When an import happens."""

    RUNTIME = "at import"
    LAZY = "inside a function"
    TYPING = "for the type checker"


@frozen
class Import:
    """One imported name, made absolute."""

    target: str
    """``trioreply._net.pool.Pool`` for ``from .._net.pool import Pool``."""
    line: int
    kind: Kind

    @property
    def top(self) -> str:
        """The distribution's module: ``h11`` for ``h11._events``."""
        return self.target.partition(".")[0]


def imports_of(source: Source) -> Iterator[Import]:
    """Every import of a file, wherever it stands."""
    yield from _imports_in(source, source.tree, Kind.RUNTIME)


def _imports_in(source: Source, node: ast.AST, kind: Kind) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, kind) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(source, child)
            yield from (Import(f"{base}.{alias.name}", child.lineno, kind) for alias in child.names)
        else:
            yield from _imports_in(source, child, _kind_below(child, kind))


def _kind_below(node: ast.AST, kind: Kind) -> Kind:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return Kind.TYPING
    if kind is Kind.RUNTIME and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Kind.LAZY
    return kind


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = source.module.split(".")
    package = parts if source.path.endswith("/__init__.py") else parts[:-1]
    kept = package[: len(package) - node.level + 1]
    return ".".join([*kept, node.module] if node.module else kept)


def docstring_of(node: Documented) -> ast.Expr | None:
    """The statement that is the docstring of ``node``."""
    return node.body[0] if ast.get_docstring(node) is not None and isinstance(node.body[0], ast.Expr) else None


def line_count(node: ast.stmt) -> int:
    """How many lines a statement takes, decorators not counted."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def docstring_lines(node: Documented) -> int:
    """How many lines the docstring takes."""
    docstring = docstring_of(node)
    return line_count(docstring) if docstring is not None else 0


@functools.cache
def nodes_of(source: Source) -> tuple[ast.AST, ...]:
    """The whole syntax tree; many gates walk through it."""
    return tuple(ast.walk(source.tree))


def functions_of(source: Source) -> Iterator[Function]:
    """Every function and method, overload signatures left out."""
    for node in nodes_of(source):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not decorated(node, "overload"):
            yield node


def dotted(node: ast.AST) -> str:
    """``a.b`` for two names with a dot between them, ``a`` for one; empty for all else. `ast.unparse` takes long."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def decorated(node: Function, *names: str) -> bool:
    """Whether a decorator's last name is one of ``names``."""
    return any(ast.unparse(decorator).rpartition(".")[2] in names for decorator in node.decorator_list)


@functools.cache
def _tokens_of(source: Source) -> tuple[tokenize.TokenInfo, ...]:
    return tuple(tokenize.generate_tokens(io.StringIO(source.text).readline))


def comments_of(source: Source) -> Iterator[tuple[int, str]]:
    """Every comment, with its line."""
    return ((token.start[0], token.string) for token in _tokens_of(source) if token.type == tokenize.COMMENT)


_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


@functools.cache
def code_lines(source: Source) -> frozenset[int]:
    """The lines that hold more than a comment or a docstring."""
    tokens = (token for token in _tokens_of(source) if token.type not in _NO_CODE)
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return frozenset(lines - prose_in_docstrings(source))


@functools.cache
def prose_in_docstrings(source: Source) -> frozenset[int]:
    """The lines of all docstrings."""
    documented = (node for node in nodes_of(source) if isinstance(node, Documented))
    docstrings = (docstring for node in documented if (docstring := docstring_of(node)) is not None)
    return frozenset(line for node in docstrings for line in range(node.lineno, node.lineno + line_count(node)))
