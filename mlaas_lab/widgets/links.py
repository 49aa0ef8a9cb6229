"""Where a browser finds what MLflow has of an evaluation. It asks nobody, so a comparison never waits for a server."""

from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from mlaas_lab.schema import Job
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder, read_json


def links(jobs: Iterable[Job]) -> tuple[tuple[str, str], ...]:
    """Words and address of the MLflow run of each job, as far as its server has an address of http or https.

    The settings are those that the job ran with: its run is there, whatever they are today.
    """
    runs = [(job, _base(job)) for job in jobs if job.run_id]
    found = [(job, base) for job, base in runs if base.startswith(("http://", "https://"))]
    return tuple((_words(job, alone=len(found) == 1), _place(base, str(job.run_id))) for job, base in found)


def run_link(run_id: str, settings: Settings) -> tuple[tuple[str, str], ...]:
    """The same for a run whose job this machine does not know: it came from the server of `settings`."""
    base = settings.mlflow_ui_url or settings.mlflow_uri
    known = base.startswith(("http://", "https://"))
    return ((f"MLflow run {run_id[:8]}", _place(base, run_id)),) if known else ()


def _base(job: Job) -> str:
    settings = (read_json(JobFolder(job.folder).job) or {}).get("settings") or {}
    return str(settings.get("mlflow_ui_url") or settings.get("tracking_uri") or "")


def _words(job: Job, *, alone: bool) -> str:
    return "MLflow run" if alone else f"MLflow run of {job.name}"


def _place(base: str, run_id: str) -> str:
    """The page of a run by its id alone; MLflow's UI finds the experiment itself. No password goes with it."""
    parts = urlsplit(base)
    path = parts.path.rstrip("/") + "/"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=path, query="", fragment=f"/runs/{run_id}")
    return urlunsplit(bare)
