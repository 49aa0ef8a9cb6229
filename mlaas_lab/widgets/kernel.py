"""The kernel's side of a live comparison: a message in, an answer as data out.

A page may send anything, so every message is read by a closed schema; a kind that is unknown gets no answer, what goes
wrong is told as text. It knows no widget: whatever carries messages can ask it.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import Field

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.view import View
from mlaas_lab.view.formats import count
from mlaas_lab.view.markup import visible
from mlaas_lab.widgets import cards, content, exports
from mlaas_lab.widgets.behind import Behind
from mlaas_lab.widgets.messages import EXPECTED, Message, answered
from mlaas_lab.widgets.opens import Opens
from mlaas_lab.widgets.texts import NAME, text
from mlaas_lab.widgets.which import FIELDS, WORDS, Only, Which, asked, query

PAGE = 10
"""Samples in a page."""
MOST_EXPORTED = 500
"""Samples in an HTML page; CSV and Parquet have all."""


class Rows(Message):
    """A page of the samples behind a number."""

    which: Which | None = None
    """None: those to begin with."""
    offset: int = Field(0, ge=0)
    limit: int = Field(PAGE, ge=1, le=50)


class Whole(Message):
    """One sample with every repeat and every text in full."""

    which: Which
    sample: int = Field(ge=0)


class Export(Message):
    """What is shown, as a file: the rows behind a number, or a section by its place."""

    form: exports.Format
    which: Which | None = None
    section: int | None = Field(None, ge=0)


KINDS: Mapping[str, type[Message]] = {"rows": Rows, "whole": Whole, "export": Export}


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a live comparison stands on."""

    title: str
    frame: pl.DataFrame
    """Records, targets told apart."""
    views: Sequence[View]
    """What the panels say of them."""
    words: Sequence[str]
    """The command that shows it, word by word, without `mlaas`."""
    facts: Sequence[str] = ()
    """Short remarks on where it comes from."""
    links: Sequence[tuple[str, str]] = ()
    """Words and address of pages that know more; only http and https are shown."""
    show: str = ""
    """The rows to begin with, as `target=a&only=errors`."""
    folder: Path = field(default_factory=Path.cwd)
    """Where exports go."""


