"""A judge's ear for a tool that asks him itself: every call counts, and what failed once is not paid again.

It hands turns on and remembers the replies; which turns those are is the tool's affair.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from mlaas_lab import registry
from mlaas_lab.evaluation.judge import Ask, Unanswered
from mlaas_lab.evaluation.judge_calls import Reply
from mlaas_lab.evaluation.judgements import Said, total
from mlaas_lab.schema import Message, Sample, Score, ScoreStatus

MOST_CALLS = 60
"""For one judgement: a tool that asks again and again what a judge does not say would never end."""
NO_REPLY = Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason="the judge did not reply")


class Hearing:
    """One judgement of one answer: all that a tool asks for it."""

    def __init__(self, make: Callable[[Sequence[Message], int], Awaitable[Reply]]) -> None:
        """`make` makes a call: these turns, for the nth time in this judgement."""
        self._make = make
        self.replies: list[Reply] = []
        """In the order they were made."""
        self._known: dict[tuple[tuple[Message, ...], int], Reply] = {}
        self._failed: Score | None = None

    def begin(self) -> Ask:
        """The judge's ear for one try; a later try is told again what an earlier one was told."""
        met: Counter[tuple[Message, ...]] = Counter()

        async def ask(messages: Sequence[Message]) -> str:
            turns = tuple(messages)
            nth = met[turns]
            met[turns] += 1
            return await self._reply(turns, nth)

        return ask

    def said(self, score: Score) -> Said:
        """`score` as a judgement; without a value if a call failed, whatever the tool made of that."""
        texts = tuple(reply.done.text for reply in self.replies if reply.done is not None)
        if self._failed is not None:
            score = self._failed
        elif score.status is ScoreStatus.PARSE_ERROR and texts:
            score = Score(value=None, status=unread(texts[-1]), reason=score.reason)
        names = dict.fromkeys(reply.judge for reply in self.replies if reply.judge)
        return Said(
            score=score,
            usd=total([reply.usd for reply in self.replies]),
            judge=", ".join(names) or None,
            replies=texts,
        )

    async def _reply(self, turns: tuple[Message, ...], nth: int) -> str:
        if (reply := self._known.get((turns, nth))) is None:
            if len(self.replies) >= MOST_CALLS and self._failed is None:
                reason = f"not said in {MOST_CALLS} calls"
                self._failed = Score(value=None, status=ScoreStatus.PARSE_ERROR, reason=reason)
            if self._failed is not None:
                raise Unanswered(self._failed.reason)
            reply = self._known[turns, nth] = await self._make(turns, nth)
            self.replies.append(reply)
        if reply.done is None:
            self._failed = reply.failed or NO_REPLY
            raise Unanswered(self._failed.reason)
        return reply.done.text


def unread(reply: str) -> ScoreStatus:
    """Why a reply has no verdict: the judge would not, or wrote something else."""
    declines = registry.load("metric", "refusal").score(reply, Sample(id="", messages=()))
    return ScoreStatus.REFUSED if declines else ScoreStatus.PARSE_ERROR
