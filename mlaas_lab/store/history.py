"""What happened to a job, and the row that follows from it: the stored state can always be made again."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlaas_lab.schema import JobState

Happened = tuple[JobState, int, float, str | None]
"""State, attempt, when (UTC seconds, for people: the order is that of the list), and why."""

ALIVE = (JobState.QUEUED, JobState.RUNNING, JobState.PREEMPTED)
NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PREEMPTED, JobState.FAILED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.PREEMPTED}),
    JobState.PREEMPTED: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    JobState.SUCCEEDED: frozenset({JobState.QUEUED}),
    JobState.FAILED: frozenset({JobState.QUEUED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}
"""What may follow a state."""


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """The part of a job's row that its history decides."""

    state: JobState
    attempt: int
    started_at: float | None
    """Of the last attempt that began."""
    ended_at: float | None
    error: str | None


def rebuilt(history: Sequence[Happened]) -> Rebuilt:
    """The row after `history`, which is not empty."""
    state, attempt, at, why = history[-1]
    began = [when for what, _, when, _ in history if what is JobState.RUNNING]
    return Rebuilt(
        state=state,
        attempt=attempt,
        started_at=began[-1] if began else None,
        ended_at=at if state.ended else None,
        error=why if state is JobState.FAILED else None,
    )
