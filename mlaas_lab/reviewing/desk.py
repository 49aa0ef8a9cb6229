"""All that is needed to review and sign the records of one run: the table, its reviews beside it, its log.

What lies beside a table `records.parquet` lies in the folder `records.reviews`. It knows no page and no command.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlaas_lab import records
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.redaction import redacted
from mlaas_lab.reviewing import chain, evidence, ordering, signed
from mlaas_lab.reviewing import review as reviews
from mlaas_lab.reviewing.evidence import Evidence, Ruled
from mlaas_lab.reviewing.review import LONGEST, NAME, Review
from mlaas_lab.reviewing.sending import Sender
from mlaas_lab.reviewing.signed import AuditLog, Signed
from mlaas_lab.reviewing.sitting import Sitting
from mlaas_lab.reviewing.tally import Tally, tally
from mlaas_lab.schema import JSON, Job
from mlaas_lab.settings import Settings
from mlaas_lab.store.beside import decisions_of, reviews_of

if TYPE_CHECKING:
    import polars as pl

COMPARE = "Compare it with `decisions.jsonl` of its run in MLflow."


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The records of one run, and what people said of them."""

    table: Path
    """The Parquet file."""
    settings: Settings
    frame: "pl.DataFrame | None" = None
    """What is in it, if somebody has read it."""
    job: Job | None = None
    """The job that measured it, if this machine knows it."""
    run_id: str | None = None
    """Its run in MLflow."""
    comparison: Mapping[str, JSON] = field(default_factory=dict)
    """Seed, margin and grouping, as it was compared."""

    @cached_property
    def records(self) -> "pl.DataFrame":
        """What is in the table.

        Raises:
            DataError: if it is none of records.
        """
        return records.read(self.table) if self.frame is None else self.frame

    @property
    def folder(self) -> Path:
        """Where reviews and the log lie."""
        return reviews_of(self.table)

    @property
    def targets(self) -> list[str]:
        """Who can be reviewed, and signed for."""
        return ordering.targets(self.records)

    def between(self, named: Sequence[str]) -> tuple[str, str]:
        """The two targets of a review: those that were named, else the only two there are.

        Raises:
            UsageError: if they cannot be told.
        """
        known = self.targets
        if not named and len(known) == 2:
            return known[0], known[1]
        if len(named) != 2:
            told = f"a review is between two targets, not {len(named)}" if named else f"there are {len(known)} targets"
            raise UsageError(f"{told}.", next=f"Name two with --between A,B: {', '.join(known)}.")
        return named[0], named[1]

    def sit(
        self,
        *,
        by: str,
        between: Sequence[str] = (),
        blind: bool | None = None,
        metric: str = "",
        limit: int | None = None,
    ) -> Sitting:
        """A reviewer before the review of two targets, which is begun if there is none.

        Raises:
            UsageError: if a target, the metric or the reviewer is not known.
            DataError: if there is nothing to review, or it cannot be kept.
        """
        a, b = self.between(between)
        pairs = ordering.paired(self.records, a, b, metric=metric)
        begun = Review.begin(self.folder, a, b, metric=pairs.metric, blind=bool(blind))
        setup = begun.setup
        if (setup.a, setup.b) != (a, b) or (not metric and setup.metric != pairs.metric):
            # As the review was begun: its order and its sides stay what they were.
            pairs = ordering.paired(self.records, setup.a, setup.b, metric=metric or setup.metric or "")
        return Sitting(begun, pairs, by=by, blind=blind, limit=limit)

    def tally(self, sitting: Sitting) -> Tally:
        """What all reviewers said in a review."""
        sitting.review.refresh()
        return tally(sitting.review, sitting.pairs)

    def evidence(self, rule: Ruled | None = None) -> Evidence:
        """What a decision would stand on now.

        Raises:
            DataError: if the records are not whole.
        """
        found = [one.path for one in reviews.found(self.folder)]
        return evidence.gather(self.table, found, rule=rule, comparison=self.comparison)

    def log(self) -> AuditLog:
        """Every decision so far, held against what MLflow has of it.

        Raises:
            DataError: if the log cannot be read.
        """
        now = self.evidence() if self.table.exists() else None
        return signed.history(decisions_of(self.table), now, self._sender.held())

    @property
    def _sender(self) -> Sender:
        return Sender(decisions_of(self.table), self.settings, self.job, self.run_id)

    def sign(
        self, *, target: str, by: str, rule: Ruled | None = None, comment: str = "", seen: str | None = None
    ) -> Signed:
        """Sign a decision: on the disk when this returns, and sent to MLflow if that can be reached.

        Args:
            target: whom it is for.
            by: who signs.
            rule: the gate it stands on.
            comment: why; needed where the rule does not hold.
            seen: digest of the evidence that the signer looked at; None: that of now.

        Raises:
            UsageError: if the target is unknown, nobody signs, the rule does not hold and nobody says why, or the
                evidence is not what was looked at.
            DataError: if the log does not verify, MLflow knows more of it, or it cannot be written.
        """
        self._check(target, by, rule, comment)
        before, now = self.log(), self.evidence(rule)
        if seen is not None and seen != now.digest:
            raise UsageError("the evidence changed since you looked at it.", next="Look at it again, then sign.")
        if before.verified.ok and before.broken:
            raise DataError(f"{before.broken} Nothing is signed on top of it.", next=COMPARE)
        entry = chain.append(
            before.path,
            {
                "at": time.time(),
                "by": _name(by),
                "target": target,
                "comment": redacted(comment.strip())[:LONGEST],
                "rule": None if rule is None else rule.as_json(),
                "evidence": dict(now.parts),
                "evidence_hash": now.digest,
            },
        )
        changed = now.since(before.entries[-1]["evidence"]) if before.entries else []
        made = Signed(entry=entry, path=before.path, changed=tuple(changed))
        recorded, trouble = self._sender.send()
        return replace(made, recorded=recorded, trouble=trouble)

    def _check(self, target: str, by: str, rule: Ruled | None, comment: str) -> None:
        known = self.targets
        if target not in known:
            near = did_you_mean(target, known) or f"Known: {', '.join(known)}."
            raise UsageError(f"there is no target {target!r}.", next=near)
        if not _name(by):
            raise UsageError("a decision needs the name of who signs.", next="Give it with --by NAME.")
        if rule is not None and not rule.ok and not comment.strip():
            raise UsageError("the rule does not hold.", next="Who signs all the same says why, with --comment.")
        if self.job is not None and not self.job.state.ended:
            raise DataError(f"job {self.job.id} is {self.job.state}: what is not finished is not signed.")


def _name(by: str) -> str:
    return " ".join(by.split())[:NAME]
