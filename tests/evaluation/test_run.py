"""The whole evaluation against real servers: exactly one record for each target, sample and repeat, whatever happens."""

import json
import re
import threading
import time
from collections import Counter

import pytest
from loopback import Loopback, broken, cut, error_in_200, failing, garbage, hang, rate_limited

from mlaas_lab import data, records
from mlaas_lab.context import Stopped
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import answers, run

PAIRS = [(f"say {i}", f"say {i}" if i % 2 else "other") for i in range(40)]


def target(server, name="m", **params):
    more = "".join(f"&{key}={value}" for key, value in params.items())
    return f"openai/{name}?base_url={server.base_url}{more}"


def read(context):
    return records.read(context.folder.records)


def exactly_once(frame, targets, samples, repeats=1):
    keys = Counter(frame.select("target", "sample_id", "repeat").iter_rows())
    assert set(keys.values()) == {1}
    assert len(keys) == targets * samples * repeats
    assert frame["error"].is_null().ne(frame["output"].is_null()).all(), (
        "an answer or a named error, never both or none"
    )


def test_from_data_to_verdict(rows, context, spec):
    path = rows(PAIRS)
    with Loopback(reply=lambda body: body["messages"][-1]["content"] if "7" in str(body) else "other") as server:
        outcome = run(spec(data=path, targets=("echo/any", target(server)), metrics="exact_match,token_f1"), context)
    result = json.loads(json.dumps(outcome.result))
    assert [(line["target"], line["metric"], line["n"], line["n_error"]) for line in result["summary"]] == [
        ("echo/any", "exact_match", 40, 0),
        (target(server), "exact_match", 40, 0),
        ("echo/any", "token_f1", 40, 0),
        (target(server), "token_f1", 40, 0),
    ]
    assert result["summary"][0]["mean"] == 0.5
    verdict = result["verdicts"][0]
    assert verdict["a"] == "echo/any"
    assert set(verdict) >= {"a", "b", "metric", "difference", "ci_low", "ci_high", "p_value", "p_adjusted", "verdict"}
    assert result["errors"] == {}
    assert result["samples_per_s"] == pytest.approx(80 / result["wall_s"])
    exactly_once(read(context), targets=2, samples=40)
    assert result["records"] == str(context.folder.records) == outcome.artifacts[0]
    (used,) = outcome.datasets
    assert (used.sha256, used.rows, used.context, used.path) == (data.sha256(path), 40, "eval", str(path))


def test_metrics_have_names_that_mlflow_takes(rows, context, spec):
    with Loopback() as server:
        words = (
            target(server, "org/Model-1.5", temperature=0),
            target(server, "org_Model-1.5", temperature=0),
            "echo/é",
        )
        outcome = run(spec(data=rows(PAIRS), targets=words), context)
    assert outcome.metrics["exact_match.echo_"] == 0.5
    assert outcome.metrics["exact_match.echo__n"] == 40
    assert outcome.metrics["exact_match.echo__ci_low"] < 0.5 < outcome.metrics["exact_match.echo__ci_high"]
    assert len([name for name in outcome.metrics if name.endswith("_ci_low")]) == 6, "no two targets share a name"
    for name in outcome.metrics:
        assert re.fullmatch(r"[\w.\- :/]{1,250}", name, re.ASCII)


def test_each_fault_is_named_and_none_is_a_score(rows, context, spec):
    faults = {
        "overloaded": broken(),
        "rate_limited": rate_limited(),
        "auth_failed": failing(401),
        "invalid_request": failing(400),
        "not_found": failing(404),
        "content_filtered": failing(400, code="content_filter"),
        "quota_exceeded": failing(429, code="insufficient_quota"),
        "provider_bug": garbage(),
        "unreachable": cut(),
        "timed_out": hang(),
    }
    with Loopback(faults=[*faults.values(), error_in_200()]) as server:
        found = run(
            spec(data=rows(PAIRS), targets=(target(server),), retries=0, timeout_s=1, concurrency=1), context
        ).result
    frame = read(context)
    exactly_once(frame, targets=1, samples=40)
    failed = frame.filter(frame["error"].is_not_null())
    assert set(failed["error"]) >= set(faults) - {"unreachable"}
    assert len(failed) == 11
    assert sum(found["errors"].values()) == 11
    assert failed["exact_match"].null_count() == 11
    assert failed["error_message"].null_count() == 0
    assert failed["attempts"].to_list() == [1] * 11
    status = dict(failed.select("error", "exact_match_status").iter_rows())
    assert status["content_filtered"] == "refused"
    assert status["timed_out"] == "timeout"
    assert status["overloaded"] == "not_applicable"
    line = found["summary"][0]
    assert (line["n"], line["n_error"]) == (29, 11)
    assert line["mean"] == frame["exact_match"].mean()


