"""Asking judges about answers, after the last answer came: no target's clock runs meanwhile.

A judge is a target like any other: the same client, limits, retries and prices. A judge that fails gives no score, but
the reason why there is none; never 0. What was said stays through kill and retry. This file asks; what a judge is told
and how its reply is read is the metric's.
"""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson
import polars as pl

from mlaas_lab import registry
from mlaas_lab.context import Context
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.consulting import NO_REPLY, Hearing, unread
from mlaas_lab.evaluation.judge import Consulted, Consulting, Judge
from mlaas_lab.evaluation.judge_calls import Calls, judge_of
from mlaas_lab.evaluation.judgements import HALF, LASTING, Judgement, Judgements, Said, accounts, swapped
from mlaas_lab.evaluation.plan import Plan
from mlaas_lab.evaluation.replies import Replies
from mlaas_lab.evaluation.scoring import Guarded, as_asked, as_score, filled, missing
from mlaas_lab.evaluation.side_by_side import side_by_side
from mlaas_lab.inference import Client, on_loop
from mlaas_lab.schema import JSON, Completion, Message, Sample, Score, ScoreStatus
from mlaas_lab.store.folder import read_json, write_json

STOPPED = Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason="The job was stopped before this was judged.")
ALIKE = Judgement(score=Score(value=HALF, reason="both answers are the same"), usd=Decimal(0))
ITSELF = Judgement(score=Score(value=HALF, reason="the answer that others are compared with"), usd=Decimal(0))


def with_judgements(records: pl.DataFrame, plan: Plan, context: Context, budget: Budget) -> pl.DataFrame:
    """`records`, scored too by the metrics that have a judge, as far as `budget` goes.

    What each judge was told is left in the job's folder.

    Raises:
        DataError: if what judges say cannot be kept.
    """
    if not plan.judges:
        return records
    told = {_called(name): judge_of(plan, name).text for name in plan.judges}
    write_json(context.folder.prompts, {**(read_json(context.folder.prompts) or {}), **told})
    with (
        Judgements(context.folder.judgements) as judgements,
        Replies(plan, context.settings.cache_dir, context.note) as replies,
    ):
        judging = Judging(plan, records, judgements, replies, context=context, budget=budget)
        on_loop(judging.run())
        return judging.scored()


def judged_by(plan: Plan, records: pl.DataFrame, context: Context) -> list[dict[str, JSON]]:
    """What each judge said and cost, metric by metric; the log says which did not judge."""
    found = accounts(records, {name: route.name for name, route in plan.judges.items()})
    for account in found:
        for status, n in account["statuses"].items():
            if ScoreStatus(status) not in LASTING:
                context.note(
                    f"{n} of {sum(account['statuses'].values())} answers are not judged by {account['metric']}:"
                    f" {status}. Ask its judge again: resume {context.job_id} --retry-failed"
                )
    return found


@dataclass(frozen=True, kw_only=True)
class Case:
    """One answer that a judge is to be asked about."""

    metric: str
    row: int
    names: dict[str, Any]
    """Target, sample and repeat."""
    output: str
    asks: tuple[tuple[Message, ...], ...]
    """What to ask; of a pair, once with this answer second and once with it first. Empty where a tool asks."""
    key: str
    """SHA-256 over all that decides what is said of it, and whose answer it is."""


