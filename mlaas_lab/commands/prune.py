"""`prune`: how much disk each kind of thing uses, and what a rule would free; it deletes only with `--yes`."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from mlaas_lab import disk
from mlaas_lab.commands import Command
from mlaas_lab.disk import Kind, Piece, Plan, Rule
from mlaas_lab.errors import LabError, UsageError, one_line
from mlaas_lab.holds import holds
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Spec
from mlaas_lab.view import Column, Shown, Table, View
from mlaas_lab.view.formats import count, size

UNITS_S = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Prune(Spec):
    """Show what uses the disk, and what a rule would free; nothing is deleted without `--yes`."""

    what: tuple[Literal["checkpoints", "logs", "cache", "backups", "jobs"], ...] = Field(
        ("checkpoints", "cache"), min_length=1
    )
    """What may go: checkpoints, logs, cache (can be made again), backups of the store, whole jobs with their rows."""
    older_than: str = "30d"
    """Only what is so old, in hours, days or weeks; checkpoints of jobs that succeeded go at any age."""
    keep: int = Field(0, ge=0)
    """Leave so many of the newest jobs of each task as they are."""
    yes: bool = False
    """Really delete."""


@dataclass(frozen=True, kw_only=True)
class Pruned(Shown):
    """What there is, what the rule says of it, and what was done."""

    pieces: Sequence[Piece]
    plan: Plan
    done: bool
    """It was carried out; else it is a forecast."""
    failed: Sequence[tuple[Piece, str]] = ()

    @property
    def exit_code(self) -> int:
        """1 if something could not be deleted."""
        return int(bool(self.failed))

    @property
    def freed_bytes(self) -> int:
        """What is free now, or would be."""
        left = {piece.path for piece, _ in self.failed}
        return sum(piece.size_bytes for piece in self.plan.goes if piece.path not in left)

    def view(self) -> View:
        """One row a kind, and why something stays."""
        used, goes, n = _sums(self.pieces), _sums(self.plan.goes), Counter(piece.kind for piece in self.pieces)
        verb = "freed" if self.done else "would free"
        rows = [(kind, n[kind], used[kind], goes[kind] or None) for kind in Kind if n[kind]]
        columns: list[Column | str] = [
            "What",
            Column(title="Entries", align="right", format=count),
            Column(title="On disk", align="right", format=size),
            Column(title=verb.capitalize(), align="right", format=size),
        ]
        notes = [f"{piece.path} stays: {why}." for piece, why in self.plan.stays[:20]]
        more = len(self.plan.stays) - len(notes)
        notes += [f"… and {more} more stay."] if more > 0 else []
        notes += [f"{piece.path} cannot be deleted: {why}." for piece, why in self.failed]
        if n[Kind.ARTIFACTS]:
            notes.append("What is in MLflow is MLflow's: delete runs there, then `mlflow gc`.")
        total = f"{size(sum(used.values()))} on disk; this rule {verb} {size(self.freed_bytes)}."
        hint = "" if self.done or not self.plan.goes else " `--yes` deletes it."
        return View(title="Disk", summary=total + hint, table=Table(columns=columns, rows=rows), notes=notes)

    def as_json(self) -> JSON:
        """`{ok, deleted, total_bytes, freed_bytes, kinds: [{kind, n, bytes, freed_bytes}], goes: […], stays: […]}`."""
        used, goes, n = _sums(self.pieces), _sums(self.plan.goes), Counter(piece.kind for piece in self.pieces)
        return {
            "ok": not self.failed,
            "deleted": self.done,
            "total_bytes": sum(used.values()),
            "freed_bytes": self.freed_bytes,
            "kinds": [
                {"kind": str(kind), "n": n[kind], "bytes": used[kind], "freed_bytes": goes[kind]}
                for kind in Kind
                if n[kind]
            ],
            "goes": [_as_json(piece) for piece in self.plan.goes],
            "stays": [{**_as_json(piece), "why": why} for piece, why in self.plan.stays],
            "failed": [{**_as_json(piece), "why": why} for piece, why in self.failed],
        }


def _sums(pieces: Sequence[Piece]) -> Counter[Kind]:
    found: Counter[Kind] = Counter()
    for piece in pieces:
        found[piece.kind] += piece.size_bytes
    return found


def _as_json(piece: Piece) -> dict[str, JSON]:
    job_id = piece.job.id if piece.job else None
    return {"kind": str(piece.kind), "path": str(piece.path), "bytes": piece.size_bytes, "job_id": job_id}


def _run(args: Prune, lab: Lab) -> Pruned:
    jobs = lab.jobs.every()
    pieces = disk.survey(lab.settings, jobs)
    rule = Rule(what=frozenset(args.what), older_than_s=_age_s(args.older_than), keep=args.keep)
    found = disk.plan(pieces, rule, holds(lab.settings, lab.store, jobs, whole="jobs" in args.what))
    failed = _delete(found, lab) if args.yes else []
    return Pruned(pieces=pieces, plan=found, done=args.yes, failed=failed)


def _delete(found: Plan, lab: Lab) -> list[tuple[Piece, str]]:
    """Whole jobs first, for their parts go with them."""
    failed: list[tuple[Piece, str]] = []
    for piece in sorted(found.goes, key=lambda one: one.kind is not Kind.JOBS):
        if not piece.path.exists():
            continue
        try:
            if not disk.remove(piece, lab.settings, lab.store):
                failed.append((piece, "it is in use again"))
        except (OSError, LabError) as error:
            failed.append((piece, one_line(error)))
    return failed


def _age_s(text: str) -> float:
    found = re.fullmatch(r"(\d+)([hdw])", text)
    if found is None:
        raise UsageError(f"--older-than {text!r} is no age.", next="Write 12h, 30d or 8w.")
    return int(found[1]) * UNITS_S[found[2]]


command = Command(
    args=Prune,
    run=_run,
    examples=("prune", "prune --yes", "prune --what jobs,logs --older-than 8w --keep 5"),
)
