"""What a job leaves in MLflow when it ends: final metrics, datasets, records, artifacts, its adapter.

Each part may be sent twice and is then there once. Of a model only what training made is kept, never the base's
weights: those have a place of their own, and a run would be gigabytes.
"""

import hashlib
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelOutput, Metric
from mlflow.entities.logged_model_status import LoggedModelStatus

from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking import evaluations
from mlaas_lab.tracking.outbox import Delivered, Point, point
from mlaas_lab.tracking.params import flat
from mlaas_lab.tracking.part import Part
from mlaas_lab.tracking.server import Refused

WEIGHTS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx"})
"""Files that hold weights; of these only those of an adapter are kept."""
OURS = "adapter_model"
"""How peft names an adapter's weights."""
RECORDS_SHA256 = "mlaas.records_sha256"
"""Tag of a run: SHA-256 of its table of records."""


def parts(folder: JobFolder, state: Delivered) -> list[Part]:
    """Everything that the outcome of the job in `folder` names; of one that did not end well, the records it has."""
    outcome = read_json(folder.outcome) or {}
    found: list[Part] = []
    if outcome.get("metrics"):
        found.append(Part(name="final metrics", send=partial(_metrics, outcome["metrics"], state)))
    datasets = _datasets(outcome.get("datasets") or [])
    if datasets:
        found.append(Part(name="datasets", send=partial(_log_datasets, datasets)))
    files = [str(folder.records)] if folder.records.exists() else []
    files += [path for path in (*outcome.get("artifacts", ()), *evaluations.files(folder)) if path not in files]
    found += [Part(name=f"artifact {path}", send=partial(_artifact, path)) for path in files]
    found += evaluations.parts(folder, state, datasets)
    if adapter := outcome.get("adapter"):
        found.append(Part(name="adapter", send=partial(_adapter, adapter)))
        found.append(Part(name="model", send=partial(_model, adapter)))
    return found


def late(folder: JobFolder, settings: Settings) -> list[Part]:
    """What is sent once the run is closed."""
    return evaluations.late(folder, settings)


def digest(folder: JobFolder) -> str:
    """SHA-256 of the final numbers of the job in `folder`."""
    outcome = read_json(folder.outcome) or {}
    numbers = [outcome.get("metrics"), (outcome.get("result") or {}).get("summary")]
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()


def portable(folder: Path) -> Iterator[Path]:
    """The files of an adapter's folder that are its own: no base's weights, no checkpoint, nothing it only links to."""
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        linked = any((folder / Path(*inside.parts[: i + 1])).is_symlink() for i in range(len(inside.parts)))
        foreign = path.suffix in WEIGHTS and not path.name.startswith(OURS)
        saved = any(name.startswith("checkpoint") for name in inside.parts[:-1])
        if path.is_file() and not linked and not foreign and not saved:
            yield path


def _metrics(metrics: dict[str, JSON], state: Delivered, client: MlflowClient, run_id: str) -> None:
    """Final numbers, at the last step, so that they are the newest of their names."""
    made = [
        point(key, value, at_s=state.final_at or 0, step=state.last_step)
        for key, value in metrics.items()
        if value is not None
    ]
    points = [one for one in made if isinstance(one, Point) and not math.isnan(one.value)]
    if points:
        batch = [Metric(one.key, one.value, one.at_ms, one.step) for one in points]
        client.log_batch(run_id, metrics=batch, synchronous=True)


def _datasets(datasets: list[dict[str, JSON]]) -> list[DatasetInput]:
    """MLflow keeps one input per name and digest: where a file serves twice, its use joins the name."""
    inputs, seen = [], set[tuple[str, str]]()
    for one in datasets:
        name, digest = str(one["name"]), str(one["sha256"])[:16]
        if (name, digest) in seen:
            name = f"{name} ({one['context']})"
        seen.add((name, digest))
        source, profile = json.dumps({"uri": str(one["path"])}), json.dumps({"num_rows": one["rows"]})
        data = Dataset(name, digest, "local", source, profile=profile)
        tags = [InputTag("mlflow.data.context", str(one["context"])), InputTag("mlaas.sha256", str(one["sha256"]))]
        inputs.append(DatasetInput(data, tags))
    return inputs


def _log_datasets(inputs: list[DatasetInput], client: MlflowClient, run_id: str) -> None:
    client.log_inputs(run_id, inputs)


def _artifact(path: str, client: MlflowClient, run_id: str) -> None:
    source = Path(path)
    if not source.exists():
        raise Refused(f"{path!r} is gone.")
    if source.is_dir():
        client.log_artifacts(run_id, path, artifact_path=source.name)
    else:
        client.log_artifact(run_id, path)
    if source.name == "records.parquet":
        with source.open("rb") as file:
            client.set_tag(run_id, RECORDS_SHA256, hashlib.file_digest(file, "sha256").hexdigest())


def _adapter(adapter: dict[str, JSON], client: MlflowClient, run_id: str) -> None:
    with _only_portable(Path(adapter["path"])) as folder:
        client.log_artifacts(run_id, folder, artifact_path="adapter")


def _model(adapter: dict[str, JSON], client: MlflowClient, run_id: str) -> None:
    """The adapter as a LoggedModel of its run; found again if an earlier try came as far as making it."""
    run = client.get_run(run_id)
    place = [run.info.experiment_id]
    found = client.search_logged_models(place, f"tags.`mlaas.run_id` = '{run_id}'")
    model = found[0] if found else None
    if model is None:
        model = client.create_logged_model(
            run.info.experiment_id,
            name=str(adapter["name"]).replace("/", "-"),
            source_run_id=run_id,
            tags={"mlaas.run_id": run_id},
            params=_facts(adapter),
            model_type="lora",
        )
    if model.status != LoggedModelStatus.READY:
        with _only_portable(Path(adapter["path"])) as folder:
            client.log_model_artifacts(model.model_id, folder)
        client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    outputs = run.outputs.model_outputs if run.outputs else []
    if model.model_id not in [one.model_id for one in outputs]:
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])


def _facts(adapter: dict[str, JSON]) -> dict[str, str]:
    """What tells one adapter from another: base and its fingerprint, rank, content hash, how it was trained."""
    written = read_json(Path(adapter["path"]) / "adapter_config.json") or {}
    _, at, fingerprint = str(adapter.get("base")).rpartition("@")
    known = {
        "rank": written.get("r"),
        "alpha": written.get("lora_alpha"),
        "base_fingerprint": fingerprint if at else None,
    }
    trained = {key: value for key, value in (adapter.get("params") or {}).items() if value is not None}
    named = {key: value for key, value in adapter.items() if key not in ("path", "params", "name")}
    return flat({**known, **trained, **named})


@contextmanager
def _only_portable(folder: Path) -> Iterator[str]:
    """A folder beside with links to what `portable` yields, since MLflow sends folders as they are."""
    if not folder.is_dir():
        raise Refused(f"adapter {str(folder)!r} is gone.")
    with tempfile.TemporaryDirectory(prefix=".mlflow-", dir=folder.parent) as beside:
        for path in portable(folder):
            place = Path(beside) / path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.hardlink_to(path)
        yield beside
