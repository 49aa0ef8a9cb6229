"""Live views for a notebook: what the panels show, and behind every number the rows it stands on.

The static View stays in the output beside a live one, so a page without a kernel still has the numbers. Importing this
costs nothing: the widget library comes with the first view that is shown.
"""

from typing import Any

from mlaas_lab import registry
from mlaas_lab.errors import MissingExtra
from mlaas_lab.job import JobHandle
from mlaas_lab.schema import Job, JobState
from mlaas_lab.tasks import Task


def of(shown: Any) -> Any | None:
    """The live view of a result; None where it has none, it is not wanted, or the widget library is not installed."""
    if shown.still:
        return None
    try:
        return _of_job(shown) if isinstance(shown, JobHandle) else _of_result(shown)
    except MissingExtra:
        return None


def evaluated(job: Job) -> Any | None:
    """The live view of an evaluation; None if it left no records.

    Raises:
        MissingExtra: if the widget library is not installed.
    """
    return registry.resolve("mlaas_lab.widgets.comparison:evaluated")(job)


def _of_result(shown: Any) -> Any | None:
    """Of what says, as `compared`, `looked`, `formed` or `reviewed`, what it stands on."""
    if hasattr(shown, "looked"):
        looked = shown.looked()
        return None if looked is None else registry.resolve("mlaas_lab.widgets.jobs:JobsWidget")(looked)
    if hasattr(shown, "formed"):
        return registry.resolve("mlaas_lab.widgets.form:FormWidget")(shown.formed())
    if hasattr(shown, "reviewed"):
        return registry.resolve("mlaas_lab.widgets.review:ReviewWidget")(shown.reviewed())
    if not hasattr(shown, "compared"):
        return None
    return registry.resolve("mlaas_lab.widgets.comparison:ComparisonWidget")(shown.compared())


def _of_job(handle: JobHandle) -> Any | None:
    """Of one that goes on, a card that follows it; of one that ended well, what its task has to show."""
    job = handle.job
    if not job.state.ended:
        return registry.resolve("mlaas_lab.widgets.job:JobWidget")(handle)
    task: Task = registry.load("task", job.task)
    return registry.resolve(task.live)(job) if task.live and job.state is JobState.SUCCEEDED else None
