"""One look at what is there: are all comparisons decided that an evaluation waits for?

Nobody is asked meanwhile but judges, where a judge's metric is waited for; they use the money that was put aside for
them. It knows records and the rule, not who asks when.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import polars as pl

from mlaas_lab.context import Context
from mlaas_lab.evaluation.asides import Asides
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.judging import with_judgements
from mlaas_lab.evaluation.plan import Plan
from mlaas_lab.evaluation.stopping import Rule
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.records import JUDGE_COLUMNS, METRIC_COLUMNS, Writer, metrics_of
from mlaas_lab.schema import Decision


@dataclass(kw_only=True)
class Looking:
    """The looks of one evaluation."""

    plan: Plan
    context: Context
    budget: Budget
    rule: Rule | None
    """None: nobody looks."""
    writer: Writer
    judged: pl.DataFrame | None = field(init=False, default=None)
    """What the last look saw, where it had to ask judges."""

    def enough(self, asked: Collection[int]) -> bool:
        """Whether the records of these samples, by their places, decide all that is waited for.

        Called while no target is asked, and not on the loop.
        """
        if self.rule is None:
            return False
        frame = among(self.writer.frame(), asked)
        if self.rule.metric in self.plan.judges:
            with self.budget.given_out(Asides(self.plan).room):
                frame = self.judged = with_judgements(frame, self.plan, self.context, self.budget)
        return decided(frame, self.rule, self.plan.seed)

    def ended(self, frame: pl.DataFrame, *, early: bool) -> pl.DataFrame:
        """`frame`, judged: what a look decided by is not asked for again, since other replies might undo it."""
        if early and self.judged is not None:
            return frame.with_columns(self.judged[name] for name in self.judged.columns if name in self._judges_own)
        return with_judgements(frame, self.plan, self.context, self.budget)

    @property
    def _judges_own(self) -> set[str]:
        return {name + ending for name in self.plan.judges for ending in (*METRIC_COLUMNS, *JUDGE_COLUMNS)}


def among(frame: pl.DataFrame, places: Collection[int]) -> pl.DataFrame:
    """The records of the samples at `places`."""
    return frame.filter(pl.col("sample_index").is_in(list(places)))


def decided(frame: pl.DataFrame, rule: Rule, seed: int) -> bool:
    """Whether every comparison that `rule` waits for is decided by the records so far."""
    others = [metric for metric in metrics_of(frame.columns) if metric != rule.metric]
    _, verdicts = summarize(frame.drop(*(m + ending for m in others for ending in METRIC_COLUMNS)), seed=seed)
    return all(one.verdict is not Decision.UNDECIDED for one in verdicts if one.metric == rule.metric)
