"""`sync` sends what was left, says what remains, and exits clean only when nothing does."""

import json

import pytest
from filelock import FileLock
from made_evaluation import fill
from made_jobs import made

from mlaas_lab import tracking
from mlaas_lab.commands.sync import command
from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import read
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.outbox import LOCK, TRACES
from mlaas_lab.tracking.server import connect

AWAY = "http://127.0.0.1:9"


def _lab(settings, **values):
    return Lab(Preferences().flag(data_dir=str(settings.data_dir), **values))


@pytest.fixture
def left(job, log, local, monkeypatch):
    """Two jobs that ended while MLflow was away, and one that runs."""
    lab = _lab(local)
    folders = {}
    for name, state in (("one", JobState.SUCCEEDED), ("two", JobState.FAILED), ("three", JobState.RUNNING)):
        folders[name] = job(name)
        log(folders[name], 0, 5)
        lab.store.add(made(name, task="finetune", folder=str(folders[name].path)))
        lab.store.move(name, JobState.RUNNING, attempt=1)
        if state.ended:
            lab.store.move(name, state, attempt=1)
    return folders


def _sync(lab, *words):
    return command.run(read(command.args, words), lab)


def test_away_then_back(left, local):
    away = _sync(_lab(local, tracking_uri=AWAY))
    assert away.exit_code == 1
    assert (away.as_json()["ok"], away.as_json()["waiting"]) == (False, 30)
    assert "cannot be reached" in str(away)
    back = _sync(_lab(local))
    assert back.exit_code == 0
    assert back.as_json()["waiting"] == 0
    assert {row.job_id: row.sent for row in back.rows} == {"one": 10, "two": 10, "three": 10}
    assert [tracking.delivered(left[name]).finished for name in ("one", "two", "three")] == [True, True, False]
    assert tracking.run_info(tracking.delivered(left["two"]).run_id, local).status == "FAILED"
    json.dumps(back.as_json())
    assert "<table" in back._repr_html_()


def test_nothing_waits(left, local):
    _sync(_lab(local))
    again = _sync(_lab(local))
    assert again.as_json() == {"ok": True, "waiting": 0, "jobs": []}
    assert "Nothing waits" in str(again)


def test_one_job_anew(left, local):
    _sync(_lab(local), "one")
    first = tracking.delivered(left["one"]).run_id
    connect(local).delete_run(first)
    assert _sync(_lab(local), "one", "--again").exit_code == 0
    state = tracking.delivered(left["one"])
    assert (state.run_id != first, state.sent, state.finished) == (True, 10, True)


def test_a_deleted_run_is_shown_each_time(left, local):
    tracking.Delivery(left["one"], local).start()
    connect(local).delete_run(tracking.delivered(left["one"]).run_id)
    for _ in range(2):
        shown = _sync(_lab(local))
        assert shown.exit_code == 1
        assert [row.job_id for row in shown.rows if row.error] == ["one"]
        assert "was deleted" in str(shown)


def test_again_needs_a_job(settings):
    with pytest.raises(UsageError, match="--again needs a job"):
        _sync(_lab(settings), "--again")


@pytest.fixture
def broke_off(job, local):
    """An evaluation whose run is closed, and whose traces nobody sent."""
    folder = fill(job("broke"))
    assert Delivery(folder, local).finish(JobState.SUCCEEDED).finished
    lab = _lab(local)
    lab.store.add(made("broke", task="eval", folder=str(folder.path)))
    lab.store.move("broke", JobState.RUNNING, attempt=1)
    lab.store.move("broke", JobState.SUCCEEDED, attempt=1)
    return folder


def test_traces_whose_sending_broke_off_are_sent(broke_off, local):
    assert TRACES not in tracking.delivered(broke_off).done
    (row,) = _sync(_lab(local)).rows
    assert (row.job_id, row.error, row.waiting) == ("broke", None, 0)
    state = tracking.delivered(broke_off)
    assert TRACES in state.done
    client = connect(local)
    place = client.get_run(state.run_id).info.experiment_id
    assert client.search_traces(locations=[place])
    assert not _sync(_lab(local)).rows, "nothing is left"


def test_traces_that_nobody_wants_or_somebody_sends_wait_for_nobody(broke_off, local):
    assert not _sync(_lab(local, traces=0)).rows
    with FileLock(broke_off.path / LOCK):
        assert not _sync(_lab(local)).rows
    assert TRACES not in tracking.delivered(broke_off).done
