"""Sphinx directives for what `state_drawing` makes: ``reply-state-table`` and ``reply-state-picture``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from .state_drawing import picture, table_lines

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class StateTable(SphinxDirective):
    """``.. reply-state-table::``: every move of a reply, with its events."""

    def run(self) -> list[nodes.Node]:
        """As if the table stood in the page."""
        return self.parse_text_to_nodes("\n".join(table_lines()))


class StatePicture(SphinxDirective):
    """``.. reply-state-picture::``: the states and the moves between them, for HTML."""

    def run(self) -> list[nodes.Node]:
        """The picture; other formats have the table."""
        return [nodes.raw("", picture(), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("reply-state-table", StateTable)
    app.add_directive("reply-state-picture", StatePicture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
