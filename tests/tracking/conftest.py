"""Job folders with something to send, and a migrated MLflow database to copy: migrations take seconds."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.proxy import FaultProxy
from made_evaluation import fill
from made_jobs import made
from mlflow_loopback import MlflowServer, copied

from mlaas_lab import environment
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Preferences, Settings
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.tracking.delivery import Delivery

START = 1_790_000_000.0
"""When the jobs of these tests began, seconds since 1970."""


@pytest.fixture(autouse=True)
def _no_telemetry() -> None:
    environment.silence()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database, migrated once for all tests of this folder."""
    folder = tmp_path_factory.mktemp("template")
    from mlaas_lab.tracking.server import connect

    connect(Settings(data_dir=folder, cache_dir=folder))
    return folder / "mlflow.db"


@pytest.fixture
def local(settings: Settings, template: Path) -> Settings:
    """Settings whose MLflow is a SQLite file, in a folder with a space in its name."""
    local = settings.model_copy(update={"data_dir": settings.data_dir / "with space"})
    copied(template, local.data_dir / "mlflow.db")
    return local


@pytest.fixture(scope="session")
def server(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """One real server for all tests of this folder: it takes seconds to start."""
    folder = tmp_path_factory.mktemp("server")
    copied(template, folder / "mlflow.db")
    server = MlflowServer(folder).start()
    yield server
    server.kill()


@pytest.fixture
def proxy(server: MlflowServer) -> Iterator[FaultProxy]:
    """Between the client and that server."""
    proxy = FaultProxy(server.port)
    yield proxy
    proxy.close()


@pytest.fixture
def remote(settings: Settings, proxy: FaultProxy) -> Settings:
    """Settings whose MLflow is the server behind the proxy."""
    return settings.model_copy(update={"tracking_uri": proxy.url})


@pytest.fixture
def job(settings: Settings) -> Callable[..., JobFolder]:
    """Makes a job's folder, as a submit would."""

    def make(name: str = "j1", *, attempt: int = 1, **spec: object) -> JobFolder:
        folder = JobFolder(settings.jobs_dir / name)
        folder.path.mkdir(parents=True, exist_ok=True)
        common = {"id": name, "task": "finetune", "name": "clinc", "spec_hash": "ab12", "settings": {}}
        write_json(
            folder.job, {**common, "spec": spec or {"base": "tiny"}, "attempt": attempt, "created_at": time.time()}
        )
        return folder

    return make


@pytest.fixture
def log() -> Callable[..., set[tuple[str, int, float]]]:
    """Appends steps as an entry would, two metrics each; gives what MLflow must then have."""

    def append(folder: JobFolder, first: int, last: int, **more: object) -> set[tuple[str, int, float]]:
        said = set()
        with folder.events.open("a") as file:
            for step in range(first, last):
                values = {"loss": 1 / (step + 1), "lr": 0.001 * step, **more}
                line = {"at": START + step * 0.01, "event": "metrics", "step": step, "values": values}
                file.write(json.dumps(line) + "\n")
                file.write(json.dumps({"at": START, "event": "progress", "n": step, "total": last}) + "\n")
                said |= {(key, step, value) for key, value in values.items()}
        return said

    return append


@pytest.fixture
def stored() -> Callable[..., list[tuple[str, int, float]]]:
    """What MLflow has of a run, every row of it: a doubled one is there twice."""

    def read(run_id: str, settings: Settings) -> list[tuple[str, int, float]]:
        from mlaas_lab.tracking.server import connect

        client = connect(settings)
        keys = client.get_run(run_id).data.metrics
        return [(row.key, row.step, row.value) for key in keys for row in client.get_metric_history(run_id, key)]

    return read


@pytest.fixture
def curves() -> Callable[..., list[tuple[str, int, float, int]]]:
    """(key, step, value, time in ms) of every row that MLflow has of a run."""

    def read(run_id: str, settings: Settings) -> list[tuple[str, int, float, int]]:
        from mlaas_lab.tracking.server import connect

        client = connect(settings)
        rows = [row for key in client.get_run(run_id).data.metrics for row in client.get_metric_history(run_id, key)]
        return [(row.key, row.step, row.value, row.timestamp) for row in rows]

    return read


@pytest.fixture
def measured() -> Callable[[JobFolder], list[tuple[str, int, float, int]]]:
    """The same as the job itself wrote it down, read as plain JSON."""

    def read(folder: JobFolder) -> list[tuple[str, int, float, int]]:
        lines = [json.loads(line) for line in folder.events.read_bytes().split(b"\n") if line.endswith(b"}")]
        said = [line for line in lines if line["event"] == "metrics"]
        return [
            (key, line["step"], value, round(line["at"] * 1000))
            for line in said
            for key, value in line["values"].items()
        ]

    return read


@pytest.fixture
def labs(local: Settings) -> Iterator[Callable[..., Lab]]:
    """`labs(offline=True)` opens another lab over the same folder; all are closed at the end."""
    opened: list[Lab] = []

    def open_one(**values: object) -> Lab:
        opened.append(Lab(Preferences().flag(data_dir=str(local.data_dir), **values)))
        return opened[-1]

    yield open_one
    for one in opened:
        one.store.close()


@pytest.fixture
def evaluated(job: Callable[..., JobFolder], local: Settings, labs: Callable[..., Lab]) -> JobFolder:
    """The folder of an evaluation that MLflow has."""
    folder = fill(job("mine"))
    store = labs().store
    store.add(made("mine", task="eval", folder=str(folder.path)))
    store.move("mine", JobState.RUNNING, attempt=1)
    store.move("mine", JobState.SUCCEEDED, attempt=1)
    assert Delivery(folder, local).finish(JobState.SUCCEEDED).finished
    return folder
