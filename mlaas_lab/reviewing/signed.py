"""Decisions that somebody signed, and the log that they stand in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlaas_lab.reviewing import chain
from mlaas_lab.reviewing.chain import Verified
from mlaas_lab.reviewing.evidence import Evidence
from mlaas_lab.reviewing.held import SHORT, Held
from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Code, Column, Facts, Mark, Shown, Table, Tone, View
from mlaas_lab.view.formats import count, when

ALONE = "These records have no run in MLflow, so nobody else can tell whether the end of the log was cut off."


@dataclass(frozen=True, kw_only=True)
class Signed(Shown):
    """A decision, as it stands in the log."""

    entry: Mapping[str, Any]
    path: Path
    changed: tuple[str, ...] = ()
    """What is not as it was when the decision before was signed."""
    recorded: bool | None = None
    """Whether MLflow has it; None for what is no run of MLflow."""
    trouble: str = ""
    """Why it has it not."""

    @property
    def summary(self) -> str:
        """Who decided what, and when, in one line."""
        return f"{self.entry['by']} signed for {self.entry['target']} at {when(self.entry['at'])} UTC."

    @property
    def notes(self) -> list[str]:
        """What one should know of it."""
        found = []
        if self.changed:
            found.append(f"Changed since the decision before this: {', '.join(self.changed)}.")
        rule = self.entry["evidence"]["rule"]
        if rule is not None and not rule["ok"]:
            found.append("It was signed although its rule does not hold.")
        return [*found, self.trouble] if self.trouble else found

    def as_json(self) -> JSON:
        """The entry, and `{path, changed, recorded, notes}`."""
        return {
            **self.entry,
            "path": str(self.path),
            "changed": list(self.changed),
            "recorded": self.recorded,
            "notes": self.notes,
        }

    def view(self) -> View:
        """What was signed."""
        rule = self.entry["rule"]
        held = [] if rule is None else [Code(text="\n".join(map(str, rule["lines"])), label="Rules")]
        marks: list[Mark] = [Facts(rows=_facts(self.entry)), *held]
        return View(title="Decision", summary=self.summary, marks=marks, notes=self.notes)


@dataclass(frozen=True, kw_only=True)
class AuditLog(Shown):
    """Every decision about some records, and whether the log is as it was written."""

    path: Path
    entries: tuple[Mapping[str, Any], ...]
    verified: Verified
    now: Evidence | None
    """What there is now, without a rule; None where the records are gone."""
    held: Held | None = None
    """What MLflow has of it; None for what is no run of MLflow."""

    @property
    def exit_code(self) -> int:
        """1 when the log is not as it was written."""
        return int(bool(self.broken))

    @property
    def broken(self) -> str:
        """The first line that does not fit, and why, or that MLflow knows more; empty when all is as it was written."""
        known = self.verified
        if not known.ok:
            return f"Line {known.line} of {self.path} {known.why}."
        return "" if self.held is None else self.held.against(self.entries, self.path)

    def changed(self, entry: Mapping[str, Any]) -> list[str]:
        """What is not as it was when `entry` was signed."""
        if self.now is None:
            return ["the records are gone"]
        return [one for one in self.now.since(entry["evidence"]) if one != "the rule"]

    @property
    def summary(self) -> str:
        """How many decisions, and whether the chain holds."""
        if self.broken:
            return self.broken
        if not self.entries:
            return "Nothing is signed yet."
        last = self.entries[-1]
        n = len(self.entries)
        told = f"{count(n)} decision{'s' if n > 1 else ''}, the last by {last['by']} for {last['target']}"
        since = ", ".join(self.changed(last))
        return f"{told}; every entry is as it was written." + f" Since then changed: {since}." * bool(since)

    def as_json(self) -> JSON:
        """`{path, ok, line, why, asked, torn, head, decisions}`; `asked`: whether MLflow was, null without a run."""
        known = self.verified
        return {
            "path": str(self.path),
            "ok": not self.broken,
            "line": known.line,
            "why": known.why or self.broken or None,
            "asked": None if self.held is None else not self.held.trouble,
            "torn": known.n_torn,
            "head": known.head,
            "decisions": [{**entry, "changed": self.changed(entry)} for entry in self.entries],
        }

    def view(self) -> View:
        """One row a decision, the last first."""
        columns: list[Column | str] = ["n", "When (UTC)", "By", "For", "Rule"]
        columns += [Column(title="Comment", wrap=True), Column(title="Since then", wrap=True), "Hash"]
        rows = [self._row(entry) for entry in reversed(self.entries)]
        torn = [f"{count(self.verified.n_torn)} lines were torn while they were written."] * bool(self.verified.n_torn)
        badge = None
        if self.broken:
            badge = Badge(text="changed", tone=Tone.BAD)
        elif self.entries:
            badge = Badge(text="verified", tone=Tone.GOOD)
        table = Table(columns=columns, rows=rows) if rows else None
        notes = [*torn, *([self._end] if self._end else [])]
        return View(title="Decisions", badge=badge, summary=self.summary, table=table, notes=notes)

    @property
    def _end(self) -> str:
        """What anybody else can tell of the end of a log that looks whole."""
        if self.broken:
            return ""
        if self.held is not None:
            return self.held.note(self.entries)
        return ALONE if self.entries else ""

    def _row(self, entry: Mapping[str, Any]) -> tuple[Any, ...]:
        changed = ", ".join(self.changed(entry))
        since = f"changed: {changed}" if changed else "all as it was"
        told = (entry["n"], when(entry["at"]), entry["by"], entry["target"], _rule(entry), entry["comment"] or None)
        return (*told, since, entry["hash"][:SHORT])


def history(path: Path, now: Evidence | None, held: Held | None = None) -> AuditLog:
    """The log at `path`; entries that are none of ours count as changed.

    Raises:
        DataError: if it cannot be read.
    """
    known = tuple(one for one in chain.entries(path) if {"by", "at", "target", "evidence", "hash", "n"} <= one.keys())
    return AuditLog(path=path, entries=known, verified=chain.verify(path), now=now, held=held)


def _rule(entry: Mapping[str, Any]) -> Badge | None:
    rule = entry["evidence"]["rule"]
    if rule is None:
        return None
    return Badge(text="holds", tone=Tone.GOOD) if rule["ok"] else Badge(text="does not hold", tone=Tone.BAD)


def _facts(entry: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        ("Target", entry["target"]),
        ("Signed by", entry["by"]),
        ("At", f"{when(entry['at'])} UTC"),
        ("Rule", _rule(entry) or "none"),
        ("Comment", entry["comment"] or None),
        ("Evidence", entry["evidence_hash"]),
        ("Entry", f"{entry['n']}, {entry['hash']}"),
    ]