def test_control_a_gap_would_be_seen(rows, context, spec, monkeypatch):
    """An engine that drops failed calls must not pass `exactly_once`."""
    from mlaas_lab.records import Writer

    add = Writer.add
    monkeypatch.setattr(Writer, "add", lambda self, record: None if record.error else add(self, record))
    with Loopback(faults=[failing(400)]) as server:
        run(spec(data=rows(PAIRS), targets=(target(server),), retries=0), context)
    with pytest.raises(AssertionError):
        exactly_once(read(context), targets=1, samples=40)


def test_nobody_answers(rows, context, spec):
    found = run(spec(data=rows(PAIRS[:5]), targets=("openai/m?base_url=http://127.0.0.1:9/v1",), retries=0), context)
    assert found.result["errors"] == {"unreachable": 5}
    assert {(line["mean"], line["n"], line["n_error"]) for line in found.result["summary"]} == {(None, 0, 5)}
    assert found.metrics["exact_match.openai_m_base_url_http_127.0.0.1_9_v1"] is None


def test_retries_are_part_of_one_record(rows, context, spec):
    with Loopback(faults=[broken(), broken()]) as server:
        run(spec(data=rows(PAIRS[:1]), targets=(target(server),), retries=2), context)
    row = read(context).row(0, named=True)
    assert (row["attempts"], row["error"], row["output"]) == (3, None, "say 0")
    assert [attempt["error"] for attempt in json.loads(row["timeline"])] == ["overloaded", "overloaded", None]
    assert row["wall_s"] > row["latency_s"]


def test_repeats_limit_system_and_parameters(rows, context, spec):
    path = rows(PAIRS)
    with Loopback() as server:
        run(
            spec(data=path, targets=(target(server),), repeats=3, limit=7, system="Be brief.", max_tokens=5, seed=3),
            context,
        )
    exactly_once(read(context), targets=1, samples=7, repeats=3)
    body = server.requests[0].body
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert (body["max_tokens"], body["temperature"]) == (5, 0)
    order = [sample.id for sample in data.samples(data.load(path))]
    kept = read(context).filter(read(context)["repeat"] == 0)["sample_id"].to_list()
    assert kept == [name for name in order if name in kept], "rows stand in the order of the file"
    again = prepare(spec(data=path, targets=(target(server),), limit=7, seed=3), context.settings)
    assert [sample.id for sample in again.samples] == kept


def test_streams_have_a_first_token(rows, context, spec):
    with Loopback() as server:
        run(spec(data=rows(PAIRS[:3]), targets=(target(server), "echo/e"), stream=True), context)
    assert read(context)["ttft_s"].null_count() == 0
    assert all(seen.body["stream"] for seen in server.requests)


def test_concurrency_is_held_per_target(rows, context, spec):
    with Loopback(delay_s=0.02) as first, Loopback(delay_s=0.02) as second:
        run(spec(data=rows(PAIRS), targets=(target(first), target(second)), concurrency=3), context)
    assert first.most_in_flight == second.most_in_flight == 3


def test_targets_are_asked_side_by_side(rows, context, spec):
    """One is ten times slower; at no moment is the other far ahead, so drift meets both."""
    with Loopback(delay_s=0.02) as slow, Loopback(delay_s=0.002) as fast:
        run(spec(data=rows(PAIRS), targets=(target(slow), target(fast)), concurrency=2), context)
    slow_at = sorted(seen.at for seen in slow.requests)
    fast_at = sorted(seen.at for seen in fast.requests)
    ahead = [n + 1 - sum(at < when for at in slow_at) for n, when in enumerate(fast_at)]
    assert max(ahead) <= 4 * 2 + 2
    assert slow_at != fast_at


def test_progress_counts_all_targets(rows, context, spec):
    run(spec(data=rows(PAIRS), targets=("echo/a", "echo/b")), context)
    lines = [line for _, line in context.folder.events_from() if line["event"] == "progress"]
    assert (lines[-1]["n"], lines[-1]["total"], lines[-1]["unit"]) == (80, 80, "samples")


@pytest.mark.parametrize(
    ("options", "warned"),
    [({"temperature": 0.7}, True), ({"temperature": 0.7, "repeats": 3}, False), ({}, False)],
    ids=["one draw", "three draws", "nothing sampled"],
)
def test_one_draw_says_that_its_spread_is_unknown(rows, context, spec, capsys, options, warned):
    run(spec(data=rows(PAIRS[:3]), targets=("echo/a", "echo/b?temperature=0"), **options), context)
    said = "echo/a: sampled, and one draw: the spread is unknown. To see it: --repeats 3."
    assert (said in capsys.readouterr().out.splitlines()) == warned


