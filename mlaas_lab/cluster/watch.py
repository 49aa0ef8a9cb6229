"""One job of a cluster, looked at from threads of their own: whoever asks how it stands never waits.

A cluster does not say that it died. Status comes from the control store, and stays RUNNING there for ever when the
node that ran the job is gone, so the node's agent is asked too; and what has not answered for a while is gone.
"""

import queue
import threading
import time
from contextlib import suppress
from typing import Any

from mlaas_lab.cluster.jobs_api import Cluster, Listening, Unanswered

LOOK_S = 0.5
NODE_S = 2.0
"""How often the node is asked."""
LOST_S = 12.0
"""A cluster that has not answered for so long is gone."""
QUIET_S = 1.0
"""A job that ended and has said nothing for so long has said all."""
DRAIN_S = 6.0
"""But this is waited for it at most."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
CHUNKS = 256
"""Of output that wait to be taken; then the cluster waits."""


class Watch:
    """How a submitted job stands, and what it wrote."""

    def __init__(self, cluster: Cluster, submission: str, *, skip_bytes: int = 0) -> None:
        """Begin to look; the first `skip_bytes` of its output are known."""
        self._cluster, self._submission = cluster, submission
        self._output: queue.Queue[bytes] = queue.Queue(CHUNKS)
        self._heard_bytes = skip_bytes
        self._listening: Listening | None = None
        self._over, self._stop = threading.Event(), threading.Event()
        self._asked_node_at = 0.0
        self._job: dict[str, Any] = {}
        self._answered_at = self._heard_at = time.monotonic()
        self._ended_at: float | None = None
        self._missing = f"{cluster.address} does not answer."
        for work in (self._look_on, self._listen):
            threading.Thread(target=work, name=f"mlaas-{submission}", daemon=True).start()

    def output(self) -> bytes:
        """What it wrote since the last call."""
        chunks = []
        while True:
            try:
                chunks.append(self._output.get_nowait())
            except queue.Empty:
                return b"".join(chunks)

    def stop(self) -> None:
        """Have the job asked to stop, as soon as the cluster answers."""
        self._stop.set()

    @property
    def ended(self) -> dict[str, Any] | None:
        """What the cluster says of a job that has ended, once its output is here."""
        if self._ended_at is None:
            return None
        now = time.monotonic()
        quiet = now - max(self._heard_at, self._ended_at) > QUIET_S and self._output.empty()
        return self._job if quiet or now - self._ended_at > DRAIN_S else None

    @property
    def lost(self) -> str | None:
        """Which part of the cluster is gone, as far as one can tell."""
        if self._ended_at is None and time.monotonic() - self._answered_at > LOST_S:
            return self._missing
        return None

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        if self._listening is not None:
            self._listening.close()

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_S):
            try:
                self._look()
            except Unanswered as error:
                self._missing = f"{self._part()} {error.message}"

    def _look(self) -> None:
        if self._stop.is_set():
            # A cluster that does not confirm it is asked again; one that ended it says so below.
            with suppress(Unanswered):
                self._cluster.stop(self._submission)
                self._stop.clear()
        self._job = self._cluster.job(self._submission)
        if self._job.get("status") in ENDED:
            self._answered_at = self._ended_at = time.monotonic()
            self._over.wait(DRAIN_S)
            self.close()
            return
        node = self._job.get("driver_node_id")
        if node and time.monotonic() - self._asked_node_at > NODE_S:
            self._cluster.node_answers(node)
            self._asked_node_at = time.monotonic()
        self._answered_at = time.monotonic()

    def _part(self) -> str:
        """The part that does not answer."""
        try:
            self._cluster.get("/api/version")
        except Unanswered:
            return f"the head at {self._cluster.address} is gone:"
        try:
            self._cluster.job(self._submission)
        except Unanswered:
            return "the control store (gcs_server) does not answer:"
        return "the node that ran it (raylet) does not answer:"

    def _listen(self) -> None:
        while not self._over.is_set():
            if node := self._job.get("driver_node_id"):
                with suppress(Unanswered):
                    self._listening = self._cluster.log(self._submission, node)
                    self._hear(self._listening)
            self._over.wait(LOOK_S)

    def _hear(self, log: Listening) -> None:
        """The log begins anew with each connection: what was heard before is passed over."""
        at = 0
        while not self._over.is_set() and (chunk := log.read()):
            fresh = chunk[max(0, self._heard_bytes - at) :]
            at += len(chunk)
            while fresh and not self._over.is_set():
                with suppress(queue.Full):
                    self._output.put(fresh, timeout=1.0)
                    self._heard_bytes, self._heard_at = self._heard_bytes + len(fresh), time.monotonic()
                    break
