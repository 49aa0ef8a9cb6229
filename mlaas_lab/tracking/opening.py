"""How the run of a job begins: found by its tag or by its id, or made; told what it was asked to do, with what."""

import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

from mlflow import MlflowClient
from mlflow.entities import Run, RunTag

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Settings
from mlaas_lab.tracking.params import redacted
from mlaas_lab.tracking.server import Refused, asking, experiment

LIBRARIES = ("torch", "transformers", "peft", "safetensors", "mlflow", "polars", "aiohttp")
"""Whose versions decide what a job does."""
VERSION = "mlaas.version."
"""What the tags of versions begin with."""


def find(client: MlflowClient, settings: Settings, job: Mapping[str, JSON]) -> list[Run]:
    """The runs of `job`: one, unless a request that we gave up on made another."""
    query = f"tags.`mlaas.job_id` = '{job['id']}'"
    return list(client.search_runs([experiment(client, settings)], query))


def create(client: MlflowClient, settings: Settings, job: Mapping[str, JSON]) -> Run:
    """The run of `job`, new, with the tag by which `find` finds it."""
    own = {"mlaas.job_id": job["id"], "mlaas.task": job["task"], "mlaas.spec_hash": job["spec_hash"]}
    source = {"mlflow.source.name": f"mlaas {job['task']}", "mlflow.source.type": "JOB"}
    return client.create_run(
        experiment(client, settings),
        start_time=round(job["created_at"] * 1000),
        tags={**own, **source},
        run_name=redacted(job["name"] or job["task"]),
    )


def run_of(client: MlflowClient, run_id: str, settings: Settings, *, within_s: float) -> Run:
    """The run of that id.

    Raises:
        UsageError: if there is none.
        TrackingError: if MLflow cannot be asked.
    """
    named(run_id)
    try:
        with asking(settings.mlflow_uri, timeout_s=within_s):
            return client.get_run(run_id)
    except Refused as error:
        place = redacted(settings.mlflow_uri)
        raise UsageError(f"no run {run_id!r} in MLflow at {place}.", next="`jobs` lists the runs of jobs.") from error


def named(run_id: str) -> None:
    """Raise UsageError for what cannot be a run's id."""
    if not re.fullmatch(r"[\w\-]{1,64}", run_id):
        raise UsageError(f"{run_id!r} is no run id.", next="`jobs` lists the runs of jobs.")


def tags(job: Mapping[str, JSON]) -> list[RunTag]:
    """State, attempt and versions, as an attempt begins."""
    found = {f"{VERSION}{name}": _version(name) for name in ("mlaas_lab", *LIBRARIES)}
    python = ".".join(map(str, sys.version_info[:3]))
    own = {"mlaas.state": "running", "mlaas.attempt": str(job["attempt"]), f"{VERSION}python": python}
    if adjusted := job.get("adjusted"):
        # Params cannot be changed; a run whose options had to be must say so.
        own["mlaas.adjusted"] = ", ".join(f"{key}: {value}" for key, value in adjusted.items())
    return [RunTag(key, value) for key, value in {**own, **found}.items() if value is not None]


def drop_strays(client: MlflowClient, settings: Settings, job: Mapping[str, JSON], run_id: str) -> None:
    """Delete empty runs of `job` besides its own; MLflow keeps deleted runs restorable."""
    for run in find(client, settings, job):
        if run.info.run_id != run_id and not run.data.metrics:
            client.delete_run(run.info.run_id)


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
