"""Reading runs back from MLflow: what a report quotes, the link to click.

It only reads, and only by run id; it knows nothing of jobs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from mlaas_lab.errors import TrackingError
from mlaas_lab.settings import Settings
from mlaas_lab.tracking.opening import VERSION, run_of
from mlaas_lab.tracking.server import asking, connect

READ_S = 30.0
"""Somebody waits for the answer, and may interrupt."""


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What MLflow knows of one run."""

    run_id: str
    name: str
    status: str
    """MLflow's word: RUNNING, FINISHED, FAILED, KILLED or SCHEDULED."""
    started_at: float | None
    ended_at: float | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    """Ours and the user's; MLflow's own are left out."""
    versions: Mapping[str, str]
    """Library → version, as the job began."""
    metrics: Mapping[str, float]
    """The newest value of each."""
    datasets: tuple[Mapping[str, str], ...]
    """`{name, digest, context}` of each."""
    url: str | None
    """The run in MLflow's UI; None when no UI is known."""


def run_info(run_id: str, settings: Settings) -> RunInfo:
    """Params, tags, versions, metrics and datasets of a run.

    Raises:
        UsageError: if there is no such run.
        TrackingError: if MLflow cannot be asked.
    """
    run = run_of(connect(settings), run_id, settings, within_s=READ_S)
    tags = run.data.tags
    inputs = run.inputs.dataset_inputs if run.inputs else []
    return RunInfo(
        run_id=run_id,
        name=run.info.run_name or "",
        status=run.info.status,
        started_at=_seconds(run.info.start_time),
        ended_at=_seconds(run.info.end_time),
        params=dict(run.data.params),
        tags={key: value for key, value in tags.items() if not key.startswith(("mlflow.", VERSION))},
        versions={key.removeprefix(VERSION): value for key, value in tags.items() if key.startswith(VERSION)},
        metrics=dict(run.data.metrics),
        datasets=tuple(
            {
                "name": one.dataset.name,
                "digest": one.dataset.digest,
                "context": next((tag.value for tag in one.tags if tag.key == "mlflow.data.context"), ""),
            }
            for one in inputs
        ),
        url=ui_url(run_id, settings, experiment_id=run.info.experiment_id),
    )


def registered(settings: Settings) -> frozenset[str]:
    """Ids of the runs whose model somebody has registered.

    Raises:
        TrackingError: if MLflow cannot be asked.
    """
    client = connect(settings)
    found: set[str] = set()
    token: str | None = None
    with asking(settings.mlflow_uri, timeout_s=READ_S):
        while True:
            page = client.search_model_versions(page_token=token)
            for version in page:
                model = client.get_logged_model(version.model_id) if version.model_id else None
                found |= {run_id for run_id in (version.run_id, model and model.source_run_id) if run_id}
            token = page.token
            if not token:
                return frozenset(found)


def ui_url(run_id: str, settings: Settings, *, experiment_id: str | None = None) -> str | None:
    """The page of a run in MLflow's UI; None when the tracking URI is a database and no UI's address is set.

    Behind a proxy (JupyterHub's `/user/x/proxy/5000`) `mlflow_ui_url` says where a browser finds it.

    Raises:
        UsageError, TrackingError: without `experiment_id`, when the run cannot be looked up.
    """
    base = settings.mlflow_ui_url or (settings.mlflow_uri if settings.mlflow_uri.startswith("http") else "")
    if not base:
        return None
    if experiment_id is None:
        experiment_id = str(run_of(connect(settings), run_id, settings, within_s=READ_S).info.experiment_id)
    parts = urlsplit(base)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + "/")
    return urlunsplit(place._replace(query="", fragment=f"/experiments/{experiment_id}/runs/{run_id}"))


def trouble(settings: Settings) -> str | None:
    """Why MLflow cannot be used now; None when it can."""
    try:
        client = connect(settings)
        with asking(settings.mlflow_uri, timeout_s=READ_S / 3):
            client.search_experiments(max_results=1)
    except TrackingError as error:
        return str(error)
    return None


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000
