"""Settings, store and jobs, wired once: what a command is run with."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from mlaas_lab.errors import Interrupted, UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.job_manager import JobManager
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Preferences, Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store import Store
from mlaas_lab.view import Shown

Keep = Callable[[object, JSON], str | None]
"""Keeps a result, as the object or as its JSON; says in one line why it could not."""


def _nowhere(_shown: Shown) -> None:
    """A front that shows nothing while it waits."""


def _returned(_name: str) -> Keep:
    """A front that has nothing to keep a result in but the value it returns."""
    raise UsageError("output is for cells and the shell.", next="In Python the result is what the function returns.")


class Lab:
    """One user's lab on this machine, as one front (cell, shell, Python) sees it."""

    def __init__(
        self,
        preferences: Preferences | None = None,
        *,
        waits: bool = False,
        live: Callable[[Shown], None] = _nowhere,
        keeper: Callable[[str], Keep] = _returned,
    ) -> None:
        """Nothing is opened before it is needed.

        Args:
            preferences: where settings come from.
            waits: whether jobs are waited for unless a command says otherwise.
            live: called with what is growing (a job, answers), often; the front throttles.
            keeper: looks at once whether `-o NAME` can be kept, a variable or a file, and returns what keeps it.
        """
        self.preferences = preferences or Preferences()
        self.waits = waits
        self.live = live
        self.keeper = keeper

    @cached_property
    def settings(self) -> Settings:
        """As they applied when this lab was first used."""
        return self.preferences.settings()

    @cached_property
    def store(self) -> Store:
        """The life cycle of jobs."""
        return Store(self.settings.store_path)

    @cached_property
    def jobs(self) -> JobManager:
        """Submit, list, wait, cancel."""
        return JobManager(self.settings, self.store)

    def submit(self, task: str, spec: Spec, *, wait: bool | None = None, **how: Any) -> JobHandle:
        """Launch a job, or find the one that did the same; wait for it if this front does.

        `how` is what `JobManager.submit` takes.
        """
        return self.waited(self.jobs.submit(task, spec, **how), wait)

    def waited(self, handle: JobHandle, wait: bool | None = None) -> JobHandle:
        """`handle`, waited for if this front does, unless `wait` says otherwise."""
        return self.wait(handle) if (self.waits if wait is None else wait) else handle

    def wait(self, handle: JobHandle, timeout: float | None = None) -> JobHandle:
        """Wait for a job and show how far it is.

        Raises:
            Interrupted: on ctrl-C or a kernel's interrupt; the job goes on.
        """
        try:
            return handle.wait(timeout, watch=self.live)
        except KeyboardInterrupt:
            raise Interrupted(
                f"job {handle.id} goes on.", next=f"`wait {handle.id}` comes back to it, `cancel {handle.id}` stops it."
            ) from None
