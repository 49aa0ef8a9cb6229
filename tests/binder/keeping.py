"""`notebooks/execute.py`, with the state of live views in the copy too, for a test to read."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

sys.path.insert(0, "notebooks")

import execute


class Keeping(execute.Telling):
    """Writes down what its live views held, as JupyterLab does when it saves."""

    @contextmanager
    def setup_kernel(self, **options: Any) -> Iterator[None]:
        """A kernel; at its end the states are kept."""
        with super().setup_kernel(**options):
            yield
            self.set_widgets_metadata()


execute.Telling = Keeping
sys.exit(execute.main())
