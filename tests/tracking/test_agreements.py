"""How far a judge agrees with people goes to the run of the evaluation, and waits like all else while MLflow is away."""

import pytest
from made_evaluation import fill
from made_jobs import made

from mlaas_lab import records, tracking
from mlaas_lab.commands import _dispatch
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Preferences
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def lab(local):
    made = []

    def lab(**values):
        made.append(Lab(Preferences().flag(data_dir=str(local.data_dir), **values)))
        return made[-1]

    yield lab
    for one in made:
        one.store.close()


@pytest.fixture
def evaluated(job, local, lab):
    """The folder of an evaluation that MLflow has."""
    folder = fill(job("mine"))
    store = lab().store
    store.add(made("mine", task="eval", folder=str(folder.path)))
    store.move("mine", JobState.RUNNING, attempt=1)
    store.move("mine", JobState.SUCCEEDED, attempt=1)
    assert Delivery(folder, local).finish(JobState.SUCCEEDED).finished
    return folder


@pytest.fixture
def labels(evaluated, tmp_path):
    """People who say of every answer but the first what `exact_match` says."""
    frame = records.read(evaluated.records).drop_nulls("exact_match")
    rows = list(frame.select("sample_id", "target", "repeat", "exact_match").iter_rows())
    rows[0] = (*rows[0][:3], 1 - rows[0][3])
    path = tmp_path / "labels.csv"
    lines = ["sample_id,target,repeat,label", *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def agree(lab, labels, run="mine"):
    return _dispatch.execute(["agree", str(run), "--labels", str(labels), "--metric", "exact_match"], lab)


def kappas(folder, settings):
    run = connect(settings).get_run(tracking.delivered(folder).run_id)
    return {key: value for key, value in run.data.metrics.items() if ".kappa" in key}, run.info.status


def test_it_is_in_the_run_at_once_and_the_run_stays_closed(evaluated, labels, lab, local):
    found = agree(lab(), labels).as_json()
    assert (found["recorded"], 0 < found["kappa"] < 1) == (True, True)
    kept, status = kappas(evaluated, local)
    said = {"kappa": found["kappa"], "kappa_ci_low": found["ci_low"], "kappa_ci_high": found["ci_high"]}
    said["kappa_n"] = found["n"]
    assert kept == {f"exact_match.{key}": pytest.approx(value) for key, value in said.items()}
    assert (status, tracking.undelivered(evaluated)) == ("FINISHED", 0)


def test_it_waits_while_mlflow_is_away(evaluated, labels, lab, local):
    found = agree(lab(tracking_uri=AWAY), labels)
    assert found.as_json()["recorded"] is False
    assert any("The agreement waits; `mlaas sync` sends it." in note for note in found.notes)
    assert (kappas(evaluated, local)[0], tracking.undelivered(evaluated)) == ({}, 4)
    synced = _dispatch.execute(["sync"], lab()).as_json()
    assert (synced["ok"], [one["sent"] for one in synced["jobs"]]) == (True, [4])
    assert kappas(evaluated, local)[0]["exact_match.kappa"] == pytest.approx(found.as_json()["kappa"])
    assert _dispatch.execute(["sync"], lab()).as_json()["jobs"] == []


def test_a_later_one_is_the_latest(evaluated, labels, lab, local):
    before = agree(lab(), labels).as_json()["kappa"]
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    after = agree(lab(), labels).as_json()["kappa"]
    assert before < after == 1
    assert kappas(evaluated, local)[0]["exact_match.kappa"] == 1


def test_a_line_that_a_crash_cut_stays_apart(evaluated, labels, lab, local):
    with evaluated.events.open("ab") as file:
        file.write(b'{"event": "met')
    assert agree(lab(), labels).as_json()["recorded"] is True
    assert len(kappas(evaluated, local)[0]) == 4


def test_a_file_of_records_has_no_run(evaluated, labels, lab):
    found = agree(lab(), labels, evaluated.records)
    assert (found.as_json()["recorded"], found.as_json()["kappa"] is None) == (None, False)
    assert not evaluated.events.exists()
