"""How far a judge agrees with people goes to the run of the evaluation, and waits like all else while MLflow is away."""

import pytest

from mlaas_lab import records, tracking
from mlaas_lab.commands import _dispatch
from mlaas_lab.tracking.server import connect

AWAY = "http://127.0.0.1:9"


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


def agree(labs, labels, run="mine"):
    return _dispatch.execute(["agree", str(run), "--labels", str(labels), "--metric", "exact_match"], labs)


def kappas(folder, settings):
    run = connect(settings).get_run(tracking.delivered(folder).run_id)
    return {key: value for key, value in run.data.metrics.items() if ".kappa" in key}, run.info.status


def test_it_is_in_the_run_at_once_and_the_run_stays_closed(evaluated, labels, labs, local):
    found = agree(labs(), labels).as_json()
    assert (found["recorded"], 0 < found["kappa"] < 1) == (True, True)
    kept, status = kappas(evaluated, local)
    said = {"kappa": found["kappa"], "kappa_ci_low": found["ci_low"], "kappa_ci_high": found["ci_high"]}
    said["kappa_n"] = found["n"]
    assert kept == {f"exact_match.{key}": pytest.approx(value) for key, value in said.items()}
    assert (status, tracking.undelivered(evaluated)) == ("FINISHED", 0)


def test_it_waits_while_mlflow_is_away(evaluated, labels, labs, local):
    found = agree(labs(tracking_uri=AWAY), labels)
    assert found.as_json()["recorded"] is False
    assert any("The agreement waits; `mlaas sync` sends it." in note for note in found.notes)
    assert (kappas(evaluated, local)[0], tracking.undelivered(evaluated)) == ({}, 4)
    synced = _dispatch.execute(["sync"], labs()).as_json()
    assert (synced["ok"], [one["sent"] for one in synced["jobs"]]) == (True, [4])
    assert kappas(evaluated, local)[0]["exact_match.kappa"] == pytest.approx(found.as_json()["kappa"])
    assert _dispatch.execute(["sync"], labs()).as_json()["jobs"] == []


def test_a_later_one_is_the_latest(evaluated, labels, labs, local):
    before = agree(labs(), labels).as_json()["kappa"]
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join(lines[:1] + lines[2:]) + "\n")
    after = agree(labs(), labels).as_json()["kappa"]
    assert before < after == 1
    assert kappas(evaluated, local)[0]["exact_match.kappa"] == 1


def test_a_line_that_a_crash_cut_stays_apart(evaluated, labels, labs, local):
    with evaluated.events.open("ab") as file:
        file.write(b'{"event": "met')
    assert agree(labs(), labels).as_json()["recorded"] is True
    assert len(kappas(evaluated, local)[0]) == 4


def test_a_file_of_records_has_no_run(evaluated, labels, labs):
    found = agree(labs(), labels, evaluated.records)
    assert (found.as_json()["recorded"], found.as_json()["kappa"] is None) == (None, False)
    assert not evaluated.events.exists()
