"""The thread that sends a running job's lines to MLflow, so that neither training nor its supervisor ever waits for it.

mlflow is imported in the thread: it takes more than a second.
"""

import threading
from typing import TYPE_CHECKING

from mlaas_lab.errors import TrackingError
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tracking.outbox import Delivered

if TYPE_CHECKING:
    from mlaas_lab.tracking.delivery import Delivery

EVERY_S = 1.0
PATIENCE_S = 30.0
"""Longest pause between two tries when MLflow is away."""
AWAY_S = 5.0
"""How long the end of a job waits for an MLflow that was away before."""


class Sender(threading.Thread):
    """Delivers until told to finish; what it could not deliver stays in the outbox."""

    def __init__(self, folder: JobFolder, settings: Settings) -> None:
        """Nothing is sent before `start`."""
        super().__init__(name="mlaas-sender", daemon=True)
        self._folder = folder
        self._settings = settings
        self._ended = threading.Event()
        self._told = threading.Event()
        self._given_up = threading.Event()
        self._closed = False
        self._state: JobState | None = None
        self.run_id: str | None = None
        self.trouble: str | None = None
        """Why the last try failed; None when it went well."""

    def finish(self, state: JobState, *, within_s: float) -> None:
        """Deliver the end of the job, and wait for it at most `within_s`; then the thread stops trying.

        What only illustrates the run may still be under way: `linger` waits for that.
        """
        self._state = state
        self._ended.set()
        self._told.wait(within_s if self.trouble is None else min(within_s, AWAY_S))
        self._given_up.set()

    def linger(self, within_s: float) -> None:
        """Wait at most `within_s` for what follows the end, if the run is closed."""
        if self._closed:
            self.join(within_s)

    def run(self) -> None:
        """Send every second; back off while MLflow is away."""
        from mlaas_lab.tracking.delivery import Delivery

        delivery = Delivery(self._folder, self._settings)
        try:
            self._closed = self._send(delivery)
        finally:
            self._told.set()
        if self._closed:
            try:
                delivery.illustrate()
            except TrackingError as error:
                self._say(str(error))

    def _send(self, delivery: "Delivery") -> bool:
        """Until all is told, or nobody waits any more; whether the run is closed."""
        pause_s = EVERY_S
        while True:
            ending = self._state
            try:
                self.run_id = delivery.start()
                done = delivery.drain() if ending is None else delivery.finish(ending)
            except TrackingError as error:
                self._say(str(error))
                pause_s = min(PATIENCE_S, pause_s * 2)
            else:
                if self._over(done):
                    return done.finished
                self.trouble, pause_s = None, EVERY_S
            if ending is None:
                self._ended.wait(pause_s)
            elif self._given_up.wait(EVERY_S):
                return False

    def _over(self, done: Delivered) -> bool:
        """Nothing is left to do here: all is delivered, or the run was deleted and will take nothing more."""
        if done.refused is not None:
            self._say(done.refused)
        return done.finished or done.refused is not None

    def _say(self, trouble: str) -> None:
        if self.trouble is None:
            print(f"MLflow: {trouble} What was logged waits in the job's folder; `sync` sends it.", flush=True)  # noqa: T201
        self.trouble = trouble