class Kernel:
    """Answers for one comparison."""

    def __init__(self, compared: Compared) -> None:
        """Nothing is computed before it is asked for."""
        self.compared = compared
        self.behind = Behind(compared.frame)

    @cached_property
    def first(self) -> JSON:
        """All that a page needs to be seen; no record is read for it.

        Raises:
            UsageError: if the rows to begin with are named by words that are unknown.
        """
        told = self.compared
        named = self.behind.choices
        return {
            "title": text(told.title),
            "facts": [text(fact) for fact in told.facts],
            "links": [[text(words), url] for words, url in told.links if web(url)],
            "sections": content.sections(told.views, Opens(named)),
            "choices": {f: [text(name, NAME) for name in named.named(f)] for f in FIELDS},
            "only": [[str(only), WORDS[only]] for only in self._offered()],
            "code": self.code(),
            "asked": bool(told.show and self.beginning),
        }

    @cached_property
    def opening(self) -> JSON:
        """The first answers, so that a page says something of them without a kernel too."""
        return self._rows(Rows(kind="rows", id=0, limit=PAGE // 2))

    def answer(self, message: object) -> dict[str, JSON] | None:
        """What to send back; None for what is no message of ours."""
        return answered(message, KINDS, self._answer, expected=(*EXPECTED, pl.exceptions.PolarsError))

    def code(self, which: Which | None = None) -> str:
        """The line for a cell that shows the same."""
        words = list(self.compared.words)
        if which is not None:
            words += ["--show", query(which, self.behind.choices)]
        # Braces and dollars are Python's in a magic, unless it is told to leave them alone.
        words += ["--raw"] if any(set("{$") & set(word) for word in words) else []
        return visible(f"%mlaas {shlex.join(words)}")

    def _answer(self, message: Message) -> dict[str, JSON]:
        match message:
            case Rows():
                return self._rows(message)
            case Whole():
                return self._whole(message)
            case Export():
                return self._export(message)
            case _:
                raise UsageError(f"nothing answers {message.kind!r}.")

    def _rows(self, message: Rows) -> dict[str, JSON]:
        which = self.beginning if message.which is None else self.behind.choices.check(message.which)
        picked = self.behind.pick(which)
        # A page beyond the end is the last one: what is behind a page may have become less.
        offset = min(message.offset, max(0, (len(picked) - 1) // message.limit * message.limit))
        chosen = [int(sample) for sample in picked[offset : offset + message.limit]]
        mine, told = self._mine(which), self._told(which)
        shown = [cards.card(rows, metrics=told, mine=mine) for rows in self.behind.page(chosen)]
        return {
            "kind": "rows",
            "which": which.model_dump(mode="json", exclude_none=True),
            "offset": offset,
            "total": len(picked),
            "cards": shown,
            "said": text(self.behind.said(which, len(picked))),
            "chips": self._chips(which),
            "code": self.code(which),
        }

    def _whole(self, message: Whole) -> dict[str, JSON]:
        which = self.behind.choices.check(message.which)
        (rows,) = self.behind.page([message.sample])
        if not rows:
            raise UsageError(f"there is no sample {message.sample}.")
        told = cards.card(rows, metrics=self._told(which), mine=self._mine(which), whole=True)
        return {"kind": "whole", "card": told}

    def _export(self, message: Export) -> dict[str, JSON]:
        if message.which is not None:
            paths, said = self._rows_out(self.behind.choices.check(message.which), message.form)
        elif message.section is not None and message.section < len(self.compared.views):
            paths, said = self._section_out(self.compared.views[message.section], message.form)
        else:
            raise UsageError("there is no such section.")
        guard = f" {exports.GUARD}" if message.form == "csv" else ""
        return {"kind": "export", "paths": [visible(str(path)) for path in paths], "said": f"{said}{guard}"}

    def _rows_out(self, which: Which, form: exports.Format) -> tuple[list[Path], str]:
        name = f"{self._stem} {which.only}"
        if form != "html":
            frame = self.behind.records(which)
            return [self._write(name, form, lambda: exports.rows(frame, form))], f"{count(len(frame))} records."
        picked = [int(sample) for sample in self.behind.pick(which)]
        shown = self.behind.page(picked[:MOST_EXPORTED])
        marks = [cards.mark(rows, self.behind.choices.metrics) for rows in shown]
        said = f"{count(len(shown))} of {count(len(picked))} samples."
        view = View(title="Answers", summary=self.behind.said(which, len(picked)), marks=marks, notes=[said])
        return [self._write(name, form, lambda: self._page([view], which))], said

    def _section_out(self, view: View, form: exports.Format) -> tuple[list[Path], str]:
        if form == "html":
            return [self._write(f"{self._stem} {view.title}", form, lambda: self._page([view]))], ""
        paths = []
        for title, table in content.tables(view):
            frame = exports.frame_of(table)
            paths.append(self._write(f"{self._stem} {title}", form, lambda f=frame: exports.rows(f, form)))
        if not paths:
            raise UsageError("there is no table here.", next="HTML has what is shown.")
        return paths, ""

    def _write(self, name: str, form: exports.Format, made: Any) -> Path:
        return exports.write(self.compared.folder, name, form, made)

    def _page(self, views: Sequence[View], which: Which | None = None) -> bytes:
        return exports.page(views, title=self.compared.title, commands=[self.code(which).removeprefix("%")])

    @property
    def _stem(self) -> str:
        return f"compare {self.compared.title}"[:50]

    @cached_property
    def beginning(self) -> Which:
        """The rows that were asked for, else disagreements, else all.

        Raises:
            UsageError: if they are named by words that are unknown.
        """
        if self.compared.show:
            return asked(self.compared.show, self.behind.choices)
        apart = Which()
        return apart if len(self.behind.pick(apart)) else Which(only=Only.ALL)

    def _offered(self) -> list[Only]:
        """What can be chosen of these records."""
        named, columns = self.behind.choices, self.compared.frame.columns
        lacks = {
            *([] if named.metrics else [Only.WORST, Only.UNSCORED, Only.A_MORE, Only.B_MORE]),
            *([] if len(named.targets) > 1 else [Only.APART, Only.A_MORE, Only.B_MORE]),
            *([] if "latency_s" in columns else [Only.SLOWEST]),
            *([] if "cost_usd" in columns else [Only.DEAREST, Only.UNPRICED]),
            *([] if "attempts" in columns else [Only.RETRIED]),
        }
        return [only for only in Only if only not in lacks]

    def _mine(self, which: Which) -> list[int]:
        """The targets that stand out, since the question names them."""
        places = self.behind.concerned(which)
        return places if len(places) < len(self.behind.choices.targets) else []

    def _told(self, which: Which) -> list[str]:
        """The metrics of a card, the one that was asked for first."""
        metrics = list(self.behind.choices.metrics)
        return (
            [metrics[which.metric], *metrics[: which.metric], *metrics[which.metric + 1 :]] if which.metric else metrics
        )

    def _chips(self, which: Which) -> list[list[str]]:
        """What narrows it, beyond what can be chosen: field and words."""
        named = self.behind.choices
        chips = [[f, text(f"{f} {named.name(which, f)}", 160)] for f in FIELDS[4:] if named.name(which, f) is not None]
        if which.a is not None:
            pair = f"{named.name(which, 'a')} and {named.name(which, 'b')}"
            chips.insert(0, ["pair", text(pair, 260)])
        return chips


def web(url: str) -> bool:
    """Whether a browser may be led there."""
    return url.startswith(("http://", "https://"))
