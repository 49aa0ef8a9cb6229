"""A job as a card, and as one line."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mlaas_lab.resources import GIB, THREADS, Blocked
from mlaas_lab.schema import EndpointState, Job, JobState, Progress
from mlaas_lab.view.formats import duration, plain
from mlaas_lab.view.model import Badge, Code, Column, Facts, Mark, ProgressBar, Table, Tone, View
from mlaas_lab.view.words import progress_words, spent_words

TONES = {
    JobState.QUEUED: Tone.MILD,
    JobState.RUNNING: Tone.BUSY,
    JobState.SUCCEEDED: Tone.GOOD,
    JobState.FAILED: Tone.BAD,
    JobState.CANCELLED: Tone.MILD,
    JobState.PREEMPTED: Tone.BUSY,
}

HEALTH: Mapping[str, Tone] = {
    EndpointState.READY: Tone.GOOD,
    EndpointState.BUSY: Tone.GOOD,
    EndpointState.SLEEPING: Tone.MILD,
    EndpointState.SICK: Tone.BAD,
}
"""How a server is doing, which its job has for a phase."""
STOP, WATCH = "Stop it", "Watch it"
"""What a card that stays calls the commands for what a live one does."""
COUNTED = 1000
"""Of what waits for MLflow, so much is counted each time a card is drawn."""


def card(job: Job, *, results: Sequence[View], log: Sequence[str], waiting: int = 0, asleep: bool = False) -> View:
    """State, progress, results and what to do next.

    Args:
        job: as it is.
        results: what it has found.
        log: its last lines.
        waiting: what MLflow does not have yet.
        asleep: it serves, and was stopped until somebody asks.
    """
    marks: list[Mark] = []
    if job.progress is not None and not job.state.ended and not job.ready and not _health(job):
        marks.append(bar(job.progress if job.state is JobState.RUNNING else replace(job.progress, rate=None)))
    left = [("Not in MLflow yet", f"{_left(waiting)} metrics and results; `sync` sends them")] if waiting else []
    marks.append(Facts(rows=[*_facts(job, asleep=asleep), *left]))
    if job.error and job.state is JobState.FAILED:
        marks.append(Code(text=job.error, label="Error"))
    if log:
        marks.append(Code(text="\n".join(log), label=f"Last lines; all of them: logs {job.id}"))
    return View(title=title(job), badge=state(job, asleep=asleep), marks=marks, children=results)


def table(jobs: Sequence[Job], waiting: Mapping[str, int] | None = None) -> View:
    """Many jobs, newest first; `waiting` is what MLflow does not have yet, by job id."""
    if not jobs:
        return View(title="No jobs yet", summary="`finetune --data FILE` starts one; `help` lists the commands.")
    columns: list[Column | str] = ["Job", "Task", "Name", "State", "Progress", "Took", "Why"]
    rows: list[list[Any]] = [_row(job) for job in jobs]
    if not waiting:
        return View(title="Jobs", table=Table(columns=columns, rows=rows))
    columns.append(Column(title="Not in MLflow yet", align="right"))
    rows = [[*row, _left(waiting.get(job.id))] for job, row in zip(jobs, rows, strict=True)]
    note = "Metrics and results that wait for MLflow are sent by `sync`."
    return View(title="Jobs", table=Table(columns=columns, rows=rows), notes=[note])


def _left(waiting: int | None) -> str | None:
    if waiting is None:
        return None
    return f"more than {COUNTED:,}" if waiting > COUNTED else f"{waiting:,}"


def line(job: Job) -> str:
    """`finetune support · 3f9a: training: 120/190 steps · 14.2 steps/s · 5 s left`."""
    head = f"{title(job)}: "
    if job.waiting and job.state is JobState.QUEUED:
        return head + job.waiting
    if job.progress is None or job.state is not JobState.RUNNING or job.ready or _health(job):
        return head + str(state(job).text)
    return head + progress_words(bar(job.progress))


def blocked(given: Blocked, names: Mapping[str, str]) -> str:
    """`waits for support (3f9a01bc), which holds 18.2 of 24.0 GiB of gpu:0; it needs 9.1 GiB`; `names` by job id."""
    if given.by:
        first = given.by[0]
        amount = "" if given.wanted is None else f"; it needs {_amount(given.wanted, first.resource)}"
        more = f" and {len(given.by) - 1} more" if len(given.by) > 1 else ""
        of_all = f"{_amount(first.amount, first.resource, unit=False)} of {_amount(given.total, first.resource)}"
        place = "" if first.resource == THREADS else f" of {first.resource}"
        return f"waits for {names[first.job_id]} ({first.job_id}){more}, which holds {of_all}{place}{amount}"
    before = given.behind[0] if given.behind else ""
    return f"waits behind {names[before]} ({before})" if before else f"waits for {given.resource}"


def _amount(value: int, resource: str, *, unit: bool = True) -> str:
    if resource == THREADS:
        return f"{value} CPU threads" if unit else str(value)
    return f"{value / GIB:.1f}" + (" GiB" if unit else "")


def bar(progress: Progress) -> ProgressBar:
    """The bar of a running job."""
    return ProgressBar(
        n=progress.n,
        total=progress.total,
        unit=progress.unit,
        rate=progress.rate,
        eta_s=progress.eta_s,
        phase=progress.phase,
        spent=spent_words(progress.spent_usd, cap_usd=progress.cap_usd, n_unpriced=progress.n_unpriced),
    )


def title(job: Job) -> str:
    """`finetune support · 3f9a01bc`."""
    name = f" {job.name}" if job.name != job.task else ""
    return f"{job.task}{name} · {job.id}"


def state(job: Job, *, asleep: bool = False) -> Badge:
    """Its state as a word that stands out."""
    if asleep:
        return Badge(text=str(EndpointState.SLEEPING), tone=HEALTH[EndpointState.SLEEPING])
    if health := _health(job):
        return Badge(text=health, tone=HEALTH[health])
    if job.ready and job.state is JobState.RUNNING:
        return Badge(text="ready", tone=Tone.GOOD)
    return Badge(text=str(job.state), tone=TONES[job.state])


def _health(job: Job) -> str:
    """How the server that it is does; empty if it is none, or none yet."""
    phase = "" if job.progress is None or job.state is not JobState.RUNNING else job.progress.phase
    return phase if phase in HEALTH else ""


def took_s(job: Job) -> float | None:
    """Seconds from its start to its end, or to now; None before it started."""
    if job.started_at is None:
        return None
    return max(0.0, (job.ended_at or time.time()) - job.started_at)


def _facts(job: Job, *, asleep: bool) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [("Took", duration(took_s(job)))]
    if job.waiting and job.state is JobState.QUEUED:
        facts.append(("Queue", job.waiting))
    if job.attempt > 1:
        facts.append(("Attempt", str(job.attempt)))
    if job.run_id:
        facts.append(("MLflow run", job.run_id))
    named = [(key, job.spec[key]) for key in ("base", "data", "models", "targets") if job.spec.get(key)]
    facts += [(key, ", ".join(value) if isinstance(value, list) else plain(value)) for key, value in named]
    if not job.state.ended:
        facts += [(WATCH, f"attach {job.id}"), (STOP, f"cancel {job.id}")]
    elif asleep:
        facts.append(("Go on", "by itself, with the next request to the front"))
    elif job.state is not JobState.SUCCEEDED:
        facts.append(("Go on", f"resume {job.id}"))
    return facts


def _row(job: Job) -> list[Any]:
    why = job.error or job.waiting
    return [job.id, job.task, job.name, state(job), _done(job), duration(took_s(job)), why]


def share(job: Job) -> float | None:
    """How much of it is done; None where that is unknown, and of a server, which never is."""
    progress = job.progress
    if progress is None or not progress.total or progress.phase in HEALTH:
        return None
    return progress.n / progress.total


def _done(job: Job) -> str:
    done = share(job)
    return "–" if done is None else f"{100 * done:.0f} %"
