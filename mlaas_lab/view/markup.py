"""HTML that cannot be broken by its content: the one place where text becomes markup.

A child or an attribute is text and is escaped, unless it is Markup, which only `element` makes. Characters that a
browser or a terminal would obey rather than show (controls, bidirectional overrides) become visible ones.
"""

import re
from html import escape

VOID = frozenset({"meta", "br", "hr", "line", "circle", "rect", "path", "polyline"})
"""Elements without content; those of SVG are closed in their tag."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


NAME = 120
"""Characters of a name: of a target, a column, a series. Texts may be longer; they are cut where they are drawn."""

CLASS = "m-"
"""What every class but those of the outermost element begins with: hosts have rules of their own for
`progress`, `label`, `badge` and `row`."""

OUTERMOST = frozenset({"mlaas", "mathjax_ignore", "tex2jax_ignore"})
"""Ours, and what keeps JupyterLab and exported notebooks from setting `$0.01 of $0.5` as a formula."""

HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Controls save tab and line feed, marks that reorder or hide text, lone surrogates, invisible tags."""


UNIT = re.compile(r"(?<=\d) (?=%|(?:ms|s|min|h|points|kB|MB|GB)\b)")


def visible(text: str) -> str:
    """`text` with every character that acts instead of showing replaced by one that shows."""
    return HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def cut(value: str, chars: int = NAME) -> str:
    """`value`, or its beginning and how much is missing."""
    return value if len(value) <= chars else f"{value[:chars]}… ({len(value) - chars:,} more characters)"


def glued(value: str) -> str:
    """`value` with its figures tied to their units, so that no line ends between `82` and `%`."""
    return UNIT.sub("\u00a0", value)


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"


def text(value: str) -> Markup:
    """`value` as text inside an element or an attribute."""
    return Markup(escape(visible(value), quote=True))


def element(name: str, *children: str | None, **attributes: str | float | None) -> Markup:
    """One element; an underscore in an attribute's name is a hyphen, a trailing one is dropped, None leaves it out.

    Classes get our prefix.
    """
    if isinstance(named := attributes.get("class_"), str):
        attributes = {**attributes, "class_": " ".join(w if w in OUTERMOST else CLASS + w for w in named.split())}
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value if isinstance(value, str) else f"{value:g}")}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Children one after the other; what is not Markup is text."""
    return Markup("".join(c if isinstance(c, Markup) else text(c) for c in children if c is not None))
