"""The entry of task `load`: plan, send, measure, conclude. What was measured is on disk, however it ends."""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from mlaas_lab.context import Context, Outcome
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.inference import Client, on_loop
from mlaas_lab.inference.attempt import now
from mlaas_lab.ledger import Account
from mlaas_lab.records import Writer
from mlaas_lab.schema import Record
from mlaas_lab.tasks.load import STEP_S, Load
from mlaas_lab.traffic import knee
from mlaas_lab.traffic.beside import SERVER, Beside
from mlaas_lab.traffic.calls import Calls
from mlaas_lab.traffic.conclusion import Spent, concluded
from mlaas_lab.traffic.figures import Figures
from mlaas_lab.traffic.plan import Plan, Step, at_rate, prepare
from mlaas_lab.traffic.sending import at_their_times, so_many_at_once
from mlaas_lab.traffic.showing import Showing

GENTLE = 0.5
"""A sweep begins at so much of the rate at which one request would follow another."""
FIRST_RATES = 0.2, 50.0
"""Where it may begin, in requests a second."""


def run(spec: Load, context: Context) -> Outcome:
    """Load `spec.targets`; the records are the job's, whatever happens on the way.

    Raises:
        LabError: before anything is measured, for words, files or targets that cannot be used.
        Stopped: when the job was asked to stop; what was answered by then has its record.
    """
    context.progress(0, None, unit="requests", phase="waiting for the targets")
    plan = prepare(spec, context)
    if plan.prices.trouble:
        context.note(f"Every cost is unknown. {plan.prices.trouble}")
    cap = None if spec.max_usd is None else Decimal(str(spec.max_usd))
    budget = Budget(cap, context.folder.budget, Account(context.settings, job=context.job_id))
    with Writer(context.folder.records, run_id=context.job_id) as writer:
        writer.order(targets=[party.name for party in plan.parties], samples=[])
        loading = Loading(spec=spec, plan=plan, context=context, budget=budget, writer=writer)
        spent = on_loop(loading.run())
    records = pl.read_parquet(context.folder.records)
    result, notes = concluded(spec, records, spent)
    notes += [f"{budget.why}."] if spent.capped and budget.why else []
    for note in notes:
        context.note(note)
    context.check()
    metrics = {
        f"{name}.{q}": times[q]
        for name in ("latency_s", "ttft_s", "itl_s", "tpot_s")
        if (times := result[name]) is not None
        for q in ("p50", "p95", "p99")
    }
    counted = {name: result[name] for name in ("n", "errors", "cost_usd")}
    return Outcome(
        result={"records": str(context.folder.records), **result, **budget.progress(), "notes": notes},
        metrics=metrics | counted | result["throughput"],
        artifacts=(str(context.folder.records),),
    )


@dataclass(kw_only=True)
class Loading:
    """The loads of one job, one after the other, on an event loop."""

    spec: Load
    plan: Plan
    context: Context
    budget: Budget
    writer: Writer

    async def run(self) -> Spent:
        """Send everything there is to send; what it took of ourselves.

        Raises:
            CallError: if a target cannot be asked at all.
        """
        spent = Spent()
        beside = Beside(routes=[party.route for party in self.plan.parties], path=self.context.folder.path / SERVER)
        async with self.budget, Client(self.plan.limits) as client:
            calls = Calls(plan=self.plan, client=client, budget=self.budget, keep=lambda _record: None)
            slowest_s = await calls.probe()
            step: Step | None = self.plan.first
            if self.spec.sweep and self.spec.rate is None:
                step = at_rate(self.spec, _gentle(slowest_s))
            sampling = asyncio.ensure_future(beside.run())
            try:
                while step is not None:
                    await self._step(calls, step, spent)
                    step = await self._following(calls, spent) if self.spec.sweep else None
            finally:
                sampling.cancel()
        spent.capped, spent.server = calls.capped, beside.summary()
        return spent

    async def _step(self, calls: Calls, step: Step, spent: Spent) -> None:
        """One load."""
        counted_from = now() + step.warm_up_s
        total = None if step.times_s is None else len(step.times_s)
        showing = Showing(context=self.context, budget=self.budget, step=step, total=total)

        def keep(record: Record) -> None:
            showing.add(record)
            if (record.intended_at or 0.0) >= counted_from:
                self.writer.add(record)
            else:
                spent.warm_up(record)

        calls.rate, calls.first, calls.keep = step.rate, calls.first + calls.begun, keep
        calls.begun = 0
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        shown = asyncio.ensure_future(showing.run())
        try:
            await self._send(calls, step)
        finally:
            shown.cancel()
            showing.show()
        # Waiting for the last answers costs little, and would hide how busy we were before.
        busy_s = min(time.perf_counter() - wall_s, step.duration_s) or 1.0
        spent.step(step, cpu_share=min(1.0, (time.thread_time() - cpu_s) / busy_s))

    async def _send(self, calls: Calls, step: Step) -> None:
        start = now()

        def stopping() -> bool:
            return self.context.stopping

        def over(n: int) -> bool:
            late = now() - start >= step.duration_s
            return late or calls.capped or (self.spec.requests is not None and n >= self.spec.requests)

        try:
            if step.times_s is None:
                several = self.plan.concurrency or 1
                await so_many_at_once(several, calls.send, clock=now, over=over, stopping=stopping)
            else:
                times = (start + step.times_s).tolist()
                await at_their_times(times, calls.send, clock=now, stopping=stopping, enough=lambda: calls.capped)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _following(self, calls: Calls, spent: Spent) -> Step | None:
        """The next rate of a sweep; None when its knee is known, or there is no going on."""
        if self.context.stopping or calls.capped or spent.client_is_full or not self.writer.rows:
            return None
        rate = knee.following(await asyncio.to_thread(self._curve))
        # Of a load that would send nothing in its time, nothing can be known.
        nothing = rate is None or round(rate * (self.spec.duration or STEP_S)) < 1
        return None if rate is None or nothing else at_rate(self.spec, rate)

    def _curve(self) -> list[Figures]:
        frame = self.writer.frame()
        return knee.curve(frame, knee.objective(frame, self.spec.slo))


def _gentle(slowest_s: float) -> float:
    low, high = FIRST_RATES
    return min(high, max(low, GENTLE / slowest_s)) if slowest_s else high
