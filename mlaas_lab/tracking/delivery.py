"""Delivery of one job to its MLflow run: open the run, send lines, close it; each can be repeated and changes nothing.

Two may try at once (a supervisor and `sync`): a lock file in the job's folder lets one in, and what has been done is
read again under it. The run is found by its tag `mlaas.job_id`, so a crash between making it and noting its id makes no
second one. It knows neither the store nor what the job is.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag

from mlaas_lab.errors import TrackingError
from mlaas_lab.schema import JSON, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking import ending, opening
from mlaas_lab.tracking.outbox import LOCK, Delivered, Parked, Point, batches, settle
from mlaas_lab.tracking.params import flat, redacted, short
from mlaas_lab.tracking.part import Part
from mlaas_lab.tracking.server import Refused, Slow, asking, connect

BATCH = 1000
"""Metrics in a request; MLflow's limit."""
LEAST = 50
"""A server that fails gets smaller requests, down to this."""
WAIT_S = 2.0
MOST_WAIT_S = 32.0
"""Patience doubles up to this with each request that was not answered in time: a slow server must not be a dead one."""
PARAMS = 100
"""Params in a request; MLflow's limit."""
STRIDE_BYTES = 64_000
"""Lines without a metric are rather read again than noted, up to so many bytes."""
STATUS = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}


