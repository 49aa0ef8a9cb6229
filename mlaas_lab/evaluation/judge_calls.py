"""One call to a judge: taken over where it was made before, held under the cap, priced, and left for later evaluations.

It knows what a call is; what is asked, and what a reply says, it does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlaas_lab.errors import CallError, one_line, snake
from mlaas_lab.evaluation.budget import MICRO, Budget
from mlaas_lab.evaluation.judge import MOST_TOKENS, Judge
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.plan import Plan
from mlaas_lab.evaluation.replies import Replies
from mlaas_lab.evaluation.scoring import STATUS
from mlaas_lab.evaluation.spendings import item
from mlaas_lab.inference import Client, Params
from mlaas_lab.ledger import Kind
from mlaas_lab.pricing import cost
from mlaas_lab.schema import JSON, Attempt, Completion, Cost, Message, Score, ScoreStatus

CAPPED = Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason="The job may spend no more: this was not judged.")

UNKNOWN = Cost(usd=None)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What became of one call: a completion, or why there is none."""

    done: Completion | None = None
    failed: Score | None = None
    usd: Decimal | None = None
    """None where any of it is unknown."""
    judge: str | None = None
    """The model that says it judged."""
    price: Cost = UNKNOWN
    """Of the attempt that answered."""
    key: bytes | None = None
    """To leave it under; None: it is not to be left."""


class Calls:
    """The calls of one evaluation to its judges, metric by metric."""

    def __init__(self, plan: Plan, replies: Replies, budget: Budget) -> None:
        """Nobody is asked yet."""
        self._plan, self._replies, self._budget = plan, replies, budget
        self._meters = {
            name: Meter(route, params_of(judge_of(plan, name)), retries=plan.limits.retries, book=plan.prices)
            for name, route in plan.judges.items()
        }
        self._items = {name: item(Kind.JUDGE, route.target, route.name) for name, route in plan.judges.items()}

    async def make(self, client: Client, metric: str, messages: Sequence[Message], nth: JSON) -> Reply:
        """The `nth` reply to `messages` by the judge of `metric`."""
        meter, params = self._meters[metric], params_of(judge_of(self._plan, metric))
        key = self._replies.key(metric, messages, params, nth)
        if (kept := self._replies.find(key)) is not None:
            return Reply(done=kept[0], usd=kept[1].usd, judge=self._name(metric, kept[0]))
        held = 0 if self._budget.cap is None else meter.most(messages)
        if not await self._budget.reserve(held):
            return Reply(failed=CAPPED, usd=Decimal(0))
        done, failed, attempts, price = await self._asked(client, metric, messages)
        paid, known = meter.paid(held, attempts, price)
        self._budget.settle(held, paid, known=known, item=self._items[metric], cost=price)
        return Reply(
            done=done,
            failed=failed,
            usd=Decimal(paid) / MICRO if known else None,
            judge=None if done is None else self._name(metric, done),
            price=price,
            key=key,
        )

    def keep(self, reply: Reply) -> None:
        """Leave a reply that could be read for later evaluations."""
        if reply.done is not None:
            self._replies.keep(reply.key, reply.done, reply.price)

    async def _asked(
        self, client: Client, metric: str, messages: Sequence[Message]
    ) -> tuple[Completion | None, Score | None, Sequence[Attempt], Cost]:
        """The reply or why there is none, and what is known of its price."""
        route, book = self._plan.judges[metric], self._plan.prices
        try:
            done = await client.complete(route, messages, params_of(judge_of(self._plan, metric)))
        except CallError as error:
            name = snake(type(error).__name__)
            score = Score(value=None, status=STATUS.get(name, ScoreStatus.JUDGE_ERROR), reason=one_line(error))
            price = UNKNOWN
            if error.usage is not None and error.attempts:
                price = cost(route.place, error.usage, at=error.attempts[-1].ended_at, book=book)
            return None, score, error.attempts, price
        price = cost(route.place, done.usage, at=done.attempts[-1].ended_at, book=book, answered=done.model)
        return done, None, done.attempts, price

    def _name(self, metric: str, done: Completion) -> str:
        return done.model or self._plan.judges[metric].name


def judge_of(plan: Plan, name: str) -> Judge:
    """The judge of metric `name`.

    Raises:
        LookupError: if it has none.
    """
    judge = plan.metrics[name].judge
    if judge is None:
        raise LookupError(f"{name} has no judge")
    return judge


def params_of(judge: Judge) -> Params:
    """How a judge is asked; its target's own parameters win."""
    return Params(max_tokens=MOST_TOKENS, temperature=judge.temperature)
