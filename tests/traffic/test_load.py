"""The whole of `load` against loopback servers: real sockets and clocks, one record for each request, money, ends."""

import asyncio
import json
import re
import threading

import numpy as np
import polars as pl
import pytest
from aiohttp import web
from emulated import emulated, target
from known_server import Known
from made_loads import truth

from mlaas_lab.cli import main
from mlaas_lab.context import Context, Stopped
from mlaas_lab.errors import LabError, UsageError
from mlaas_lab.panels import draw
from mlaas_lab.panels.load import views
from mlaas_lab.records import read
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.run import run


@pytest.fixture
def context(tmp_path, settings):
    """A job's context on an empty folder."""
    folder = tmp_path / "job"
    folder.mkdir()
    context = Context(JobFolder(folder), settings, job_id="job-1", name="load")
    yield context
    context._events.close()


def spec(targets, **values):
    return build(Load, {"targets": targets, "input_tokens": 8, "output_tokens": 4, "warmup": 0.0, **values})


def holds(times, name, known, slack_s):
    low, high = times["intervals"][name]
    return low - slack_s <= known <= high + slack_s


@pytest.mark.long
def test_a_real_server_with_known_delays_and_a_stall(context):
    with Known(stalls_after_s=0.6) as server:
        made = spec(f"openai/m?base_url={server.base_url}", rate=50.0, duration=9.0)
        result = run(made, context).result
    assert result["n"] == 450
    assert result["errors"] == 0
    assert result["sent_per_s"] == pytest.approx(50, rel=0.02)
    for field, rest_s in (("ttft_s", 0.0), ("latency_s", 0.1)):
        for name, q in (("p50", 0.5), ("p99", 0.99)):
            known = truth(q, duration_s=9.0, stalls=True, rest_s=rest_s)
            # What this machine does besides is in every time.
            slack_s = 0.02 + result["late_p99_s"]
            assert holds(result[field], name, known, slack_s), (field, name, known, result[field])
    assert result["itl_s"]["p50"] == pytest.approx(0.1, abs=0.03)
    records = read(context.folder.records)
    assert records["sample_id"].n_unique() == 450
    assert (records["latency_s"] >= records["ended_at"] - records["started_at"] - 1e-6).all()
    first = records.select("intended_at").to_series()
    assert first.max() - first.min() < 9.0


def test_one_that_dies_is_counted(context):
    with Known(dies_after=31) as server:
        made = spec(f"openai/m?base_url={server.base_url}", rate=100.0, duration=0.6, slo={"latency_s": 30.0})
        result = run(made, context).result
    assert (result["n"], result["errors"]) == (60, 30)
    assert result["goodput"]["share"] == 0.5
    assert any("30 of 60 requests failed" in note for note in result["notes"])
    assert re.search(r"stopped answering 3\d\d ms into the load: its last 30 requests failed", result["notes"][0])


def test_one_that_is_dead_is_one_line(context):
    with Known() as server:
        url = server.base_url
    with pytest.raises(LabError, match=r"m\?base_url|refused") as error:
        run(spec(f"openai/m?base_url={url}", rate=10.0, duration=1.0), context)
    assert "\n" not in str(error.value)


def test_too_many_requests_are_told_apart(context):
    with emulated("openai", faults={"rate_limited": 0.3, "overloaded": 0.1}, seed=1) as server:
        result = run(spec(target(server, "openai"), rate=400.0, duration=0.5), context).result
    assert result["n"] == 200
    by_error = result["by_error"]
    assert result["rate_limited"]["n"] == by_error["rate_limited"] > by_error["overloaded"] > 5
    assert result["errors"] == sum(by_error.values())


def test_the_ledger_of_the_target_is_ours(context):
    with emulated("openai") as server:
        result = run(spec(target(server, "openai"), rate=200.0, duration=0.5, input_tokens=30), context).result
        billed = server.ledger
    records = read(context.folder.records)
    assert len(billed) == 101, "and one that asks whether anybody is there"
    assert records["output_tokens"].sum() == sum(one.output_tokens for one in billed[1:])
    assert records["cost_usd"].sum() == pytest.approx(result["cost_usd"])
    assert len({request.body for request in server.asked}) == 101, "no two prompts are alike"
    assert json.loads(records["messages"][0]) == [], "made-up words are not kept"


