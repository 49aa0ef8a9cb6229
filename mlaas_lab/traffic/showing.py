"""Where a load stands while it runs: over, failed, the highest percentile known so far. It changes no measurement."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from mlaas_lab.context import Context
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.schema import Record
from mlaas_lab.stats.intervals import fewest_for
from mlaas_lab.traffic.plan import Step
from mlaas_lab.view.formats import count, seconds

EVERY_S = 0.5
RECENT = 10_000
"""Answers that the percentile so far stands on."""
QUANTILES = (0.99, 0.95, 0.5)


@dataclass(kw_only=True)
class Showing:
    """The line of progress of one load."""

    context: Context
    budget: Budget
    step: Step
    total: int | None
    n: int = field(init=False, default=0)
    failed: int = field(init=False, default=0)
    _latencies: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=RECENT))

    def add(self, record: Record) -> None:
        """A request is over."""
        self.n += 1
        if record.completion is None or record.intended_at is None:
            self.failed += 1
        else:
            self._latencies.append(record.completion.attempts[-1].ended_at - record.intended_at)

    async def run(self) -> None:
        """Say where it stands, until it is cancelled."""
        while True:
            self.show()
            await asyncio.sleep(EVERY_S)

    def show(self) -> None:
        """Say where it stands."""
        self.context.progress(self.n, self.total, unit="requests", phase=self._phase(), **self.budget.progress())

    def _phase(self) -> str:
        load = f"{self.step.rate:.4g}/s" if self.step.rate else "closed loop"
        n = len(self._latencies)
        known = next((q for q in QUANTILES if n >= fewest_for(q)), None)
        if known is None:
            return f"{load} · {count(self.failed)} failed · too few answers for a percentile"
        so_far = seconds(float(np.quantile(list(self._latencies), known)))
        return f"{load} · {count(self.failed)} failed · p{100 * known:.0f} so far {so_far}"
