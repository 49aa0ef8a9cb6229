"""How a job is launched: an executor starts its supervisor, and the supervisor begins its entry through it.

The supervisor, `python -m mlaas_lab.worker JOB_DIR`, is a light process on the user's machine whatever the executor;
the entry, `python -m mlaas_lab.context JOB_DIR`, runs where the executor puts it. Nothing is pickled; any job can be
run again by hand.
"""

from collections.abc import Mapping
from typing import Protocol

from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder

STOPPED = 3
"""Exit status of an entry that stopped because it was asked to, and kept what is worth keeping."""
LOST = 4
"""Stands for the exit status of an entry whose machine went away; it can go on elsewhere."""


class Running(Protocol):
    """An entry under way, as its supervisor sees it."""

    @property
    def handle(self) -> Mapping[str, JSON]:
        """All that finds it again."""
        ...

    def poll(self) -> int | None:
        """Its exit status, a signal as a negative number; None while it runs. Brings home what it wrote."""
        ...

    def stop(self) -> None:
        """Ask it to stop; it keeps what is worth keeping."""
        ...

    def kill(self) -> None:
        """Kill it and all it started; nothing is left on return."""
        ...


class Executor(Protocol):
    """What `launch` returns is all that the other verbs need, also after a restart."""

    @property
    def outlives(self) -> bool:
        """Whether an entry goes on when its supervisor is gone, so that a new one can come back to it."""
        ...

    def launch(self, folder: JobFolder, *, mark: str) -> dict[str, JSON]:
        """Start the supervisor of `folder`; `mark` is its `JOB_ID.ATTEMPT`. Its handle goes to the store."""
        ...

    def is_alive(self, handle: Mapping[str, JSON]) -> bool | None:
        """Whether that very supervisor still runs; None when that cannot be seen from here."""
        ...

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Kill the supervisor and all it started; a polite request was made before."""
        ...

    def begin(self, folder: JobFolder, job: Mapping[str, JSON], environment: Mapping[str, str]) -> Running:
        """Start the entry; called by the supervisor, with `job` as in job.json and variables the entry needs.

        Raises:
            LabError: if it cannot be started.
        """
        ...

    def again(self, folder: JobFolder, entry: Mapping[str, JSON]) -> Running | None:
        """Come back to an entry that outlived its supervisor; None where none can."""
        ...
