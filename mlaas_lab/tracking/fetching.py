"""An evaluation from the tracking server alone: its table of records, and what it was asked with.

The table is kept by run and content, and compared with the digest that its job told the server: what a panel shows on
another machine is what was measured, or there is no panel.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from mlaas_lab.errors import TrackingError, UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.store.beside import decisions_of
from mlaas_lab.store.folder import read_json, write_json
from mlaas_lab.tracking.decisions import DECIDED
from mlaas_lab.tracking.ending import RECORDS_SHA256
from mlaas_lab.tracking.opening import named, run_of
from mlaas_lab.tracking.server import Refused, asking, connect

RECORDS = "records.parquet"
READ_S = 30.0
"""Somebody waits for the answer, and may interrupt."""
PARENT = "mlflow.parentRunId"


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """The records of a run, on this machine."""

    path: Path
    state: str | None
    """How its job stood when it was last told: `succeeded`, `cancelled` and so on."""
    seed: int | None
    margin: str | None
    grouped: str | None
    """As the evaluation was asked; None for the default."""


def records(run_id: str, settings: Settings) -> Path:
    """The `records.parquet` of a run.

    Raises:
        UsageError, TrackingError: as for `fetched`.
    """
    return fetched(run_id, settings).path


def fetched(run_id: str, settings: Settings) -> Fetched:
    """The evaluation that run `run_id` keeps; of one that has ended what was fetched before does without the server.

    Raises:
        UsageError: if there is no such run, or it is one target's of an evaluation.
        TrackingError: if MLflow cannot be asked, the run has no records, or they are not those that were logged.
    """
    named(run_id)
    kept = settings.cache_dir / "runs" / run_id
    try:
        client = connect(settings)
        run = run_of(client, run_id, settings, within_s=READ_S)
    except TrackingError:
        known = _known(kept)
        if known is None:
            raise
        return known
    wanted = run.data.tags.get(RECORDS_SHA256)
    place = kept / wanted[:16] / RECORDS if wanted else None
    if place is None or not place.exists() or _sha256(place) != wanted:
        place = _downloaded(client, run, kept, settings)
    if DECIDED in run.data.tags:
        with suppress(TrackingError):  # whoever looks at the log is told that MLflow knows more
            _with_decisions(client, run_id, place, settings)
    write_json(kept / "run.json", {**_said(run), "place": str(place.relative_to(kept)), "sha256": wanted})
    return _made(place, _said(run))


def _downloaded(client: MlflowClient, run: Run, kept: Path, settings: Settings) -> Path:
    run_id, wanted = run.info.run_id, run.data.tags.get(RECORDS_SHA256)
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept) as beside:
        try:
            with asking(settings.mlflow_uri, timeout_s=READ_S):
                found = Path(client.download_artifacts(run_id, RECORDS, beside))
        except TrackingError as error:
            if not isinstance(error, Refused) and _has_records(client, run_id, settings):
                raise
            raise _without(run) from error
        sha256 = _sha256(found)
        if wanted and sha256 != wanted:
            raise TrackingError(
                f"{RECORDS} of run {run_id} is not what was logged: SHA-256 {sha256[:12]}…, expected {wanted[:12]}….",
                next="`sync` its job on the machine that measured it.",
            )
        # A local artifact store hands out its own file, which is not ours to move.
        own = found if found.is_relative_to(beside) else Path(shutil.copy2(found, beside))
        place = kept / sha256[:16] / RECORDS
        place.parent.mkdir(exist_ok=True)
        own.replace(place)
    return place


def _with_decisions(client: MlflowClient, run_id: str, place: Path, settings: Settings) -> None:
    """What was signed elsewhere, beside the records; a log that is here already stays as it is."""
    log = decisions_of(place)
    if log.exists():
        return
    log.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=log.parent) as beside:
        with asking(settings.mlflow_uri, timeout_s=READ_S):
            found = Path(client.download_artifacts(run_id, log.name, beside))
        # Whole or not there: a copy of what a local artifact store hands out, too.
        Path(shutil.copy2(found, Path(beside) / f"whole-{log.name}")).replace(log)


def _without(run: Run) -> TrackingError | UsageError:
    run_id, parent = run.info.run_id, run.data.tags.get(PARENT)
    if parent:
        target = run.data.tags.get("mlaas.target") or run.info.run_name
        return UsageError(f"run {run_id} is one target ({target}) of evaluation {parent}.", next=f"`compare {parent}`.")
    return TrackingError(
        f"run {run_id} ({run.info.status.lower()}) has no {RECORDS}.", next="Only evaluations leave one."
    )


def _said(run: Run) -> dict[str, JSON]:
    params = run.data.params
    return {
        "status": run.info.status,
        "state": run.data.tags.get("mlaas.state"),
        "seed": params.get("seed"),
        "margin": params.get("margin"),
        "grouped": params.get("grouped"),
    }


def _made(place: Path, said: Mapping[str, JSON]) -> Fetched:
    seed, margin = said.get("seed"), said.get("margin")
    return Fetched(
        path=place,
        state=said.get("state"),
        seed=None if seed is None else int(seed),
        margin=None if margin is None else str(margin),
        grouped=said.get("grouped"),
    )


def _known(kept: Path) -> Fetched | None:
    """What was fetched of a run that had ended well, if it is still whole."""
    try:
        said = read_json(kept / "run.json") or {}
    except ValueError:
        return None
    if said.get("status") != "FINISHED":
        return None
    place = kept / str(said["place"])
    whole = place.exists() and said["sha256"] in (None, _sha256(place))
    return _made(place, said) if whole else None


def _has_records(client: MlflowClient, run_id: str, settings: Settings) -> bool:
    with asking(settings.mlflow_uri, timeout_s=READ_S):
        return any(file.path == RECORDS for file in client.list_artifacts(run_id))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
