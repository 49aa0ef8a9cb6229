"""Which MLflow can be used, how fast one learns that it is away, and who makes a new database."""

import os
import socket
import subprocess
import sys
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import UNAUTHENTICATED

from mlaas_lab.errors import TrackingError
from mlaas_lab.settings import Preferences
from mlaas_lab.tracking.server import asking, connect, experiment


@pytest.mark.parametrize("uri", ["file:./mlruns", "file:///tmp/mlruns", "./mlruns", "/data/mlruns", "mlruns"])
def test_a_folder_gets_one_clear_line(settings, uri):
    with pytest.raises(TrackingError) as caught:
        connect(settings.model_copy(update={"tracking_uri": uri}))
    assert "is a folder; MLflow no longer keeps runs in files" in str(caught.value)
    assert "sqlite:////absolute/path/mlflow.db" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "ftp://h/x", "https+x:/"])
def test_other_uris_we_cannot_use(settings, uri):
    with pytest.raises(TrackingError, match="tracking_uri"):
        connect(settings.model_copy(update={"tracking_uri": uri}))


def test_a_relative_database_is_the_same_from_every_folder(home, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    uri = Preferences().settings().mlflow_uri
    assert uri == f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.mark.parametrize("broken", ["folder", "text"])
def test_a_database_that_cannot_be_opened_is_named_at_once(settings, broken):
    place = settings.data_dir / "mlflow.db"
    place.parent.mkdir(parents=True)
    if broken == "folder":
        place.mkdir()
    else:
        place.write_text("not a database " * 400)
    began = time.monotonic()
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        connect(settings)
    assert time.monotonic() - began < 30, "mlflow's own patience is 100 s"


class TestAway:
    @pytest.fixture
    def silent(self):
        """A port that accepts and never answers."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"

    def test_refused_connection_fails_at_once(self, settings):
        gone = settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
        client, began = connect(gone), time.monotonic()
        with pytest.raises(TrackingError, match="cannot be reached"), asking(gone.mlflow_uri):
            experiment(client, gone)
        assert time.monotonic() - began < 1

    def test_silence_fails_within_patience(self, settings, silent):
        mute = settings.model_copy(update={"tracking_uri": silent})
        client, began = connect(mute), time.monotonic()
        with pytest.raises(TrackingError, match="does not answer in time"), asking(mute.mlflow_uri, timeout_s=2):
            experiment(client, mute)
        assert 1.5 < time.monotonic() - began < 3.5

    def test_the_environment_is_as_before(self, settings, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
        with asking("http://127.0.0.1:9"):
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "2"
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


OPEN = """
import contextlib, sys
from pathlib import Path
from mlaas_lab.settings import Settings
from mlaas_lab.tracking import server
if sys.argv[2] == "sabotaged":
    server._first_use = lambda *words: contextlib.nullcontext()
settings = Settings(data_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[1]))
client = server.connect(settings)
with server.asking(settings.mlflow_uri):
    print(server.experiment(client, settings))
"""


def _two_at_once(folder, mode):
    """Two processes with temporary folders of their own open the same new database."""
    started = []
    for i in range(2):
        own = folder / f"tmp{i}"
        own.mkdir(parents=True)
        words = [sys.executable, "-c", OPEN, str(folder), mode]
        env = {**os.environ, "TMPDIR": str(own)}
        started.append(subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True))
    return [(process.communicate()[0].strip(), process.returncode) for process in started]


class TestFirstUse:
    def test_two_supervisors_at_once_both_succeed(self, tmp_path):
        (one, first), (two, second) = _two_at_once(tmp_path / "shared", "ours")
        assert (first, second) == (0, 0)
        assert one == two != ""

    def test_without_the_lock_they_would_not(self, tmp_path):
        assert any(code != 0 for _, code in _two_at_once(tmp_path / "shared", "sabotaged"))


def test_artifacts_go_where_the_data_is(local):
    client = connect(local)
    found = client.get_experiment(experiment(client, local))
    assert found.artifact_location == (local.data_dir / "mlartifacts").as_uri()


def test_a_deleted_experiment_is_named(local):
    client = connect(local)
    client.delete_experiment(experiment(client, local))
    with pytest.raises(TrackingError, match="was deleted"):
        experiment(client, local)


def test_a_wrong_key_says_which_variable(settings):
    refused = MlflowException("no", error_code=UNAUTHENTICATED)
    with pytest.raises(TrackingError) as caught, asking("http://u:CANARY@h"):
        raise refused
    assert "MLFLOW_TRACKING_TOKEN" in str(caught.value)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("uri", ["", "http://h:1", "sqlite:////abs/x.db", "postgresql://h/db"])
def test_settings_keep_other_uris(home, uri):
    assert Preferences().flag(tracking_uri=uri).settings().tracking_uri == uri
