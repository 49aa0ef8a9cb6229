"""What a job runs: its options and the name of its entry.

The entry is a string, so that reading a Spec in the kernel never imports torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlaas_lab.schema import JSON
from mlaas_lab.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of job."""

    spec: type[Spec]
    entry: str
    """`module:function`, called as `entry(spec, context) -> Outcome` in a process of its own."""
    view: str = ""
    """`module:function` that draws a job's results: `views(folder) -> list[View]`."""
    live: str = ""
    """`module:function` that makes the live view of a job that succeeded: `live(job)`, or None."""
    tracked: bool = True
    """Gets an MLflow run."""
    fresh: Callable[[Any], bool] = lambda _spec: False
    """Whether a Spec asks for a new run even if the same job succeeded before."""
    service: bool = False
    """Runs until somebody stops it; waiting ends when it is ready."""
    resumable: bool = False
    """Started again in its folder, the entry goes on where it was; then an interrupted job goes on by itself."""
    needs: str = ""
    """`module:function`: what a job must have before it runs, `needs(spec, settings, machine) -> Needs`."""
    claims: Callable[[Any], Sequence[str]] = lambda _spec: ()
    """Names that a job of a Spec answers to, and that no other job may have meanwhile."""
    smaller: Callable[[Any], dict[str, JSON] | None] = lambda _spec: None
    """Options that do the same with less memory, or None; tried once after the memory ran out."""
