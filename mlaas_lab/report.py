"""Views as one page that asks nobody for anything: no script, no font, no picture from elsewhere.

The verdict comes first, in words; how to do it again comes last. Whatever a model wrote is text, and a policy in the
page's head forbids the browser to run or fetch anything, should that ever fail.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from mlaas_lab.errors import DataError
from mlaas_lab.view import Code, Facts, Mark, View
from mlaas_lab.view.formats import when
from mlaas_lab.view.html import body, style
from mlaas_lab.view.markup import Markup, element, glued, join

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Nothing runs and nothing is fetched."""
META = Markup(
    '<meta charset="utf-8"/>'
    f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    '<meta name="color-scheme" content="light dark"/>'
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where some of the records come from."""

    label: str
    facts: Sequence[tuple[str, Any]]
    """Ids, times, data and their hashes."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """What the evaluation was asked to do."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library → version, as it ran; empty when nobody knows."""


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a reader needs to trust a page, and to repeat it."""

    title: str
    made_at: float
    """UTC seconds since 1970."""
    made_with: str
    origins: Sequence[Origin]
    commands: Sequence[str]
    """Command lines that do it all again."""


def write(path: Path, views: Sequence[View], provenance: Provenance) -> Path:
    """The page at `path`, whole or not at all; the words of the first View open it.

    Raises:
        DataError: if it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page(views, provenance), encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None
    return path


def page(views: Sequence[View], provenance: Provenance) -> str:
    """The page as HTML."""
    said = views[0].summary.split("\n") if views else []
    rest = [replace(views[0], summary=""), *views[1:]] if views else []
    head = element(
        "head",
        META,
        element("title", provenance.title),
        element("style", Markup(_style())),
    )
    header = element(
        "header",
        element("h1", provenance.title),
        *(element("p", glued(sentence), class_="lead") for sentence in said if sentence),
        element("p", f"{when(provenance.made_at)} UTC, {provenance.made_with}", class_="note"),
    )
    main = element("main", header, *(body(view) for view in rest), body(repeated(provenance)), class_="mlaas")
    return join(Markup("<!doctype html>\n"), element("html", head, element("body", main), lang="en"), Markup("\n"))


@cache
def _style() -> str:
    return style() + Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def repeated(provenance: Provenance) -> View:
    """How to do it all again, and where it came from."""
    commands = Code(text="\n".join(provenance.commands))
    return View(
        title="To repeat this",
        marks=[commands] if provenance.commands else [],
        children=[told(origin) for origin in provenance.origins],
    )


def told(origin: Origin) -> View:
    """What is known of some of the records."""
    marks: list[Mark] = [Facts(rows=list(origin.facts))]
    children = []
    if origin.parameters:
        children.append(View(title="Parameters", marks=[Facts(rows=list(origin.parameters.items()))]))
    if origin.versions:
        children.append(View(title="Versions", marks=[Facts(rows=sorted(origin.versions.items()))]))
    return View(title=origin.label, marks=marks, children=children)
