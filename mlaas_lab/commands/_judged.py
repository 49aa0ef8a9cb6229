"""What the judges of an evaluation will cost, beside what its targets do: a range, since nobody knows their replies."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlaas_lab import pricing, registry
from mlaas_lab.commands._estimating import FEWER, FRAME, MORE, guessed
from mlaas_lab.commands._pricing import Reason, placed, reason
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Message, Sample, Target, Usage
from mlaas_lab.view.formats import count, usd


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One judge of one metric."""

    metric: str
    judge: str
    n: int
    """Calls."""
    low: Decimal | None
    """In dollars: answers and replies of one token."""
    high: Decimal | None
    """In dollars: the longest answers and replies."""
    reason: Reason | None = None
    """Why it has no price."""

    def __str__(self) -> str:
        calls = f"{self.judge} judges {self.metric} in {count(self.n)} calls"
        if self.reason is not None:
            return f"{calls}, unpriced: {self.reason}"
        return f"{calls}: {usd(self.low)} to {usd(self.high)} on top of the targets."

    def as_json(self) -> JSON:
        """`{metric, judge, calls, low_usd, high_usd, reason}`."""
        return {
            "metric": self.metric,
            "judge": self.judge,
            "calls": self.n,
            "low_usd": None if self.low is None else float(self.low),
            "high_usd": None if self.high is None else float(self.high),
            "reason": str(self.reason) if self.reason else None,
        }


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What there will be to judge."""

    samples: Sequence[Sample]
    targets: int
    repeats: int
    max_tokens: int
    """Longest answer."""
    counter: Callable[[Sequence[Message]], int] | None
    """Counts the tokens of a chat; None guesses them."""


def judges(words: Sequence[str], answers: Answers, lab: Lab, lists: pricing.Lists) -> list[Judged]:
    """What each judge among the metrics `words` will cost.

    Raises:
        UsageError: for a metric or a judge that is not there.
    """
    return list(_judges(words, answers, lab, lists))


def _judges(words: Sequence[str], answers: Answers, lab: Lab, lists: pricing.Lists) -> Iterator[Judged]:
    from mlaas_lab.evaluation.judge import MOST_TOKENS

    at = time.time()
    for word in words:
        judge = registry.configured("metric", word).judge
        if judge is None:
            continue
        target, name = placed(judge.target, lab), registry.parted(word)[0]
        # The first target is not compared with itself.
        each = judge.calls * (answers.targets - judge.pairwise)
        shown = Target.parse(judge.target).name
        n = len(answers.samples) * answers.repeats * each * judge.times
        why = reason(target, at, lists)
        if why is not None:
            yield Judged(metric=name, judge=shown, n=n, low=None, high=None, reason=why)
            continue
        fewer, more = (1.0, 1.0) if answers.counter else (FEWER, MORE)
        sides = 2 if judge.pairwise else 1
        low = high = Decimal(0)
        for sample in answers.samples:
            told = (answers.counter or guessed)(judge.messages(sample, "", ""))
            least = Usage(input_tokens=int(told * fewer) + sides, output_tokens=1)
            most = Usage(
                input_tokens=-int(-told * more // 1) + sides * (answers.max_tokens + FRAME), output_tokens=MOST_TOKENS
            )
            low += pricing.cost(target, least, at=at, book=lists).usd or 0
            high += pricing.cost(target, most, at=at, book=lists).usd or 0
        calls = answers.repeats * each * judge.times
        yield Judged(metric=name, judge=shown, n=n, low=low * calls, high=high * calls)