class TestStop:
    def test_what_was_not_answered_says_so(self, rows, context, spec):
        with Loopback(faults=[None] * 10 + [hang()] * 100) as server:
            plan = prepare(spec(data=rows(PAIRS), targets=(target(server), "echo/e"), concurrency=4), context.settings)
            threading.Timer(0.6, lambda: setattr(context, "stopping", True)).start()
            began = time.monotonic()
            answers(plan, context)
        assert time.monotonic() - began < 5
        frame = read(context)
        exactly_once(frame, targets=2, samples=40)
        errors = Counter(frame["error"])
        assert set(errors) == {None, "cancelled"}
        assert frame.filter(frame["error"] == "cancelled")["exact_match"].null_count() == errors["cancelled"]
        assert errors[None] >= 20

    def test_a_stopped_job_raises_and_keeps_its_records(self, rows, context, spec):
        with Loopback(delay_s=0.05) as server:
            threading.Timer(0.3, lambda: setattr(context, "stopping", True)).start()
            with pytest.raises(Stopped):
                run(spec(data=rows(PAIRS), targets=(target(server),), concurrency=1), context)
        exactly_once(read(context), targets=1, samples=40)

    def test_a_bug_fails_the_job_and_keeps_its_records(self, rows, context, spec, monkeypatch):
        def bug(*args, **more):
            raise AttributeError("a bug of ours")

        with Loopback() as server:
            plan = prepare(spec(data=rows(PAIRS), targets=(target(server),)), context.settings)
            monkeypatch.setattr("mlaas_lab.evaluation.asking.cost", bug)
            with pytest.raises(AttributeError, match="a bug of ours"):
                answers(plan, context)
        exactly_once(read(context), targets=1, samples=40)


def test_a_metric_that_fails_loses_no_answer(rows, context, spec, metric):
    def picky(output, sample):
        match output.split()[-1]:
            case "0":
                raise ValueError("no number in it")
            case "1":
                raise ZeroDivisionError
            case "2":
                raise TimeoutError("too slow")
            case "3":
                return float("nan")
            case "4":
                return None
            case _:
                return 0.5

    metric("picky", score=picky)
    found = run(spec(data=rows(PAIRS[:8]), targets=("echo/a",), metrics="picky,exact_match"), context).result
    frame = read(context)
    status = dict(zip(frame["output"], frame["picky_status"], strict=True))
    assert [status[f"say {i}"] for i in range(6)] == [
        "parse_error",
        "judge_error",
        "timeout",
        "judge_error",
        "not_applicable",
        "ok",
    ]
    assert frame["picky_reason"][0] == "ValueError: no number in it"
    assert frame["exact_match"].null_count() == 0
    line = found["summary"][0]
    assert (line["metric"], line["mean"], line["n"], line["n_error"]) == ("picky", 0.5, 3, 5)


class TestScoreMany:
    def test_scores_come_after_the_last_call(self, rows, context, spec, metric):
        def ranks(outputs, samples):
            assert len(outputs) == len(samples) == 7
            assert [sample.reference for sample in samples] == [s.reference for s in samples]
            return [None if "3" in output else float(output.split()[-1]) for output in outputs]

        metric("ranks", unit="rank", score_many=ranks)
        with Loopback(faults=[failing(400)]) as server:
            found = run(spec(data=rows(PAIRS[:8]), targets=(target(server),), metrics="ranks", retries=0), context)
        frame = read(context)
        by_output = dict(zip(frame["output"], frame["ranks"], strict=True))
        asked = [name for name in by_output if name]
        assert {name: by_output[name] for name in asked} == {
            name: None if "3" in name else float(name.split()[-1]) for name in asked
        }
        assert Counter(frame["ranks_status"])["not_applicable"] >= 1
        assert found.result["summary"][0]["n"] == frame["ranks"].count()

    @pytest.mark.parametrize("wrong", ["raises", "too few"])
    def test_a_failure_is_a_status_on_every_answer(self, rows, context, spec, metric, wrong):
        def many(outputs, samples):
            if wrong == "raises":
                raise RuntimeError("out of memory")
            return [1.0]

        metric("many", score_many=many)
        found = run(spec(data=rows(PAIRS[:4]), targets=("echo/a",), metrics="many,exact_match"), context).result
        frame = read(context)
        assert set(frame["many_status"]) == {"judge_error" if wrong == "raises" else "parse_error"}
        assert frame["many"].null_count() == 4
        assert found["summary"][0]["n_error"] == 4
        assert found["summary"][1]["n"] == 4
