"""What a check of a dataset found, and how it is shown.

This file looks at no data: it holds counts and lines.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from mlaas_lab.data.reading import Bad, unit
from mlaas_lab.data.snapshots import Snapshot
from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Code, Column, Facts, Shown, Table, Tone, View
from mlaas_lab.view.formats import percent

LISTED = 20
"""Most lines named for one finding."""
ERRORS_LISTED = 1000
ERRORS_SHOWN = 10
LINES_SHOWN = 5

Line = int | tuple[int, int]
"""A line, or a line and the earlier one (or the other file's) that it repeats."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """How many rows, and the first of them."""

    count: int
    lines: tuple[Line, ...]

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Self:
        """All of `lines` counted, the first kept."""
        every = list(lines)
        return cls(count=len(every), lines=tuple(every[:LISTED]))


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """Tokens of a chat, template included: the smallest value that this share of the chats does not exceed."""

    min: int
    p50: int
    p90: int
    p95: int
    p99: int
    max: int

    @classmethod
    def of(cls, lengths: Sequence[int]) -> "Percentiles | None":
        """None when there is no chat."""
        if not lengths:
            return None
        ranked = sorted(lengths)
        p50, p90, p95, p99 = (ranked[math.ceil(q * len(ranked) / 100) - 1] for q in (50, 90, 95, 99))
        return cls(min=ranked[0], p50=p50, p90=p90, p95=p95, p99=p99, max=ranked[-1])


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Lengths under a base, and what training would cut."""

    percentiles: Percentiles | None
    total: int
    max_length: int | None
    truncated: Found | None
    """Chats longer than `max_length`; None when no length was named."""
    lost: int | None
    """Tokens beyond it."""


@dataclass(frozen=True, kw_only=True)
class Report(Shown):
    """A dataset, looked over."""

    path: Path
    sha256: str
    rows: int
    """All rows, bad ones included."""
    bad: tuple[Bad, ...]
    turns: int
    groups: int
    answers: int
    """Different reference answers."""
    tokens: Tokens | None
    """None when no tokenizer was at hand; then `tokens_unknown` says why."""
    one_sided: Found
    duplicates: Found
    conflicts: Found
    """The same question with another answer."""
    near_duplicates: Found
    leakage: Found | None
    """None when there was nothing to compare with."""
    against: Path | None
    personal: dict[str, Found] = field(default_factory=dict)
    base: str | None = None
    tokens_unknown: str = ""
    wanted: Path | None = None
    """Where a snapshot was asked for."""
    snapshot: Snapshot | None = None

    @property
    def exit_code(self) -> int:
        """1 when a row cannot be used."""
        return 1 if self.bad else 0

    @property
    def ok(self) -> bool:
        """Every row can be used."""
        return not self.bad

    def as_json(self) -> JSON:
        """What `--json` prints; unknown is null."""
        tokens = self.tokens
        lengths = tokens.percentiles if tokens else None
        return {
            "file": str(self.path),
            "sha256": self.sha256,
            "rows": self.rows,
            "ok": self.ok,
            "error_count": len(self.bad),
            "errors": [asdict(row) for row in self.bad[:ERRORS_LISTED]],
            "turns": self.turns,
            "groups": self.groups,
            "answers": self.answers,
            "base": self.base,
            "tokens": {**asdict(lengths), "total": tokens.total} if tokens and lengths else None,
            "tokens_unknown": self.tokens_unknown or None,
            "max_length": tokens.max_length if tokens else None,
            "truncated": asdict(tokens.truncated) if tokens and tokens.truncated else None,
            "tokens_lost": tokens.lost if tokens else None,
            "one_sided": asdict(self.one_sided),
            "duplicates": asdict(self.duplicates),
            "conflicts": asdict(self.conflicts),
            "near_duplicates": asdict(self.near_duplicates),
            "against": str(self.against) if self.against else None,
            "leakage": asdict(self.leakage) if self.leakage else None,
            "pii": {kind: asdict(found) for kind, found in self.personal.items()},
            "snapshot": self.snapshot.as_json() if self.snapshot else None,
        }

    def view(self) -> View:
        """The bad rows first, then facts and findings."""
        badge = Badge(text="usable", tone=Tone.GOOD) if self.ok else Badge(text="bad rows", tone=Tone.BAD)
        facts = Facts(rows=self._facts())
        return View(
            title=self.path.name,
            badge=badge,
            summary=self._summary(),
            marks=(self._bad_rows(), facts) if self.bad else (facts,),
            table=self._findings() if self.rows > len(self.bad) else None,
            notes=self._notes(),
        )

    def _summary(self) -> str:
        rows = f"{self.rows:,} row{'s' if self.rows != 1 else ''}"
        if self.bad:
            return f"{rows}, {len(self.bad):,} of them cannot be used."
        return f"{rows}, all usable."

    def _bad_rows(self) -> Code:
        name, more = unit(self.path) or "line", len(self.bad) - ERRORS_SHOWN
        lines = [f"{name} {row.line}: {row.message}" for row in self.bad[:ERRORS_SHOWN]]
        return Code(label="Bad rows", text="\n".join(lines + [f"and {more:,} more: --json lists them"] * (more > 0)))

    def _facts(self) -> list[tuple[str, str]]:
        facts = [("file", str(self.path)), ("sha256", self.sha256), ("turns", f"{self.turns:,}")]
        facts += [("different answers", f"{self.answers:,}")] if self.answers else []
        facts += [("groups", f"{self.groups:,}")] if self.groups else []
        if self.tokens and (p := self.tokens.percentiles):
            spread = f"p50 {p.p50:,}, p95 {p.p95:,}, p99 {p.p99:,}, longest {p.max:,}"
            facts.append((f"tokens a chat ({self.base or 'base'})", spread))
            facts.append(("tokens in all", f"{self.tokens.total:,}"))
        if self.snapshot:
            made = f"{self.snapshot.train_rows:,} train, {self.snapshot.test_rows:,} test rows"
            facts += [("snapshot", str(self.snapshot.path)), ("", f"{made}, manifest {self.snapshot.sha256[:16]}…")]
        return facts

    def _findings(self) -> Table:
        cut = self.tokens.truncated if self.tokens else None
        named = [
            ("one-sided chats", self.one_sided),
            ("exact duplicates", self.duplicates),
            ("same question, other answer", self.conflicts),
            ("near duplicates", self.near_duplicates),
        ]
        named += [(f"cut at {self.tokens.max_length:,} tokens", cut)] if self.tokens and cut else []
        named += [(f"asked in {self.against.name} too", self.leakage)] if self.against and self.leakage else []
        named += [(f"may hold: {kind}", found) for kind, found in self.personal.items() if found.count]
        columns = [
            Column(title="finding"),
            Column(title="rows", align="right"),
            Column(title="share", align="right", format=percent),
            Column(title=f"first {unit(self.path) or 'line'}s", wrap=True),
        ]
        usable = max(1, self.rows - len(self.bad))
        return Table(
            columns=columns, rows=[(name, found.count, found.count / usable, _first(found)) for name, found in named]
        )

    def _notes(self) -> list[str]:
        notes: list[str] = []
        pairs = [self.duplicates, self.conflicts, self.near_duplicates, *([self.leakage] if self.leakage else [])]
        if any(found.count for found in pairs):
            other = "; for leakage, of the other file" if self.leakage else ""
            notes.append(f"7 = 3: line 7 repeats line 3{other}; near: 80 % of their shingles are the same")
        if self.one_sided.count:
            notes.append("one-sided: nobody asks or nobody answers; such rows can be evaluated, not trained on")
        if self.personal and any(found.count for found in self.personal.values()):
            notes.append("personal data is found by its form: what is not found may still be there")
        if self.tokens is None and self.tokens_unknown:
            notes.append(f"tokens were not counted: {self.tokens_unknown}")
        if self.bad and self.wanted:
            notes.append(f"{self.wanted} is not written while rows are bad")
        return notes


def _first(found: Found) -> str:
    shown = [f"{line[0]} = {line[1]}" if isinstance(line, tuple) else str(line) for line in found.lines[:LINES_SHOWN]]
    return ", ".join(shown) + (" …" if found.count > LINES_SHOWN else "")
