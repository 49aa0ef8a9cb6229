"""A View as HTML that needs no script, no font and no request; every text in it is text.

Colours come from the host (JupyterLab's and VS Code's variables, else the colour of the surrounding text), so light and
dark are right without asking which it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlaas_lab.view import planes, svg, widths
from mlaas_lab.view.diff import against
from mlaas_lab.view.markup import Markup, cut, element, glued, join
from mlaas_lab.view.model import (
    Answer,
    Answers,
    Badge,
    Bars,
    Cell,
    Code,
    Column,
    Ecdf,
    Facts,
    Line,
    Mark,
    ProgressBar,
    Scatter,
    Table,
    Tone,
    View,
    Whiskers,
)
from mlaas_lab.view.words import progress_words

LIMIT_BYTES = 100_000
"""A cell's output beyond this makes notebooks slow to open and diff."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """How much of a long View is written out."""

    rows: int
    chars: int
    children: int = 1000


EVERYTHING = Detail(rows=100_000, chars=100_000)
IN_A_CELL = (
    Detail(rows=500, chars=4000),
    Detail(rows=100, chars=1000),
    Detail(rows=30, chars=300),
    Detail(rows=10, chars=100, children=10),
    Detail(rows=3, chars=60, children=1),
)
"""Tried in this order until the output is small enough."""

SIGNS = {Tone.GOOD: "✓", Tone.BAD: "✗", Tone.BUSY: "●", Tone.MILD: "○"}


def to_html(view: View, *, limit_bytes: int = LIMIT_BYTES) -> str:
    """`view` as one element with its own style, for a notebook's cell; long tables and texts are cut, and say so."""
    for detail in IN_A_CELL:
        html = _cell_of(body(view, detail=detail, level=3))
        if len(html.encode()) <= limit_bytes:
            return html
    return _cell_of(body(View(title=view.title, badge=view.badge, notes=["More than a cell can show."]), level=3))


def _cell_of(drawn: Markup) -> Markup:
    # JupyterLab's rules for tables and headings name two classes; ours must weigh as much, and they come later.
    firm = style(tuple(one for one in widths.STEPS if f"m-under-{one}" in drawn)).replace(".mlaas ", ".mlaas.mlaas ")
    return element("div", element("style", Markup(firm)), drawn, class_="mlaas mathjax_ignore tex2jax_ignore")


@cache
def style(steps: tuple[int, ...] = widths.STEPS) -> str:
    """The style sheet of everything that is drawn, of tables those of some `steps`; without comments."""
    return Path(__file__).with_name("style.css").read_text(encoding="utf-8") + widths.style(".mlaas", "m", steps)


def body(view: View, *, detail: Detail = EVERYTHING, level: int = 2) -> Markup:
    """`view` without its style; `level` is that of its heading."""
    children = [body(child, detail=detail, level=min(level + 1, 6)) for child in view.children[: detail.children]]
    left = len(view.children) - len(children)
    return element(
        "section",
        element(f"h{level}", cut(view.title), Markup(" "), _badge(view.badge)) if view.title or view.badge else None,
        element("p", glued(cut(view.summary, detail.chars)), class_="summary") if view.summary else None,
        *(draw(mark, detail) for mark in view.marks),
        _twin(view, detail),
        *(element("p", glued(cut(note, detail.chars)), class_="note") for note in view.notes),
        *children,
        element("p", f"… {left:,} more sections", class_="note") if left else None,
    )


def draw(mark: Mark, detail: Detail = EVERYTHING) -> Markup:
    """One mark."""
    match mark:
        case Line() | Ecdf() | Whiskers() | Bars() | Scatter():
            return _chart(mark)
        case ProgressBar():
            return _progress(mark)
        case Answers():
            return _answers(mark, detail)
        case Facts():
            return _facts(mark, detail)
        case Code():
            label = element("div", cut(mark.label), class_="label") if mark.label else None
            return join(label, element("pre", element("code", cut(mark.text, 4 * detail.chars)), tabindex="0"))


def _chart(mark: Line | Ecdf | Whiskers | Bars | Scatter) -> Markup:
    match mark:
        case Line():
            return svg.line(mark)
        case Ecdf():
            return svg.ecdf(mark)
        case Whiskers():
            return svg.whiskers(mark)
        case Bars():
            return svg.bars(mark)
        case Scatter():
            return planes.scatter(mark)


def _twin(view: View, detail: Detail) -> Markup | None:
    if view.table is None:
        return None
    drawn = _table(view.table, detail)
    if not view.folded:
        return drawn
    return element("details", element("summary", "The numbers"), drawn)


def _table(table: Table, detail: Detail) -> Markup:
    heads, step = table.heads, widths.step(table)
    shown = [_row(row, heads, detail) for row in table.rows[: detail.rows]]
    left = len(table.rows) - len(shown)
    drawn = element(
        "table",
        element("caption", cut(table.caption)) if table.caption else None,
        element("thead", element("tr", *(_head(head) for head in heads))),
        element("tbody", *shown),
        class_=f"wide under-{step}" if step else None,
    )
    more = element("p", f"… {left:,} more rows", class_="note") if left else None
    return join(element("div", drawn, class_="scroll", tabindex="0"), more)


