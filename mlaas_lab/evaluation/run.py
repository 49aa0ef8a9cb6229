"""The entry of task `eval`: plan, ask, score, conclude."""

import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

import polars as pl

from mlaas_lab import data
from mlaas_lab.context import Context, Dataset, Outcome
from mlaas_lab.errors import CapReached, UsageError, snake
from mlaas_lab.evaluation import metering, stopping, telling
from mlaas_lab.evaluation.asking import Asking
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.caching import Cache
from mlaas_lab.evaluation.exchanges import Exchanges
from mlaas_lab.evaluation.judgements import accounted
from mlaas_lab.evaluation.judging import judged_by
from mlaas_lab.evaluation.looking import Looking, among
from mlaas_lab.evaluation.plan import Plan, Unit, held_out, prepare
from mlaas_lab.evaluation.resuming import Left
from mlaas_lab.evaluation.scoring import with_late_scores
from mlaas_lab.evaluation.stopping import Rule
from mlaas_lab.evaluation.summary import Summary, summarize
from mlaas_lab.inference import on_loop
from mlaas_lab.ledger import Account
from mlaas_lab.records import Writer
from mlaas_lab.schema import Record
from mlaas_lab.tasks.eval import GROUPED, Eval, margins
from mlaas_lab.view.formats import usd

CAPPED = snake(CapReached.__name__)


def run(spec: Eval, context: Context) -> Outcome:
    """Evaluate `spec.targets` on `spec.data`; the records are the job's, whatever happens on the way.

    Raises:
        LabError: before anybody is asked, for words or data that cannot be used.
        Stopped: when the job was asked to stop; what was not answered by then has a record that says so.
    """
    context.progress(0, None, unit="samples", phase="waiting for the targets")
    plan = prepare(spec, context.settings)
    budget, rule = _budget(spec, plan, context), _rule(spec, plan)
    for warning in (*_warnings(spec, plan), *(telling.told(rule, _ends(plan, rule)) if rule else ())):
        context.note(warning)
    path = data.resolve(held_out(spec.data)).absolute()
    sha256 = data.sha256(path)
    began = time.perf_counter()
    found = answers(plan, context, budget, rule)
    wall_s = time.perf_counter() - began
    context.check()
    records = found.records
    summary, verdicts = summarize(records, seed=spec.seed, margin=margins(spec.margin), grouped=GROUPED[spec.grouped])
    stopped = {} if rule is None else {"until_decided": {**asdict(rule), **_stop(found), **_price(rule)}}
    notes = [*_notes(records, budget), *(telling.said(rule, **_stop(found)) if rule else ())]
    for note in notes:
        context.note(note)
    judges = judged_by(plan, records, context)
    # What was kept or taken over took no time now, and says nothing of how fast this was.
    pace = {"wall_s": wall_s, "samples_per_s": found.asked / wall_s if found.asked else None}
    result = {
        "records": str(context.folder.records),
        **pace,
        "asked": found.asked,
        "kept": found.kept,
        "cached": found.cached,
        **budget.progress(),
        **stopped,
        "notes": notes,
        "summary": [asdict(line) for line in summary],
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "errors": _errors(records),
        **({"judges": judges} if judges else {}),
    }
    rows = Dataset(name=spec.data.stem, path=str(path), sha256=sha256, rows=len(plan.samples), context="eval")
    return Outcome(
        result=result,
        metrics=pace | _numbers(summary) | accounted(judges),
        datasets=(rows,),
        artifacts=(str(context.folder.records),),
    )


@dataclass(frozen=True, kw_only=True)
class Answers:
    """The records of an evaluation, and where they come from."""

    records: pl.DataFrame
    asked: int
    """By this attempt, failed calls included."""
    kept: int
    """From earlier attempts of the job."""
    cached: int
    """Taken over by this attempt from earlier evaluations."""
    decided: bool
    """They were enough before all were asked."""


def answers(plan: Plan, context: Context, budget: Budget | None = None, rule: Rule | None = None) -> Answers:
    """One record for each target × sample × repeat that was to be asked, as a table that is on disk too.

    Args:
        plan: all there is to ask.
        context: the job.
        budget: what may be spent; by default everything.
        rule: when to stop before all is asked; by default never.

    Raises:
        Exception: a bug, after what was answered so far is on disk.
    """
    left, budget = Left(plan, context), budget or Budget()
    path, metrics = context.folder.records, tuple(plan.metrics)
    beside = context.folder.exchanges(context.attempt) if plan.exchanges else None
    with (
        Exchanges(beside, context.note) as exchanges,
        Cache(plan, context.settings.cache_dir, context.note) as cache,
        Writer(path, metrics=metrics, run_id=context.job_id, kept=left.rows(), until_decided=_text(rule)) as writer,
    ):
        left.remember()
        writer.order(targets=tuple(plan.routes), samples=[sample.id for sample in plan.samples])
        kept = writer.rows
        cached = _take_over(cache, left.done, writer)
        context.progress(writer.rows, plan.total, unit="samples", phase="asking", **budget.progress())

        def keep(unit: Unit, record: Record) -> None:
            writer.add(record)
            cache.keep(unit, record)
            exchanges.keep(record)
            context.progress(writer.rows, plan.total, unit="samples", phase="asking", **budget.progress())

        looking = Looking(plan=plan, context=context, budget=budget, rule=rule, writer=writer)
        asking = Asking(
            plan=plan,
            keep=keep,
            stopping=lambda: context.stopping,
            done=left.done,
            budget=budget,
            ends=_ends(plan, rule),
            enough=looking.enough,
        )
        try:
            on_loop(asking.run())
        finally:
            asked = writer.rows - kept - cached
            for record in asking.unasked():
                writer.add(record)
        # What earlier attempts and evaluations were asked beyond the stop is in no look, and so in no result.
        frame = among(writer.frame(), asking.asked) if asking.decided else writer.frame()
        context.progress(len(frame), len(frame), unit="samples", phase="scoring", **budget.progress())
        frame = with_late_scores(frame, plan.metrics, plan.samples)
        frame = looking.ended(frame, early=asking.decided)
        writer.close(frame)
    return Answers(records=frame, asked=asked, kept=kept, cached=cached, decided=asking.decided)


