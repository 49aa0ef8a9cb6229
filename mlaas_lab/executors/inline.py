"""The job in this very process: a real traceback, a debugger, no second interpreter; it blocks until the job ends."""

import runpy
import sys
from collections.abc import Mapping
from typing import NoReturn

from mlaas_lab.errors import UsageError
from mlaas_lab.processes import elsewhere, find
from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder


class InlineExecutor:
    """Runs the worker by `runpy`; the worker sees that it is inline and calls the entry itself."""

    outlives = False

    def launch(self, folder: JobFolder, *, mark: str) -> dict[str, JSON]:
        """Run the job; what its entry raises comes out here."""
        del mark
        argv = sys.argv
        sys.argv = ["mlaas_lab.worker", str(folder.path), "--inline"]
        try:
            runpy.run_module("mlaas_lab.worker", run_name="__main__")
        finally:
            sys.argv = argv
        return {}

    def is_alive(self, handle: Mapping[str, JSON]) -> bool | None:
        """Whether the process that ran it is there; it ends with it."""
        return None if elsewhere(handle) else find(handle) is not None

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Nothing: the process is somebody's kernel."""
        del handle

    def begin(self, folder: JobFolder, job: Mapping[str, JSON], environment: Mapping[str, str]) -> NoReturn:
        """Not as a process of its own: the worker calls the entry."""
        del job, environment
        raise UsageError(f"the job in {folder.path} is run in this process, not begun beside it.")

    def again(self, folder: JobFolder, entry: Mapping[str, JSON]) -> None:
        """Never: it ended with its process."""
        del folder, entry


executor = InlineExecutor()
