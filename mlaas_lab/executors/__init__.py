"""How a job is launched: an executor only starts, looks at and stops the command `python -m mlaas_lab.worker JOB_DIR`.

Nothing is pickled; any job can be run again by hand.
"""

from collections.abc import Mapping
from typing import Protocol

from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder


class Executor(Protocol):
    """Three verbs; what `launch` returns is all that the other two need, also after a restart."""

    def launch(self, folder: JobFolder) -> dict[str, JSON]:
        """Start the worker of `folder`; its handle goes to the store."""
        ...

    def is_alive(self, handle: Mapping[str, JSON]) -> bool:
        """Whether that very worker still runs."""
        ...

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Kill the worker and all it started; a polite request was made before."""
        ...