def _head(head: Column) -> Markup:
    unit = element("span", f" {cut(head.unit)}", class_="unit") if head.unit else None
    return element("th", cut(head.title), unit, scope="col", class_=_class(head))


def _row(row: Sequence[Cell], heads: Sequence[Column], detail: Detail) -> Markup:
    labelled = len(heads) > widths.NARROW
    return element("tr", *(_cell(v, head, detail, labelled=labelled) for v, head in zip(row, heads, strict=True)))


def _cell(value: Cell, head: Column, detail: Detail, *, labelled: bool) -> Markup:
    text = value.text if isinstance(value, Badge) else glued(cut(head.format(value), detail.chars))
    shown = _badge(value) if isinstance(value, Badge) else text
    label = cut(f"{head.title} {head.unit}".strip()) if labelled else None
    ranged = head.align == "right" and widths.RANGE in text
    inside = element("span", _ranged(text) if ranged else shown, dir="auto" if isinstance(value, str) else None)
    kind = _class(head, whole=len(text) <= widths.WHOLE, none=value is None, ranged=ranged)
    return element("td", inside, class_=kind, data_label=label)


def _ranged(text: str) -> Markup:
    """An estimate and its interval, each in one piece."""
    estimate, _, interval = text.partition(widths.RANGE)
    return join(element("span", estimate, class_="whole"), " ", element("span", f"({interval}", class_="whole"))


def _class(head: Column, *, whole: bool | None = None, none: bool = False, ranged: bool = False) -> str | None:
    """Classes of a cell; `whole` None: it is a title."""
    left = head.align == "left"
    text = {"whole": left and whole, "long": left and whole is False and not head.wrap}
    named = {"num": not left, "wrap": head.wrap, **text, "none": none, "ranged": ranged}
    return " ".join(name for name, holds in named.items() if holds) or None


def _badge(badge: Badge | None) -> Markup | None:
    if badge is None:
        return None
    sign = element("span", SIGNS[badge.tone], aria_hidden="true")
    return element("span", sign, f" {cut(badge.text)}", class_=f"badge {badge.tone}")


def _progress(mark: ProgressBar) -> Markup:
    share = None if not mark.total else min(1.0, max(0.0, mark.n / mark.total))
    done = element("div", style=f"width:{100 * share:.1f}%") if share is not None else element("div", class_="unknown")
    track = element(
        "div",
        done,
        class_=f"track {mark.tone}",
        role="progressbar",
        aria_label=cut(mark.phase or mark.unit),
        aria_valuemin="0",
        aria_valuemax=mark.total,
        aria_valuenow=mark.n,
    )
    return element("div", track, element("div", cut(progress_words(mark)), class_="label"), class_="progress")


def _facts(mark: Facts, detail: Detail) -> Markup:
    plain = Column(title="")
    pairs = (
        join(
            element("dt", cut(name)),
            element("dd", _badge(value) if isinstance(value, Badge) else cut(plain.format(value), detail.chars)),
        )
        for name, value in mark.rows[: detail.rows]
    )
    return element("dl", *pairs)


def _answers(mark: Answers, detail: Detail) -> Markup:
    base = mark.reference
    reference = _answer("reference", cut(base, detail.chars), "reference") if base is not None else None
    drawn = []
    for answer in mark.answers:
        drawn.append(_one_answer(answer, base if mark.differences else None, detail))
        base = answer.text if base is None else base
    label = element("div", cut(mark.label), class_="label") if mark.label else None
    prompt = element("div", cut(mark.prompt, detail.chars), class_="prompt said", dir="auto")
    return element("article", label, prompt, element("div", reference, *drawn, class_="side"), class_="answers")


def _one_answer(answer: Answer, base: str | None, detail: Detail) -> Markup:
    note = element("span", glued(cut(answer.note)), class_=f"remark {answer.tone}") if answer.note else None
    failed = _badge(Badge(text=answer.error or "no answer", tone=Tone.BAD)) if answer.error or not answer.note else None
    head = join(_badge(answer.badge), note)
    if answer.text is None:
        return _answer(answer.target, failed, "missing", head, answer.facts)
    said = _said(answer.text, base, detail)
    return _answer(answer.target, join(said, Markup(" "), failed) if answer.error else said, "", head, answer.facts)


def _said(text: str, base: str | None, detail: Detail) -> Markup:
    if text == "":
        return element("span", "(empty)", class_="note")
    shown = cut(text, detail.chars)
    if base is None:
        return join(shown)
    return join(*(element("mark", piece.text) if piece.differs else piece.text for piece in against(shown, base)))


def _answer(target: str, said: str | None, kind: str, note: Markup | None = None, facts: Sequence[str] = ()) -> Markup:
    head = element("div", element("span", cut(target), class_="who"), note, class_="label")
    took = element("div", *(element("span", glued(cut(fact))) for fact in facts), class_="took") if facts else None
    return element("div", head, element("div", said, class_="said", dir="auto"), took, class_=f"answer {kind}".strip())
