"""An evaluation on another machine: the tracking server alone gives every number of its panels, or says why not."""

import json
import shutil
from pathlib import Path

import pytest
from hostile import Page
from made_evaluation import fill, several
from mlflow_loopback import MlflowServer

from mlaas_lab import tracking
from mlaas_lab.commands import _dispatch, _sources
from mlaas_lab.errors import TrackingError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.tasks.eval import Eval
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A lab on another machine: an empty home, and a variable that says where MLflow is."""

    def make(url):
        home = tmp_path / "elsewhere"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
        return Lab()

    return make


@pytest.fixture
def measured_there(tmp_path, monkeypatch, server: MlflowServer):
    """Two evaluations of two echoes, tracked on the server; the second asks with a seed and a margin of its own."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    monkeypatch.setenv("MLAAS_TRACES", "1")
    lab, jobs = Lab(), []
    for name, more in (("first", {}), ("second", {"seed": 11, "margin": 0.5})):
        data = tmp_path / f"{name}.jsonl"
        pairs = [(f"say {i} {name}", f"say {i if i % 3 else 0} {name}") for i in range(12)]
        data.write_text(
            "".join(json.dumps({"id": str(i), "prompt": p, "reference": r}) + "\n" for i, (p, r) in enumerate(pairs))
        )
        spec = Eval(data=data, targets=("echo/a", "echo/b"), name=name, **more)
        jobs.append(lab.submit("eval", spec, wait=True, executor="inline").job)
    return lab, jobs


def compared(lab, *words):
    """What `compare WORDS --json` prints, byte by byte."""
    return json.dumps(_dispatch.execute(["compare", *words], lab).as_json())


def test_the_run_alone_gives_the_same_numbers(measured_there, elsewhere, server, monkeypatch):
    lab, (first, second) = measured_there
    here = [compared(lab, job.id) for job in (first, second)]
    both = compared(lab, first.id, second.run_id)
    other = elsewhere(server.url)
    assert [compared(other, job.run_id) for job in (first, second)] == here
    assert compared(other, first.run_id, second.run_id) == both
    assert not other.store.jobs()
    page = _dispatch.execute(["compare", second.run_id, "--html", "out.html"], other).page.read_text()
    for words in ("second", "margin", "0.5", second.run_id, "polars"):
        assert words in Page(page).text
    file = str(tracking.records(second.run_id, other.settings))
    assert json.loads(compared(other, first.run_id, file))["verdicts"] == json.loads(both)["verdicts"]
    # Sabotaged: without what the run was asked with, the margin is lost.
    monkeypatch.setattr(_sources.Source, "asked", {}, raising=False)
    monkeypatch.setattr(
        _sources,
        "_of_run",
        lambda word, job, lab: _sources.Source(
            word=word, path=tracking.records(word, lab.settings), job=None, run_id=word
        ),
    )
    assert compared(other, second.run_id) != here[1]


class TestFetched:
    @pytest.fixture
    def logged(self, job, local):
        folder = fill(job("kept"))
        return Delivery(folder, local.model_copy(update={"traces": 0})).finish(JobState.SUCCEEDED)

    def stored(self, local):
        (place,) = (local.data_dir / "mlartifacts").rglob("records.parquet")
        return place

    def test_is_kept_and_a_damaged_copy_is_fetched_again(self, logged, local):
        path = tracking.records(logged.run_id, local)
        whole = path.read_bytes()
        path.write_bytes(whole[:-1])
        assert tracking.records(logged.run_id, local).read_bytes() == whole
        away = local.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
        assert tracking.records(logged.run_id, away) == path
        self.stored(local).unlink()
        assert tracking.records(logged.run_id, local) == path, "it is there: nothing is fetched"
        path.write_bytes(whole[:-1])
        with pytest.raises(TrackingError, match="cannot be reached"):
            tracking.records(logged.run_id, away)

    def test_one_targets_run_and_what_is_not_what_was_logged_are_refused(self, logged, local):
        with pytest.raises(UsageError, match=rf"one target \(bad/two\) of evaluation {logged.run_id}"):
            tracking.records(logged.children["1"], local)
        place = self.stored(local)
        place.write_bytes(place.read_bytes() + b" ")
        with pytest.raises(TrackingError, match="is not what was logged: SHA-256"):
            tracking.records(logged.run_id, local)

    def test_other_records_under_the_same_run_are_noticed(self, logged, local, job):
        before = tracking.records(logged.run_id, local)
        folder = fill(job("kept"), several(4))
        tracking.forget(folder)
        Delivery(folder, local.model_copy(update={"traces": 0})).finish(JobState.SUCCEEDED)
        after = tracking.records(logged.run_id, local)
        assert after != before
        assert after.read_bytes() == Path(folder.records).read_bytes()


@pytest.mark.parametrize(("run_id", "says"), [("0" * 32, "no run"), ("1" * 32, "cannot be reached")])
def test_compare_says_in_one_line_why_not(elsewhere, server, run_id, says):
    lab = elsewhere(server.url if says == "no run" else "http://127.0.0.1:9")
    with pytest.raises((UsageError, TrackingError), match=says) as caught:
        compared(lab, run_id)
    assert "\n" not in str(caught.value)


def test_a_cancelled_evaluation_says_so_there_too(job, server, elsewhere, local):
    lab = elsewhere(server.url)
    folder = fill(job("cancelled"))
    folder.outcome.unlink()
    done = Delivery(folder, lab.settings, timeout_s=30).finish(JobState.CANCELLED)
    notes = json.loads(compared(lab, done.run_id))["notes"]
    assert notes == [f"{done.run_id} is cancelled: its 16 records so far are compared."]
    assert connect(lab.settings).get_run(done.run_id).info.status == "KILLED"
