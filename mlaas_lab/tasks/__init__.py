"""What a job runs: its options and the name of its entry.

The entry is a string, so that reading a Spec in the kernel never imports torch.
"""

from dataclasses import dataclass

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
    service: bool = False
    """Runs until somebody stops it; waiting ends when it is ready."""
