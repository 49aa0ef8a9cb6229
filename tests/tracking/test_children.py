"""An evaluation's targets in MLflow: a run each, with the panels' numbers, made once whatever happens on the way."""

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from faults.proxy import Sick
from made_evaluation import METRICS, TARGETS, answered, fill, several

from mlaas_lab import records, tracking
from mlaas_lab.errors import TrackingError
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.panels.cost import spending
from mlaas_lab.panels.latency import latencies
from mlaas_lab.schema import JobState
from mlaas_lab.tracking import children
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect
from mlaas_lab.tracking.targets import targets


@pytest.fixture
def bare(local):
    """Without traces, which are another test's."""
    return local.model_copy(update={"traces": 0})


def below(run_id, settings):
    """The living runs under a run, by the target's place."""
    client = connect(settings)
    place = client.get_run(run_id).info.experiment_id
    found = client.search_runs([place], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return sorted(found, key=lambda run: run.data.tags["mlaas.target_index"])


def test_each_target_has_a_run_with_the_numbers_of_the_panels(job, local):
    folder = fill(job("children"))
    done = Delivery(folder, local).finish(JobState.SUCCEEDED)
    assert (done.parked, done.finished) == ((), True)
    runs = below(done.run_id, local)
    assert done.children == {str(i): run.info.run_id for i, run in enumerate(runs)}
    frame = records.read(folder.records)
    summary = json.loads(folder.outcome.read_text())["result"]["summary"]
    for name, run, took, spent in zip(TARGETS, runs, latencies(frame), spending(frame), strict=True):
        said = run.data.metrics
        assert (run.info.status, run.data.tags["mlaas.emulated"], run.data.params["region"]) == (
            "FINISHED",
            "true",
            "eu-1",
        )
        assert [one.dataset.digest for one in run.inputs.dataset_inputs] == ["ab" * 8]
        for line in (line for line in summary if line["target"] == name):
            numbers = {f"_{key}": line[key] for key in ("ci_low", "ci_high", "n", "n_error")} | {"": line["mean"]}
            for end, value in numbers.items():
                assert said.get(f"{line['metric']}{end}") == value
        for q, found in took.latency_s.items():
            ends = (found.value, found.ci_low, found.ci_high)
            assert tuple(said.get(f"latency_s_{q}{end}") for end in ("", "_ci_low", "_ci_high")) == ends
        assert (said["latency_s_n"], said["answers"], said["errors"]) == (took.n, took.n, took.n_error)
        assert said["usd_per_1000"] == pytest.approx(spent.usd_per_1000, rel=1e-12)
        assert said["usd_per_1000_ci_low"] == pytest.approx(spent.ci_low, rel=1e-9)
        assert said["usd_spent"] == spent.usd
        bill = next(one for one in bills(frame) if one.target == name)
        assert said["judge_usd"] == pytest.approx(bill.judge_usd)
        assert said["judge_unpriced"] == bill.n_judged_unknown
        assert (said["input_tokens"], said["output_tokens"]) == (spent.input_tokens, spent.output_tokens)
    assert "CANARY" not in str([run.to_dictionary() for run in runs])


def test_the_evaluation_keeps_verdicts_and_the_digest_of_its_records(job, bare):
    folder = fill(job("verdicts"))
    run_id = Delivery(folder, bare).finish(JobState.SUCCEEDED).run_id
    client = connect(bare)
    verdicts = json.loads(folder.outcome.read_text())["result"]["verdicts"]
    run = client.get_run(run_id)
    name = "difference.exact_match.bad_two_minus_good_one_key_"
    assert run.data.metrics[name] == verdicts[0]["difference"]
    assert run.data.metrics[f"{name}_n"] == verdicts[0]["n"]
    assert run.data.tags["mlaas.records_sha256"] == hashlib.sha256(folder.records.read_bytes()).hexdigest()
    kept = json.loads(Path(client.download_artifacts(run_id, "verdicts.json")).read_text())
    assert kept["verdicts"] == verdicts


def test_what_nobody_knows_is_left_out(tmp_path):
    """Records without prices, times or judges, and judges without a price."""
    path = records.write(tmp_path / "r.parquet", several(), metrics=METRICS, run_id="x")
    frame = records.read(path)
    frame.select("target", "error", "sample_id", "repeat").write_parquet(path)
    assert [one.metrics for one in targets(path, [])] == [
        {"calls": 8, "answers": 8, "errors": 0, "unpriced": 8},
        {"calls": 8, "answers": 6, "errors": 2, "unpriced": 6},
    ]
    frame.with_columns(tone_cost_usd=pl.lit(None, pl.Float64)).write_parquet(path)
    judged = targets(path, [])[0].metrics
    assert (judged.get("judge_usd"), judged["judge_unpriced"]) == (None, 8)


def delivered_in_spite_of(proxy, folder, settings, *, tries=60):
    """Every writing request is carried out, and its first answer lost: each try of ours comes one request further."""
    seen = set()

    def lost(method, path):
        key = (method, path.partition("?")[0], proxy.bodies[-1])
        if method == "GET" or path.endswith("/search") or key in seen:
            return None
        seen.add(key)
        return Sick(lost=True)

    proxy.sick = lost
    for _ in range(tries):
        try:
            delivery = Delivery(folder, settings)
            delivery.finish(JobState.SUCCEEDED)
            return delivery.illustrate(), len(seen)
        except TrackingError:
            continue
    raise AssertionError("it never came to an end")


def test_an_outage_at_any_request_makes_no_second_run(job, remote, proxy, stored):
    settings = remote.model_copy(update={"traces": 1})
    done, cuts = delivered_in_spite_of(proxy, fill(job("cut")), settings)
    assert cuts > 12, "requests were cut"
    runs = below(done.run_id, settings)
    assert [run.data.tags["mlaas.target_index"] for run in runs] == ["0", "1"]
    for run in runs:
        rows = stored(run.info.run_id, settings)
        assert len(rows) == len(set(rows)) == len(run.data.metrics)
        assert len(run.inputs.dataset_inputs) == 1
    traces = connect(settings).search_traces(
        locations=[done.experiment_id], filter_string="tags.`mlaas.job_id` = 'cut'"
    )
    assert len(traces) == 2


def test_without_looking_first_there_would_be(job, bare, monkeypatch):
    """Sabotaged: a target's run is made without a look at what an earlier try made, and nobody sweeps up."""
    folder = fill(job("doubled"))
    monkeypatch.setattr(children, "_found", lambda *_: {})
    monkeypatch.setattr(children, "_drop_strays", lambda *_: None)
    fill_one, calls = children.Children._fill, []

    def dying(self, client, run_id, one):
        calls.append(run_id)
        if len(calls) == 2:
            raise TrackingError("away")
        return fill_one(self, client, run_id, one)

    monkeypatch.setattr(children.Children, "_fill", dying)
    with pytest.raises(TrackingError, match="away"):
        Delivery(folder, bare).finish(JobState.SUCCEEDED)
    done = Delivery(folder, bare).finish(JobState.SUCCEEDED)
    assert len(below(done.run_id, bare)) == 4


def test_an_attempt_that_ends_with_other_numbers_is_what_mlflow_shows(job, bare):
    """As when failed judges are asked again: the scores fall, and the later ones count."""
    folder = fill(job("retried"))
    first = Delivery(folder, bare).finish(JobState.SUCCEEDED)
    made = [one for one in several() if one.target == TARGETS[0]]
    job("retried", attempt=2)
    fill(folder, [answered(one.target, i, right=False) for i, one in enumerate(made)])
    done = Delivery(folder, bare).finish(JobState.SUCCEEDED)
    assert done.children["0"] == first.children["0"]
    assert below(done.run_id, bare)[0].data.metrics["exact_match"] == 0.0


def test_what_a_lost_request_made_later_is_swept_up(job, bare):
    folder = fill(job("stray"))
    done = Delivery(folder, bare).finish(JobState.SUCCEEDED)
    tags = {"mlflow.parentRunId": done.run_id, "mlaas.target_index": "0"}
    connect(bare).create_run(done.experiment_id, tags=tags)
    tracking.forget(folder)
    again = Delivery(folder, bare).finish(JobState.SUCCEEDED)
    assert len(below(done.run_id, bare)) == 2
    assert again.run_id == done.run_id


def test_damaged_records_are_named_and_the_run_still_ends(job, local):
    folder = fill(job("damaged"))
    folder.records.write_bytes(b"PAR1 torn")
    delivery = Delivery(folder, local)
    delivery.finish(JobState.SUCCEEDED)
    done = delivery.illustrate()
    assert {one.what for one in done.parked} == {"targets", "traces"}
    assert tracking.run_info(done.run_id, local).status == "FINISHED"
    assert "cannot be read" in tracking.run_info(done.run_id, local).tags["mlaas.parked"]


def test_other_jobs_have_no_runs_below(job, log, local):
    folder = job("tune")
    log(folder, 0, 2)
    assert Delivery(folder, local).finish(JobState.SUCCEEDED).children == {}
