"""Money put aside for judges while answers are paid for: an answer that nobody can afford to judge is worth little.

It is what judging will likely cost, since answers are not known yet and the worst case is many times that; the cap is
held by what judges reserve when they are asked.
"""

from functools import cached_property

from mlaas_lab.evaluation.judge import MOST_TOKENS, Judge
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.plan import Plan, Unit
from mlaas_lab.evaluation.scoring import judged
from mlaas_lab.inference import Params
from mlaas_lab.schema import Message

REPLY_TOKENS = 256
"""Of a judge: an object of JSON that lists a few claims."""
BYTES = 4
"""Of an answer for each of its tokens."""


class Asides:
    """What the judges of one evaluation will likely need, in micro-dollars."""

    def __init__(self, plan: Plan) -> None:
        """Nobody is asked."""
        self._plan = plan
        self._judges = [
            (judge, self._meter(name, REPLY_TOKENS, 0), self._meter(name, MOST_TOKENS, plan.limits.retries))
            for name in plan.judges
            if (judge := plan.metrics[name].judge) is not None
        ]

    @cached_property
    def room(self) -> int:
        """For one call of each judge at its worst: with less, even a cheap one could not be asked."""
        if not self._judges:
            return 0
        samples = range(len(self._plan.samples))
        unit = max((Unit(next(iter(self._plan.routes)), place, 0) for place in samples), key=self._size)
        return sum(worst.most(self._asks(judge, unit)) for judge, _, worst in self._judges)

    def of(self, unit: Unit) -> int:
        """For judging the answer to `unit`."""
        if not self._judges:
            return 0
        alone = unit.target == next(iter(self._plan.routes))
        return sum(
            judge.times * judge.calls * likely.most(self._asks(judge, unit))
            for judge, likely, _ in self._judges
            if not (judge.pairwise and alone)
        )

    def _meter(self, name: str, max_tokens: int, retries: int) -> Meter:
        params = Params(max_tokens=max_tokens)
        return Meter(self._plan.judges[name], params, retries=retries, book=self._plan.prices)

    def _asks(self, judge: Judge, unit: Unit) -> tuple[Message, ...]:
        """What a judge is told of the longest answer there may be."""
        sample = judged(self._plan.samples[unit.place], self._plan.shown(unit).contexts)
        answer = " " * (BYTES * self._plan.routes[unit.target].params(self._plan.params).max_tokens)
        return judge.messages(sample, answer, answer if judge.pairwise else "")

    def _size(self, unit: Unit) -> int:
        sample = judged(self._plan.samples[unit.place], self._plan.shown(unit).contexts)
        said = sum(len(message.content) for message in sample.messages)
        return said + sum(map(len, sample.contexts)) + len(sample.reference or "")
