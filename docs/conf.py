"""How the documentation is built: ``nox -s docs``, with every warning an error and without a network.

The reference lists no names by hand: the directive ``public-names`` takes them from the package, so that no public name
can be without documentation. The coming release's part of the changelog is drafted from the fragments in ``changes``.

Three things would go wrong by themselves. Public classes say that they come from ``trioreply``, where autodoc looks in
vain for the texts below their fields; it is told where they are. The lists of arguments and exceptions in our
docstrings are not reStructuredText; they are made into it. And a docstring names what is public without saying from
where.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

from trioreply import _version

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx import addnodes
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).parent
PLACES = ("trioreply", "trioreply.errors", "trioreply.events", "trioreply.abc", "trioreply.testing")

project = "trioreply"
author = "The trioreply authors"
copyright = "2026, the trioreply authors"
release = version = _version.__version__

sys.path.insert(0, str(DOCS))
extensions = ["sphinx.ext.autodoc", "sphinxcontrib_trio", "_ext.state_directives"]
exclude_patterns = ["_build", "_ext", "changes"]
html_theme = "furo"
html_title = f"trioreply {release}"
# Single backquotes name something of ours, such as `Reply.read`, in every page.
default_role = "py:obj"
rst_prolog = ".. currentmodule:: trioreply\n"
nitpicky = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True

nitpick_ignore_regex = [
    # Other projects' names: their inventories are not fetched while building.
    (
        r"py:\w+",
        r"(trio|yarl|multidict|attrs?|h11|ssl|socket|os|typing|collections|contextlib|datetime|enum|abc|math|pathlib)\..*",
    ),
    # What signatures mention of the inside: aliases, type variables and protocols, which no reader needs to follow.
    (r"py:\w+", r"trioreply\._.*"),
    (r"py:\w+", r"trioreply\.testing\.[a-z_]+\..*"),
    ("py:class", r"ReplyLike|Replies|HeaderFields|Headers|Auth|AuthSource|Body|Psk|Source|T|Ts|URL|Path|SSLContext"),
    ("py:class", r"OpenQuestion"),
    ("py:obj", r"(Reply)?Owner\..*"),
    # A member of an enumeration, in the docstring of that enumeration.
    ("py:obj", r"NO_ERROR"),
]


_OPTIONS = {
    # A reply's members come from several classes that nobody needs to know by name; Python's own are left out.
    "main": "   :inherited-members: Exception, dict",
    # The members of an enumeration speak for themselves.
    "choices": "   :undoc-members:",
}


class PublicName(NamedTuple):
    """Something that users may import, and the shortest place to import it from."""

    place: str
    name: str
    value: object

    @property
    def kind(self) -> str:
        """The part of the reference that it belongs to."""
        if self.place in ("trioreply.abc", "trioreply.testing"):
            return {"trioreply.abc": "interfaces", "trioreply.testing": "testing"}[self.place]
        if inspect.isclass(self.value) and issubclass(self.value, Exception):
            return "errors"
        if inspect.isclass(self.value) and issubclass(self.value, enum.Enum):
            return "choices"
        events = importlib.import_module("trioreply.events")
        return "events" if self.name in events.__all__ else "main"

    @property
    def directive(self) -> list[str]:
        """What a person would write to have it documented."""
        target = f"{self.place}.{self.name}"
        if inspect.isclass(self.value):
            option = _OPTIONS.get(self.kind, "   :show-inheritance:")
            return [f".. autoclass:: {target}", "   :members:", option, ""]
        if inspect.isroutine(self.value):
            return [f".. autofunction:: {target}", ""]
        return [f".. autodata:: {target}", "   :no-value:", ""]


def public_names() -> list[PublicName]:
    """Every public name once, in the order of the alphabet."""
    found: dict[str, PublicName] = {}
    for place in PLACES:
        module = importlib.import_module(place)
        for name in module.__all__:
            if not name.startswith("_"):
                found.setdefault(name, PublicName(place, name, getattr(module, name)))
    return sorted(found.values(), key=lambda public: public.name.lower())


class PublicNames(SphinxDirective):
    """``.. public-names:: KIND``: the documentation of every public name of that kind."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Have autodoc document them, as if each stood in the page."""
        lines = [line for public in public_names() if public.kind == self.arguments[0] for line in public.directive]
        return self.parse_text_to_nodes("\n".join(lines))


def draft_changelog(app: Sphinx) -> None:
    """Write what the next release's part of the changelog will say; the page includes it."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "Next release", "--date", "not yet"]
    result = subprocess.run(command, cwd=DOCS.parent, capture_output=True, text=True, check=True)
    folder = DOCS / "_build"
    folder.mkdir(exist_ok=True)
    (folder / "changelog-draft.rst").write_text(result.stdout, "utf-8")


def find_fields(_app: Sphinx) -> None:
    """Show autodoc the texts below fields and type aliases: they stand where a name is made, not where it is public."""
    public_names()  # imports them all
    private = [name for name in [*sys.modules] if name.startswith("trioreply._")]
    texts = {key: text for name in private for key, text in ModuleAnalyzer.for_module(name).find_attr_docs().items()}
    for place in PLACES:
        public = importlib.import_module(place).__all__
        own = ModuleAnalyzer.for_module(place).find_attr_docs()
        own.update({(scope, name): text for (scope, name), text in texts.items() if (scope or name) in public})


_SECTIONS = {"Args:": "param", "Raises:": "raises"}
_ITEM = re.compile(r" {4}(\S.*?): (.*)")


def as_field_lists(  # the signature is autodoc's
    _app: Sphinx, _what: str, _name: str, _thing: object, _options: object, lines: list[str]
) -> None:
    """Make ``Args:`` and ``Raises:`` of a docstring the field lists that Sphinx knows."""
    lines[:] = _with_fields(lines)


def _with_fields(lines: list[str]) -> Iterator[str]:
    field = None
    for line in lines:
        if line in _SECTIONS:
            field = _SECTIONS[line]
        elif field is None:
            yield line
        elif line and not line.startswith(" "):
            field = None
            yield from ("", line)
        elif item := _ITEM.fullmatch(line):
            yield f":{field} {item[1]}: {item[2]}"
        else:
            yield line.removeprefix("    ")


def find_elsewhere(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.reference | None:
    """A link to what ``node`` names, if it is public in another module than the one where it is named."""
    python = env.domains.python_domain
    names = (f"{place}.{node.get('reftarget')}" for place in PLACES)
    found = next((name for name in names if name in python.objects), None)
    if found is None or node.get("refdomain") != "py":
        return None
    entry = python.objects[found]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, found)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.connect("builder-inited", draft_changelog)
    app.connect("builder-inited", find_fields)
    app.connect("autodoc-process-docstring", as_field_lists)
    app.connect("missing-reference", find_elsewhere)