class Delivery:
    """Sends what one job has to say; every method may be called again after it failed."""

    def __init__(self, folder: JobFolder, settings: Settings, *, timeout_s: float = WAIT_S) -> None:
        """`timeout_s` is how long a request may go unanswered, at first."""
        self._folder = folder
        self._settings = settings
        self._job: dict[str, JSON] = read_json(folder.job)
        self._timeout_s = timeout_s
        self._size = BATCH
        self._client: MlflowClient | None = None
        self._open = False

    def start(self) -> str | None:
        """Id of the job's run, opened if it is not yet; params and versions are logged once.

        Raises:
            TrackingError: if MLflow cannot be used now; what it was to be told waits.
        """
        if not self._open:
            with self._turn() as state:
                self._begin(state)
                self._open = True
        return self._state().run_id

    def drain(self) -> Delivered:
        """Send the lines that have come since.

        Raises:
            TrackingError: as for `start`; batches that got through stay delivered.
        """
        self.start()
        with self._turn() as state:
            return self._drain(state)

    def finish(self, job: JobState) -> Delivered:
        """Send the rest and what the job ended with, and close the run.

        Raises:
            TrackingError: as for `start`.
        """
        self.start()
        with self._turn() as state:
            sent = self._drain(state)
            return sent if sent.finished or sent.refused else self._finish(sent, job)

    def illustrate(self) -> Delivered:
        """Send what only illustrates a run, once it is closed: no number and nobody waits for it.

        Raises:
            TrackingError: as for `start`.
        """
        with self._turn() as state:
            if not state.finished or state.run_id is None or state.refused:
                return state
            done = self._send_parts(ending.late(self._folder, self._settings), state)
            if done.parked != state.parked:
                with self._asking():
                    self._reach().set_tag(state.run_id, "mlaas.parked", short(done.refusals))
            return done

    def _begin(self, state: Delivered) -> None:
        client = self._reach()
        if state.run_id is None:
            with self._asking():
                found = opening.find(client, self._settings, self._job)
                run = found[0] if found else opening.create(client, self._settings, self._job)
            state = self._keep(replace(state, run_id=run.info.run_id, experiment_id=run.info.experiment_id))
        gone = self._gone(str(state.run_id))
        if gone != state.refused:
            state = self._keep(replace(state, refused=gone))
        if gone is None and state.attempt < int(self._job["attempt"]):
            self._introduce(client, state)

    def _introduce(self, client: MlflowClient, state: Delivered) -> None:
        """Say what the run was asked to do, and with what; a later attempt opens the run again."""
        run_id = str(state.run_id)
        with self._asking():
            client.log_batch(run_id, tags=opening.tags(self._job))
            client.update_run(run_id, status="RUNNING")
        params = [Param(key, value) for key, value in flat(self._job["spec"]).items()]
        parked = list(state.parked)
        for i in range(0, len(params), PARAMS):
            parked += self._params(client, run_id, params[i : i + PARAMS])
        ended_at = None if state.attempt else state.ended_at
        begun = replace(state, attempt=int(self._job["attempt"]), parked=tuple(parked))
        self._keep(replace(begun, finished=False, done=(), ended_at=ended_at))

    def _params(self, client: MlflowClient, run_id: str, params: list[Param]) -> list[Parked]:
        try:
            with self._asking():
                client.log_batch(run_id, params=params)
        except Refused as error:
            self._check_run(run_id)
            if len(params) == 1:
                return [Parked(what=f"param {params[0].key}", reason=error.message)]
            half = len(params) // 2
            return self._params(client, run_id, params[:half]) + self._params(client, run_id, params[half:])
        return []

    def _drain(self, state: Delivered) -> Delivered:
        """Batch by batch, each noted before the next is sent."""
        if state.refused or state.run_id is None:
            return state
        kept = state.offset
        for batch in batches(self._folder, state.offset, size=self._size):
            noted = bool(batch.points or batch.bad) or batch.end - kept > STRIDE_BYTES
            if noted:
                self._settle()
            refused = self._send(state.run_id, batch.points)
            state = replace(
                state,
                offset=batch.end,
                sent=state.sent + len(batch.points) - len(refused),
                last_step=max([state.last_step, *(point.step for point in batch.points)]),
                parked=(*state.parked, *batch.bad, *refused),
                not_finite=_not_finite(batch.points) | state.not_finite,
            )
            if noted:
                self._keep(state)
                kept = batch.end
        self._size = min(BATCH, self._size * 2)
        return state

    def _send(self, run_id: str, points: Sequence[Point]) -> list[Parked]:
        """One request; where something in it is refused, halves, until the culprit is alone and parked."""
        if not points:
            return []
        if len(points) > BATCH:
            return self._send(run_id, points[:BATCH]) + self._send(run_id, points[BATCH:])
        metrics = [Metric(point.key, point.value, point.at_ms, point.step) for point in points]
        try:
            with self._asking():
                self._reach().log_batch(run_id, metrics=metrics, synchronous=True)
        except Refused as error:
            self._check_run(run_id)
            if len(points) == 1:
                return [Parked(what=points[0].key, reason=error.message, offset=points[0].end)]
            half = len(points) // 2
            return self._send(run_id, points[:half]) + self._send(run_id, points[half:])
        except TrackingError:
            self._size = max(LEAST, self._size // 2)
            raise
        return []

    def _finish(self, state: Delivered, job: JobState) -> Delivered:
        run_id = str(state.run_id)
        if state.ended_at is None:
            # Noted before they are sent: a repeat must carry the same time, or final metrics would double.
            now, of = time.time(), ending.digest(self._folder)
            same = state.final_at is not None and state.final_of in ("", of)
            final_at = (state.final_at if same else now) if self._folder.outcome.exists() else None
            state = self._keep(replace(state, ended_at=now, final_at=final_at, final_of=of))
        state = self._send_parts(ending.parts(self._folder, state), state)
        self._close(state, run_id, job)
        return self._keep(replace(state, finished=True))

    def _send_parts(self, parts: Sequence[Part], state: Delivered) -> Delivered:
        """Each part that was not sent yet, and noted before the next is."""
        run_id = str(state.run_id)
        for part in parts:
            if part.name in state.done:
                continue
            parked: tuple[Parked, ...] = ()
            made: Mapping[str, str] | None = None
            try:
                with self._asking():
                    made = part.send(self._reach(), run_id)
            except Refused as error:
                self._check_run(run_id)
                parked = (Parked(what=part.name, reason=error.message),)
            children = {**state.children, **(made or {})}
            done = (*state.done, part.name)
            state = self._keep(replace(state, done=done, children=children, parked=(*state.parked, *parked)))
        return state

    def _close(self, state: Delivered, run_id: str, job: JobState) -> None:
        tags = {"mlaas.state": str(job)}
        if state.not_finite:
            tags["mlaas.not_finite"] = short(", ".join(f"{key} at step {n}" for key, n in state.not_finite.items()))
        if state.parked:
            tags["mlaas.parked"] = short(state.refusals)
        if failure := read_json(self._folder.path / "error.json"):
            tags["mlaas.error"] = short(redacted(str(failure.get("message"))))
        client = self._reach()
        with self._asking():
            client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
            opening.drop_strays(client, self._settings, self._job, run_id)
            client.set_terminated(run_id, STATUS.get(job, "SCHEDULED"), round((state.ended_at or 0) * 1000))

    def _check_run(self, run_id: str) -> None:
        """Tell a refused item from a refused run.

        Raises:
            TrackingError: if the run as a whole takes nothing.
        """
        gone = self._gone(run_id)
        if gone is not None:
            self._keep(replace(self._state(), refused=gone))
            raise TrackingError(gone, next="Restore it and `sync`, or send the job to a new run: `sync JOB --again`.")

    def _gone(self, run_id: str) -> str | None:
        try:
            with self._asking():
                run = self._reach().get_run(run_id)
        except Refused as error:
            return error.message
        return None if run.info.lifecycle_stage == "active" else f"MLflow run {run_id} was deleted."

    def _reach(self) -> MlflowClient:
        if self._client is None:
            self._client = connect(self._settings)
        return self._client

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with asking(self._settings.mlflow_uri, timeout_s=self._timeout_s):
                yield
        except Slow:
            self._timeout_s = min(MOST_WAIT_S, self._timeout_s * 2)
            raise

    @contextmanager
    def _turn(self) -> Iterator[Delivered]:
        try:
            with FileLock(self._folder.path / LOCK, timeout=1):
                yield self._state()
        except Timeout:
            raise TrackingError(f"job {self._job['id']} is being delivered by another process.") from None

    def _state(self) -> Delivered:
        return Delivered.read(self._folder)

    def _settle(self) -> None:
        with _writing(self._folder.events):
            settle(self._folder)

    def _keep(self, state: Delivered) -> Delivered:
        with _writing(self._folder.delivered):
            state.write(self._folder)
        return state


@contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrackingError(f"{str(place)!r} cannot be written: {error.strerror or error}.") from error


def _not_finite(points: Sequence[Point]) -> dict[str, int]:
    first: dict[str, int] = {}
    for point in points:
        if not point.finite:
            first.setdefault(point.key, point.step)
    return first
