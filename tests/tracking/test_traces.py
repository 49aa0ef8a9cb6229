"""Answers as traces: which are chosen, and that a real server reads back what the record says."""

import json

import polars as pl
import pytest
from made_evaluation import TARGETS, fill
from mlflow_loopback import refusal

from mlaas_lab import records, tracking
from mlaas_lab.schema import JobState
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.sampling import sampled
from mlaas_lab.tracking.server import connect


def ended(folder, settings):
    """All of it sent, traces too."""
    delivery = Delivery(folder, settings, timeout_s=30)
    delivery.finish(JobState.SUCCEEDED)
    return delivery.illustrate()


def told(run_id, settings):
    """The traces of a run, by sample."""
    client = connect(settings)
    place = client.get_run(run_id).info.experiment_id
    return {one.info.tags["mlaas.sample_id"]: one for one in client.search_traces(locations=[place], run_id=run_id)}


@pytest.fixture
def written(tmp_path):
    """Writes records of one metric: target → (score, status, error) of each sample."""

    def write(**targets):
        rows = [
            {"target": target, "sample_id": f"s{i}", "reference": "r", "sample_index": i, "repeat": 0}
            | {"error": error, "started_at": None if error == "cancelled" else 1.0}
            | {"m": score, "m_status": status, "m_reason": None}
            for target, several in targets.items()
            for i, (score, status, error) in enumerate(several)
        ]
        types = {"m": pl.Float64, "error": pl.String, "m_reason": pl.String}
        pl.DataFrame(rows, schema_overrides=types).write_parquet(tmp_path / "r.parquet")
        return tmp_path / "r.parquet"

    return write


RIGHT, WRONG = (1.0, "ok", None), (0.0, "ok", None)
FAILED, UNJUDGED = (None, "not_applicable", "overloaded"), (None, "judge_error", None)
NEVER = (None, "not_applicable", "cancelled")


class TestChoice:
    def chosen(self, path, most):
        return {target: [row["sample_id"] for row in rows] for target, rows in sampled(path, most).items()}

    def test_failures_and_disagreements_come_first(self, written):
        a = [RIGHT] * 6 + [FAILED, RIGHT, UNJUDGED, RIGHT]
        b = [RIGHT] * 3 + [WRONG] + [RIGHT] * 5 + [WRONG]
        assert self.chosen(written(a=a, b=b), 3) == {"a": ["s3", "s6", "s9"], "b": ["s0", "s3", "s9"]}

    def test_failures_take_half_and_leave_the_rest(self, written):
        a, b = [FAILED] * 8 + [RIGHT, RIGHT], [RIGHT] * 8 + [RIGHT, WRONG]
        assert self.chosen(written(a=a, b=b), 4)["a"] == ["s0", "s1", "s2", "s9"]

    def test_what_was_never_asked_has_no_time_and_no_trace(self, written):
        assert self.chosen(written(a=[NEVER, RIGHT], b=[NEVER, NEVER]), 5) == {"a": ["s1"]}

    def test_nothing_is_chosen_twice(self, written):
        a = [RIGHT, WRONG, FAILED, UNJUDGED] * 5
        found = self.chosen(written(a=a, b=[RIGHT] * 20), 100)
        assert [len(set(ids)) for ids in found.values()] == [20, 20]


@pytest.fixture
def sent(job, remote):
    """An evaluation with its traces on the server, and its records."""
    folder = fill(job("traced"))
    done = ended(folder, remote)
    assert done.parked == ()
    rows = {(row["target"], row["sample_id"]): row for row in records.read(folder.records).iter_rows(named=True)}
    return folder, done, rows


def test_a_server_reads_back_what_the_records_say(sent, remote):
    folder, done, rows = sent
    for place, target in enumerate(TARGETS):
        found = told(done.children[str(place)], remote)
        asked = {sample for (name, sample), row in rows.items() if name == target and row["started_at"]}
        assert found.keys() == asked
        for sample, trace in found.items():
            _same(trace, rows[target, sample])
    assert "CANARY" not in str([trace.to_json() for trace in found.values()])
    tracking.forget(folder)
    assert ended(folder, remote).children == done.children
    twice = told(done.children["0"], remote)
    assert len(twice) == 8
    assert {len(trace.info.assessments) for trace in twice.values()} == {3}
    assert {len(trace.data.spans) for trace in twice.values()} == {2, 3}


def _same(trace, row):
    info, (root, *attempts) = trace.info, trace.data.spans
    assert info.request_time == round(row["started_at"] * 1000)
    assert (root.start_time_ns, root.end_time_ns) == (round(row["started_at"] * 1e9), round(row["ended_at"] * 1e9))
    assert root.span_type == "CHAT_MODEL"
    assert root.inputs == {"messages": json.loads(row["messages"])}
    timeline = json.loads(row["timeline"])
    for span, one in zip(attempts, timeline, strict=True):
        assert (span.start_time_ns, span.end_time_ns) == (round(one["started_at"] * 1e9), round(one["ended_at"] * 1e9))
        assert (span.parent_id, span.status.status_code.value) == (root.span_id, "ERROR" if one["error"] else "OK")
        moments = {event.name: event.timestamp for event in span.events}
        assert moments.get("first_token") == (one["first_token_at"] and round(one["first_token_at"] * 1e9))
    if row["error"]:
        assert (info.state.value, info.cost, info.token_usage) == ("ERROR", None, None)
    else:
        assert root.outputs["choices"][0]["message"] == {"role": "assistant", "content": row["output"]}
        tokens = {"input_tokens": row["input_tokens"], "output_tokens": row["output_tokens"]}
        more = {"total_tokens": sum(tokens.values()), "cache_read_input_tokens": row["cached_tokens"]}
        assert info.token_usage == tokens | more
        assert info.cost == {"total_cost": row["cost_usd"]}
    _judged(info, row)


def _judged(info, row):
    said = {one.name: one for one in info.assessments}
    assert said["expected_response"].value == row["reference"]
    assert (said["exact_match"].source.source_type, said["tone"].source.source_type) == ("CODE", "LLM_JUDGE")
    for metric in ("exact_match", "tone"):
        one = said[metric]
        assert one.create_time_ms == round(row["ended_at"] * 1000)
        if row[f"{metric}_status"] == "ok":
            assert (one.value, one.rationale, one.error) == (row[metric], row[f"{metric}_reason"], None)
        else:
            assert (one.value, one.error.error_code) == (None, row[f"{metric}_status"])
    if row["model"]:
        assert said["tone"].source.source_id == row["tone_judge"]
        assert float(said["tone"].metadata["mlflow.assessment.judgeCost"]) == row["tone_cost_usd"]


def test_none_if_none_are_wanted(job, remote, proxy):
    folder = fill(job("none"))
    assert ended(folder, remote.model_copy(update={"traces": 0})).finished
    assert not [line for line in proxy.ledger if "traces" in line]


def test_a_server_that_takes_no_traces_gets_all_else(job, remote, proxy):
    proxy.sick = lambda _method, path: refusal("no such thing", status=400) if path.endswith("/traces") else None
    done = ended(fill(job("refused")), remote)
    assert [one.what for one in done.parked] == ["traces"]
    info = tracking.run_info(done.run_id, remote)
    assert (info.status, len(done.children)) == ("FINISHED", 2)
    assert info.tags["mlaas.parked"].startswith("traces: ")
