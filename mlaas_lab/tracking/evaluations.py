"""What an evaluation leaves in MLflow besides what every job does: verdicts, a run per target, prompts, traces.

It is known by its outcome, which has a summary, and by its records. Each part may be sent twice and is then there once.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric

from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking.outbox import TRACES, Delivered
from mlaas_lab.tracking.params import metric_name, redacted
from mlaas_lab.tracking.part import Part
from mlaas_lab.tracking.prompts import prompts, register
from mlaas_lab.tracking.server import Refused

VERDICTS = "verdicts.json"
BATCH = 1000
"""Metrics in a request; MLflow's limit."""


def parts(folder: JobFolder, state: Delivered, datasets: Sequence[DatasetInput]) -> list[Part]:
    """What belongs to the evaluation in `folder` before its run is closed; nothing for another job."""
    lines = _summary(folder)
    if not lines:
        return []
    from mlaas_lab.tracking.children import Children

    verdicts = read_json(folder.outcome)["result"].get("verdicts") or []
    at_ms = round((state.final_at or 0) * 1000)
    job = read_json(folder.job)
    below = Children(records=folder.records, lines=lines, job=job, datasets=datasets, at_ms=at_ms)
    found = [
        Part(name="verdicts", send=partial(_verdicts, lines, verdicts, at_ms)),
        Part(name="targets", send=below.send),
    ]
    if texts := prompts(folder):
        found.append(Part(name="prompts", send=partial(register, texts)))
    return found


def late(folder: JobFolder, settings: Settings) -> list[Part]:
    """What follows once the run is closed: it only illustrates, and no number waits for it."""
    if not settings.traces or not _summary(folder):
        return []
    return [Part(name=TRACES, send=partial(_traces, folder, settings.traces))]


def files(folder: JobFolder) -> list[str]:
    """What says how an evaluation was made, as far as the folder has it."""
    if not _summary(folder):
        return []
    return [str(path) for path in (folder.plan, folder.prompts) if path.exists()]


def _summary(folder: JobFolder) -> list[dict[str, JSON]]:
    """The lines of the job's summary, one per target and metric; empty for what is no evaluation."""
    outcome = read_json(folder.outcome) or {}
    found = (outcome.get("result") or {}).get("summary")
    return list(found) if isinstance(found, list) and folder.records.exists() else []


def _verdicts(
    lines: Sequence[Mapping[str, JSON]],
    verdicts: Sequence[Mapping[str, JSON]],
    at_ms: int,
    client: MlflowClient,
    run_id: str,
) -> None:
    client.log_text(run_id, json.dumps({"summary": lines, "verdicts": verdicts}, indent=1), VERDICTS)
    metrics = [Metric(key, value, at_ms, 0) for key, value in _differences(verdicts).items()]
    for first in range(0, len(metrics), BATCH):
        client.log_batch(run_id, metrics=metrics[first : first + BATCH], synchronous=True)


def _differences(verdicts: Sequence[Mapping[str, JSON]]) -> dict[str, float]:
    """`difference.exact_match.B_minus_A` with its interval, its adjusted p and its pairs."""
    found: dict[str, float] = {}
    for one in verdicts:
        a, b = (redacted(str(one[side]))[:80] for side in ("a", "b"))
        name = metric_name("difference", str(one["metric"]), f"{b}_minus_{a}")
        while f"{name}_n" in found:
            name += "_"
        said = {"": one["difference"], **{f"_{key}": one.get(key) for key in ("ci_low", "ci_high", "p_adjusted", "n")}}
        found |= {f"{name}{end}": float(value) for end, value in _finite(said)}
    return found


def _finite(said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in said.items() if value is not None and math.isfinite(value))


def _traces(folder: JobFolder, most: int, client: MlflowClient, run_id: str) -> None:
    """To the run of each target; where there is none, to the evaluation's own."""
    from polars.exceptions import PolarsError

    from mlaas_lab.tracking.sampling import sampled
    from mlaas_lab.tracking.traces import send

    try:
        chosen = sampled(folder.records, most)
    except (OSError, PolarsError) as error:
        raise Refused(f"the records cannot be read: {' '.join(str(error).split())[:120]}") from None
    below = Delivered.read(folder).children
    for rows in chosen.values():
        send(client, below.get(str(rows[0]["target_index"]), run_id), rows)