def test_several_targets_share_the_load(context):
    with emulated("openai") as server:
        two = [target(server, "openai", query=f"as={name}") for name in ("a", "b")]
        result = run(spec(",".join(two), rate=200.0, duration=0.5), context).result
    assert [(one["target"], one["n"]) for one in result["by_target"]] == [("a", 50), ("b", 50)]


def test_a_closed_loop_has_so_many_in_flight(context):
    with Known() as server:
        made = spec(f"openai/m?base_url={server.base_url}", concurrency=5, requests=20, duration=30)
        result = run(made, context).result
    records = read(context.folder.records)
    assert result["n"] == 20
    assert result["offered_per_s"] is None
    events = sorted([(at, 1) for at in records["started_at"]] + [(at, -1) for at in records["ended_at"]])
    assert max(np.cumsum([change for _, change in events])) == 5
    assert any("Closed loop" in note for note in result["notes"])


def test_warm_up_is_cut_and_said(context):
    with emulated("openai") as server:
        result = run(spec(target(server, "openai"), rate=100.0, duration=1.0, warmup=0.5), context).result
    assert 30 < result["n"] < 70
    assert result["warm_up"]["n"] == 100 - result["n"]
    assert any(note.startswith("Warm-up: the first 0.5 s") for note in result["notes"])


def test_a_trace_is_replayed_with_its_times_and_lengths(context, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(f"{i / 10},{10 + i},{1 + i}\n" for i in range(10))
    )
    with emulated("openai") as server:
        run(spec(target(server, "openai"), replay=path, speed=2.0), context)
        bodies = [json.loads(one.body) for one in server.asked][1:]
    records = read(context.folder.records).sort("intended_at")
    assert np.diff(records["intended_at"]) == pytest.approx([0.05] * 9, abs=1e-5)
    asked = {
        len(body["messages"][0]["content"].split()): body.get("max_tokens", body.get("max_completion_tokens"))
        for body in bodies
    }
    assert asked == {6 + i: 1 + i for i in range(10)}


def test_prompts_of_a_dataset_go_round(context, tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = [[{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}] for i in range(3)]
    path.write_text("".join(json.dumps({"messages": one, "id": f"s{i}"}) + "\n" for i, one in enumerate(turns)))
    with emulated("openai") as server:
        run(spec(target(server, "openai"), data=path, rate=60.0, duration=0.1), context)
    records = read(context.folder.records)
    assert sorted(records.select("sample_id", "repeat").rows()) == [(f"s{i}", r) for i in range(3) for r in range(2)]
    assert "q" in records["messages"][0]


@pytest.mark.long
def test_a_sweep_finds_the_knee(context):
    """A server that answers 40 requests a second, one after the other."""
    with Serial(0.025) as server:
        made = spec(
            f"openai/m?base_url={server.base_url}",
            sweep=True,
            rate=10.0,
            duration=1.0,
            stream=False,
            slo={"latency_s": 0.15},
            arrivals="constant",
        )
        result = run(made, context).result
    assert 20 <= result["knee"]["rate"] <= 45, result["knee"]
    assert result["knee"]["low"] is None or result["knee"]["low"] <= result["knee"]["rate"]
    assert result["knee"]["high"] is None or result["knee"]["high"] > result["knee"]["rate"]
    assert len(result["steps"]) >= 4
    write_json(context.folder.job, {"spec": {"slo": {"latency_s": 0.15}}})
    shown = views(context.folder)
    assert shown[0].summary.startswith("Knee: ")
    assert [mark.title for mark in shown[0].marks][:2] == [
        "Latency over the offered rate",
        "Answers a second over the offered rate",
    ]


def test_a_sweep_of_a_target_that_is_too_slow_for_any_rate_says_so(context):
    with Known() as server:
        made = spec(f"openai/m?base_url={server.base_url}", sweep=True, rate=8.0, duration=0.5, slo={"latency_s": 0.01})
        result = run(made, context).result
    assert [step["offered_per_s"] for step in result["steps"]] == [2.0, 4.0, 8.0]
    assert result["knee"]["rate"] is None


class Serial(Known):
    """Answers one request after the other, each in the same time."""

    def __init__(self, takes_s):
        super().__init__()
        self.takes_s = takes_s
        self.turn = asyncio.Lock()

    async def _answer(self, request):
        await request.read()
        async with self.turn:
            await asyncio.sleep(self.takes_s)
        choice = {"message": {"content": "a"}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 8, "completion_tokens": 1}})


