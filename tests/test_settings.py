"""Every setting knows where it came from."""

from pathlib import Path

import pytest

from mlaas_lab.environment import SILENT, silence, surroundings
from mlaas_lab.errors import UsageError
from mlaas_lab.settings import Preferences


def test_precedence(home, tmp_path, monkeypatch):
    def origin():
        found = Preferences(folder=tmp_path).config(**config).flag(**flags).origins()["threads"]
        return found.value, found.origin

    config, flags = {}, {}
    assert origin()[1] == "default"
    user = home / ".config" / "mlaas_lab"
    user.mkdir(parents=True)
    (user / "mlaas.toml").write_text("threads = 2")
    assert origin() == (2, str(user / "mlaas.toml"))
    (tmp_path / "pyproject.toml").write_text("[tool.mlaas]\nthreads = 3")
    assert origin() == (3, str(tmp_path / "pyproject.toml"))
    (tmp_path / "mlaas.toml").write_text("threads = 4")
    assert origin() == (4, str(tmp_path / "mlaas.toml"))
    monkeypatch.setenv("MLAAS_THREADS", "5")
    assert origin() == (5, "MLAAS_THREADS")
    config = {"threads": 6}
    assert origin() == (6, "%config")
    flags = {"threads": 7}
    assert origin() == (7, "flag")


def test_plain_mlflow_variable_counts(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert Preferences().settings().mlflow_uri == "http://127.0.0.1:5000"
    assert Preferences().origins()["tracking_uri"].origin == "MLFLOW_TRACKING_URI"


def test_places_are_absolute(settings):
    assert settings.data_dir.is_absolute()
    assert settings.mlflow_uri == f"sqlite:///{settings.data_dir}/mlflow.db"
    assert Preferences().flag(data_dir="~/x").settings().data_dir == Path.home() / "x"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thread = 2", "unknown setting 'thread' in {path}. Did you mean 'threads'?"),
        ("threads = 'many'", "threads = 'many' in {path}: input should be a valid integer"),
        ("threads = ", "{path} cannot be read as TOML"),
    ],
)
def test_bad_file_is_one_line(tmp_path, text, message):
    path = tmp_path / "mlaas.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        Preferences(folder=tmp_path).settings()
    assert str(error.value).startswith(message.format(path=path))


def test_telemetry_of_dependencies_is_off_and_the_users_word_counts(monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    silence()
    assert surroundings()["DO_NOT_TRACK"] == "0"
    assert {name: surroundings()[name] for name in SILENT if name != "DO_NOT_TRACK"} == {
        name: value for name, value in SILENT.items() if name != "DO_NOT_TRACK"
    }
