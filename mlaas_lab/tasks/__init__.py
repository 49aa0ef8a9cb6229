"""What a job runs: its options and the name of its entry.

The entry is a string, so that reading a Spec in the kernel never imports torch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mlaas_lab.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of job."""

    spec: type[Spec]
    entry: str
    """`module:function`, called as `entry(spec, context) -> Outcome` in a process of its own."""
    view: str = ""
    """`module:function` that draws a job's results: `views(folder) -> list[View]`."""
    tracked: bool = True
    """Gets an MLflow run."""
    fresh: Callable[[Any], bool] = lambda _spec: False
    """Whether a Spec asks for a new run even if the same job succeeded before."""
    service: bool = False
    """Runs until somebody stops it; waiting ends when it is ready."""