def test_a_cap_ends_the_load_and_is_never_passed(context):
    with emulated("openai") as server:
        made = spec(target(server, "openai", model="gpt-4o"), rate=400.0, duration=0.5, max_usd=0.005)
        result = run(made, context).result
    assert 0 < result["n"] < 200
    assert result["cost_usd"] <= result["spent_usd"] <= 0.005
    assert any("stopped at the cap" in note for note in result["notes"])


def test_a_cap_below_one_request(context):
    with emulated("openai") as server:
        made = spec(target(server, "openai", model="gpt-4o"), rate=10.0, duration=1.0, max_usd=0.000001)
        with pytest.raises(UsageError, match=r"less than one request to .* may cost"):
            run(made, context)
        assert not server.ledger


def test_whoever_stops_it_keeps_what_was_measured(context):
    with Known() as server:
        threading.Timer(1.0, lambda: setattr(context, "stopping", True)).start()
        with pytest.raises(Stopped):
            run(spec(f"openai/m?base_url={server.base_url}", rate=50.0, duration=60.0), context)
    assert 10 < len(read(context.folder.records)) < 60
    assert views(context.folder)[0].title == "Load"


def test_the_panel_is_there_for_loads_alone(context):
    with emulated("openai") as server:
        run(spec(target(server, "openai"), rate=50.0, duration=0.5), context)
    frame = read(context.folder.records)
    assert "Load" in [view.title for view in draw(frame)]
    without = frame.with_columns(intended_at=None).cast({"intended_at": float})
    assert "Load" not in [view.title for view in draw(without)]
    apart = [frame, frame.with_columns(target=pl.lit("b"), offered_rate=pl.lit(9.0))]
    (view,) = [view for view in draw(pl.concat(apart)) if view.title == "Load"]
    assert not [mark for mark in view.marks if "over the offered rate" in mark.title], "two targets are no curve"


BAD = {
    "rate 0": (["--rate", "0"], "--rate '0': input should be greater than 0"),
    "no way": ([], "say how to load: --rate R, --concurrency N, --sweep or --replay FILE"),
    "two ways": (["--rate", "1", "--concurrency", "2"], "--rate and --concurrency are two ways to load"),
    "duration 0": (["--rate", "1", "--duration", "0"], "--duration '0': input should be greater than 0"),
    "less than one": (["--rate", "0.01", "--duration", "5"], "in 5 s that is less than one request"),
    "an objective of nothing": (["--rate", "1", "--slo", "speed=1"], "'speed' is not one of ttft_s, itl_s"),
    "endless": (["--rate", "inf"], "--rate 'inf'"),
    "no such file": (["--replay", "nowhere.csv"], "nowhere.csv"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_one_line(name, capsys):
    words, says = BAD[name]
    assert main(["load", "echo/x", *words]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "Traceback" not in error


def test_a_job_like_any_other(lab, capsys):
    assert main(["load", "echo/x", "--rate", "50", "--duration", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"job_id", "n", "errors", "ttft_s", "latency_s", "throughput", "cost_usd"} <= set(found)
    assert {"p50", "p95", "p99"} <= set(found["ttft_s"])
    assert found["ttft_s"]["p99"] is None, "there is no p99 of 45"
    assert found["n"] + found["warm_up"]["n"] == 50
    assert main(["compare", found["job_id"]]) == 0
    assert f"echo/x: {found['n']} requests" in capsys.readouterr().out


def test_what_the_server_says_of_itself_stands_beside(context):
    with Known(speaks=True) as server:
        result = run(spec(f"openai/m?base_url={server.base_url}", rate=20.0, duration=0.5), context).result
    assert result["server"]["running"] == {"mean": 4.0, "max": 4.0}
    assert result["server"]["waiting"]["max"] == 7.0
    assert result["server"]["cache_used"]["mean"] == 0.25
    assert [mark.title for mark in views(context.folder)[-1].marks] == ["Requests in the server", "In use"]


def test_a_server_that_says_nothing_is_unknown(context, monkeypatch):
    monkeypatch.setattr("mlaas_lab.traffic.beside.shutil.which", lambda _name: None)
    with Known() as server:
        result = run(spec(f"openai/m?base_url={server.base_url}", rate=20.0, duration=0.5), context).result
    assert result["server"] is None
    assert "The server meanwhile" not in [view.title for view in views(context.folder)]