def _ends(plan: Plan, rule: Rule | None) -> list[int]:
    """After how many samples somebody looks: at any time, of as many as are asked at once."""
    at_once = max(plan.limits.concurrency or route.concurrency for route in plan.routes.values())
    return stopping.ends(rule, len(plan.samples), at_once=-(-at_once // plan.repeats))


def _price(rule: Rule) -> dict[str, int]:
    """How many samples more it may take, where that is known not to be 0."""
    return {"more_samples": rule.more_samples} if rule.any_time else {}


def _text(rule: Rule | None) -> str | None:
    return None if rule is None else rule.text


def _stop(found: Answers) -> dict[str, Any]:
    """After how many samples it ended, and whether that was before all were asked."""
    return {"asked": stopping.n_asked(found.records), "early": found.decided}


def _take_over(cache: Cache, done: set[Unit], writer: Writer) -> int:
    """Add what earlier evaluations were answered; returns how many there were."""
    before = writer.rows
    for unit, record in cache.find(frozenset(done)):
        writer.add(record)
        done.add(unit)
    return writer.rows - before


def _budget(spec: Eval, plan: Plan, context: Context) -> Budget:
    """What may be spent, earlier attempts included.

    Raises:
        UsageError: if there is a cap, and somebody whose price nobody knows; if a budget above it is used up.
        StoreError: if the ledger cannot be used.
    """
    account = Account(context.settings, job=context.job_id)
    why = "--max-usd" if spec.max_usd is not None else account.needs_prices
    if why:
        metering.check((*plan.routes.values(), *plan.judges.values()), plan.params, book=plan.prices, why=why)
    own = None if spec.max_usd is None else Decimal(str(spec.max_usd))
    return Budget(own, context.folder.budget, account)


def _rule(spec: Eval, plan: Plan) -> Rule | None:
    """When to stop before everything is asked.

    Raises:
        UsageError: if that cannot be.
    """
    if spec.until_decided is None:
        return None
    if spec.any_time and spec.until_decided in plan.judges:
        raise UsageError(
            "--any-time looks after every few answers, and a judge is asked side by side between looks.",
            next="Leave --any-time out: five looks are judged. Or choose a metric without a judge.",
        )
    rule = stopping.planned(
        spec.until_decided, plan.metrics, plan.samples, targets=len(plan.routes), grouped=GROUPED[spec.grouped]
    )
    return replace(rule, margin=margins(spec.margin), any_time=spec.any_time)


def _warnings(spec: Eval, plan: Plan) -> Iterator[str]:
    """What a user should know before he waits."""
    if plan.prices.trouble:
        yield f"Every cost is unknown. {plan.prices.trouble}"
    sampled = [name for name, route in plan.routes.items() if route.params(plan.params).temperature != 0]
    if sampled and spec.repeats == 1:
        yield f"{', '.join(sampled)}: sampled, and one draw: the spread is unknown. To see it: --repeats 3."


def _notes(records: pl.DataFrame, budget: Budget) -> Iterator[str]:
    """What a user should know of the answers."""
    total, errors = len(records), _errors(records)
    if CAPPED in errors:
        asked = total - errors.pop(CAPPED)
        yield f"stopped at {usd(budget.spent_usd)} of {usd(budget.cap_usd)}: {asked:,} of {total:,} asked"
        if budget.why:
            yield f"{budget.why}."
    for error, n in errors.items():
        yield f"{n} of {total} calls failed: {error}"


def _errors(records: pl.DataFrame) -> dict[str, int]:
    """How many calls failed, by error."""
    failed = records.filter(pl.col("error").is_not_null())
    return dict(failed.group_by("error").len().sort("len", "error", descending=[True, False]).iter_rows())


def _numbers(summary: list[Summary]) -> dict[str, float | None]:
    """The summary as MLflow's flat metrics: `exact_match.tiny`, `exact_match.tiny_ci_low` and so on."""
    found: dict[str, float | None] = {}
    for line in summary:
        # MLflow takes letters, digits and a few signs, up to 250 of them, and treats a slash as a folder.
        name = ".".join(re.sub("[^A-Za-z0-9_.-]+", "_", part) for part in (line.metric, line.target))[:230]
        while name in found:
            name += "_"
        found[name] = line.mean
        found[f"{name}_ci_low"], found[f"{name}_ci_high"] = line.ci_low, line.ci_high
        found[f"{name}_n"], found[f"{name}_n_error"] = line.n, line.n_error
        if line.spread is not None:
            found[f"{name}_spread"] = line.spread
    return found
