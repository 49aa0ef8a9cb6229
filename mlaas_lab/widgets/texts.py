"""Texts as a page may show them: nothing in them acts, and each ends somewhere."""

from mlaas_lab.view.markup import cut, glued, visible

CHARS = 2000
"""Of a sentence or a cell."""
NAME = 120
"""Of a name, a title, a label."""


def text(value: str, chars: int = CHARS) -> str:
    """`value` with its figures tied to their units; what is cut says how much is missing."""
    return visible(glued(cut(value, chars)))


def plain(value: str, chars: int) -> str:
    """`value` as somebody wrote it, or its beginning."""
    return visible(value if len(value) <= chars else value[:chars] + "…")
