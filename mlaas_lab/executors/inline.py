"""The job in this very process: a real traceback, a debugger, no second interpreter; it blocks until the job ends."""

import runpy
import sys
from collections.abc import Mapping

from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder


class InlineExecutor:
    """Runs the worker by `runpy`; the worker sees that it is inline and calls the entry itself."""

    def launch(self, folder: JobFolder) -> dict[str, JSON]:
        """Run the job; what its entry raises comes out here."""
        argv = sys.argv
        sys.argv = ["mlaas_lab.worker", str(folder.path), "--inline"]
        try:
            runpy.run_module("mlaas_lab.worker", run_name="__main__")
        finally:
            sys.argv = argv
        return {}

    def is_alive(self, handle: Mapping[str, JSON]) -> bool:
        """Never: `launch` returned, so it ended."""
        del handle
        return False

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Nothing is left to stop."""
        del handle


executor = InlineExecutor()