class Judging:
    """All judges of one evaluation on one table of its records; `run` on an event loop, then `scored`."""

    def __init__(
        self,
        plan: Plan,
        records: pl.DataFrame,
        judgements: Judgements,
        replies: Replies,
        *,
        context: Context,
        budget: Budget,
    ) -> None:
        """Nobody is asked yet."""
        self._budget = budget
        self._plan = plan
        self._records = records
        self._judgements = judgements
        self._context = context
        self._samples = as_asked(records, plan.samples)
        self._known: dict[str, dict[int, Judgement]] = {name: {} for name in plan.judges}
        """Of rows about which nobody is asked, by metric."""
        self._cases = [case for name in plan.judges for case in self._askable(name)]
        self._done = 0
        self._calls = Calls(plan, replies, budget)
        self._tools: dict[str, Consulting] = {}
        """What asks a judge itself, by metric, while it runs."""

    async def run(self) -> None:
        """Ask about every answer that has no lasting judgement yet, until all are judged or somebody stops it.

        Raises:
            Exception: a bug; calls and replies that fail are judgements without a score.
        """
        left = [case for case in self._cases if not self._judgements.lasts(case.key)]
        self._done = len(self._cases) - len(left)
        self._tell()
        async with self._budget, Client(self._plan.limits) as client, AsyncExitStack() as tools:
            for name in {case.metric for case in left}:
                if isinstance(judge := judge_of(self._plan, name), Consulted):
                    self._tools[name] = await tools.enter_async_context(judge.tool())
            workers: set[asyncio.Future[None]] = set()
            for name, route in self._plan.judges.items():
                cases = [case for case in left if case.metric == name]
                turns = min(len(cases), self._plan.limits.concurrency or route.concurrency)
                waiting = iter(cases)
                workers |= {asyncio.ensure_future(self._work(client, waiting)) for _ in range(turns)}
            await side_by_side(workers, lambda: self._context.stopping)

    def scored(self) -> pl.DataFrame:
        """The records with what is known of each by now."""
        records = self._records
        for name in self._plan.judges:
            found = dict(self._known[name])
            for case in self._cases:
                if case.metric == name:
                    found[case.row] = self._judgements.find(case.key) or Judgement(score=STOPPED, usd=Decimal(0))
            records = filled(records, name, {row: one.score for row, one in found.items()})
            records = records.with_columns(
                _column(len(records), f"{name}_cost_usd", {row: _dollars(one) for row, one in found.items()}),
                _column(len(records), f"{name}_judge", {row: one.judge for row, one in found.items()}, pl.String),
                _column(len(records), f"{name}_agreement", {row: one.agreement for row, one in found.items()}),
            )
        return records

    def _askable(self, name: str) -> Iterator[Case]:
        """The answers that the judge of metric `name` can say something of; of the others it is known what to say."""
        metric, judge = self._plan.metrics[name], judge_of(self._plan, name)
        rows = self._records.select("target", "sample_id", "repeat", "output").rows()
        first = next(iter(self._plan.routes))
        against = {(sample, repeat): output for target, sample, repeat, output in rows if target == first}
        for row, (target, sample_id, repeat, output) in enumerate(rows):
            if output is None:
                continue
            sample, other = self._samples[row], against.get((sample_id, repeat))
            if lacking := missing(metric, sample):
                self._known[name][row] = _without(f"no {lacking}")
            elif judge.pairwise and target == first:
                self._known[name][row] = ITSELF
            elif judge.pairwise and other is None:
                self._known[name][row] = _without(f"{first} has no answer to compare with")
            elif judge.pairwise and other == output:
                self._known[name][row] = ALIKE
            else:
                consulted = isinstance(judge, Consulted)
                asks = () if consulted else _asks(judge, sample, output, other or "")
                # Its name says who judges and how often; what nobody can vouch for does not count, so that what was
                # judged once stays although a server was started anew elsewhere.
                decides = [name, self._plan.contents.get(name), [judge.version, output, sample] if consulted else asks]
                names = {"target": target, "sample_id": sample_id, "repeat": repeat}
                key = hashlib.sha256(orjson.dumps([names, decides])).hexdigest()
                yield Case(metric=name, row=row, names=names, asks=asks, output=output, key=key)

    async def _work(self, client: Client, waiting: Iterator[Case]) -> None:
        for case in waiting:
            times = judge_of(self._plan, case.metric).times
            said = [await self._once(client, case, nth) for nth in range(times)]
            self._judgements.add(case.key, {"metric": case.metric, **case.names}, said)
            self._done += 1
            self._tell()

    async def _once(self, client: Client, case: Case, nth: int) -> Said:
        """The `nth` judgement of an answer, in as many calls as it takes."""
        if case.metric in self._tools:
            return await self._consulted(client, case, nth)
        said = [await self._told(client, case.metric, messages, nth) for messages in case.asks]
        return said[0] if len(said) == 1 else swapped(*said)

    async def _told(self, client: Client, metric: str, messages: Sequence[Message], nth: int) -> Said:
        """What a judge says who is told everything at once."""
        reply = await self._calls.make(client, metric, messages, nth)
        if reply.done is None:
            return Said(score=reply.failed or NO_REPLY, usd=reply.usd)
        score = read(judge_of(self._plan, metric), reply.done)
        if score.status in LASTING:
            self._calls.keep(reply)
        return Said(score=score, usd=reply.usd, judge=reply.judge, replies=(reply.done.text,))

    async def _consulted(self, client: Client, case: Case, nth: int) -> Said:
        """What a tool says that asks the judge itself."""
        hearing = Hearing(lambda messages, n: self._calls.make(client, case.metric, messages, [nth, n]))
        score = await self._tools[case.metric].score(case.output, self._samples[case.row], hearing.begin)
        said = hearing.said(score)
        if said.score.status in LASTING:
            for reply in hearing.replies:
                self._calls.keep(reply)
        return said

    def _tell(self) -> None:
        n, total, spent = self._done, len(self._cases), self._budget.progress()
        self._context.progress(n, total, unit="answers", phase="judging", **spent)


def read(judge: Judge, done: Completion) -> Score:
    """What a reply says; a reply that cannot be read says nothing, and one that declines to judge is refused."""
    with Guarded() as guarded:
        try:
            return as_score(judge.score(done.text))
        except ValueError as error:
            cut = " (it was cut at its longest)" if done.finish_reason in ("length", "max_tokens") else ""
            return Score(value=None, status=unread(done.text), reason=f"{error}{cut}")
    return guarded.score or STOPPED


def _asks(judge: Judge, sample: Sample, output: str, other: str) -> tuple[tuple[Message, ...], ...]:
    if not judge.pairwise:
        return (judge.messages(sample, output),)
    return judge.messages(sample, other, output), judge.messages(sample, output, other)


def _called(metric: str) -> str:
    """What the prompt of `metric` is called: a tool of many metrics has one for each."""
    short, given = registry.parted(metric)
    return f"{short}.{given['name']}" if "name" in given else short


def _without(reason: str) -> Judgement:
    return Judgement(score=Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=reason), usd=Decimal(0))


def _dollars(one: Judgement) -> float | None:
    return None if one.usd is None else float(one.usd)


def _column(rows: int, name: str, values: Mapping[int, Any], kind: type[pl.DataType] = pl.Float64) -> pl.Series:
    return pl.Series(name, [values.get(row) for row in range(rows)], dtype=kind)
