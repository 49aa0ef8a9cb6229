"""`plan` over records that were measured here: load tests of loopback servers, evaluations of emulated vendors."""

import json
import math

import polars as pl
import pytest
from emulated import emulated, target
from hostile import MARKUP, Page

from mlaas_lab.cli import main
from mlaas_lab.commands import _dispatch
from mlaas_lab.context import Context
from mlaas_lab.emulators import practice_key
from mlaas_lab.emulators._minds import scripted
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.run import run as evaluate
from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval
from mlaas_lab.tasks.load import Load
from mlaas_lab.traffic.run import run as load

QUESTIONS = [f"say {i}" for i in range(40)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where everything is measured once."""
    return tmp_path_factory.mktemp("measured")


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "questions.jsonl"
    turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": q}] for q in QUESTIONS]
    path.write_text("".join(json.dumps({"messages": pair}) + "\n" for pair in turns))
    return path


def records(entry, spec, lab, place):
    """The file of what `entry` measures, as a job in folder `place` would."""
    place.mkdir(exist_ok=True)
    context = Context(JobFolder(place), lab.settings, job_id=place.name, name=place.name)
    entry(spec, context)
    context._events.close()
    return context.folder.records


@pytest.fixture
def measured(lab, folder, questions, monkeypatch):
    """Files of a load test of `own` and of an evaluation of `own` and `theirs`, which is right one time in two."""
    files = folder / "load.parquet", folder / "eval.parquet"
    if not all(file.exists() for file in files):
        monkeypatch.setenv("OWN_TOKEN", practice_key("OPENAI_API_KEY"))
        half = scripted(dict.fromkeys(QUESTIONS[::2], "no"))
        with emulated("openai", ttft_s=0.02, tokens_per_s=400.0) as server, emulated("openai", mind=half) as vendor:
            own = f"openai/own?base_url={server.base_url}&key_env=OWN_TOKEN&as=own"
            words = {"rate": 200.0, "duration": 2.0, "input_tokens": 12, "output_tokens": 8, "warmup": 0.0}
            records(load, build(Load, {"targets": own, **words}), lab, folder / "load").rename(files[0])
            theirs = target(vendor, "openai", model="gpt-4o", query="as=theirs")
            asked = {"data": questions, "targets": f"{own},{theirs}", "metrics": "exact_match"}
            records(evaluate, build(Eval, asked), lab, folder / "eval").rename(files[1])
    return [str(file) for file in files]


def plan(lab, *words):
    return _dispatch.execute(["plan", *map(str, words)], lab)


def test_what_was_measured_says_the_month(lab, measured, tmp_path):
    page = tmp_path / "plan.html"
    asked = (*measured, "--own", "own", "--usd-per-hour", "2.5", "--requests-per-day", "4000", "--days", "3")
    found = plan(lab, *asked, "--html", page)
    shown = found.as_json()
    months = {one["target"]: one for one in shown["targets"]}
    own, theirs = months["own"], months["theirs"]
    assert shown["traffic"]["requests"] == 12_000
    # One machine for three days, and what 12,000 calls of the evaluation's sizes cost by the list.
    assert (own["servers"], own["usd"]) == (1, pytest.approx(2.5 * 72))
    asked_them = pl.read_parquet(measured[1]).filter(pl.col("target") == "theirs")
    assert theirs["usd"] == pytest.approx(12_000 * asked_them["cost_usd"].mean(), rel=0.05)
    assert theirs["source"].startswith("emulated: genai-prices ") or theirs["source"].startswith("genai-prices ")
    assert theirs["date"]
    assert theirs["servers"] is None
    # Little's law: a place is held for all but the idle share.
    assert 0.9 < own["idle"] < 1
    assert own["p50_s"] <= own["p99_s"] <= own["worst_day_p99_s"]
    shape = Page(page.read_text())
    assert shape.strange == []
    assert "Break-even" in shape.text


def test_break_even_by_answers_and_by_right_answers(lab, measured):
    asked = (*measured, "--own", "own", "--usd-per-hour", "0.002", "--requests-per-day", "4000", "--days", "1")
    found = plan(lab, *asked)
    by = {one["metric"]: one for one in found.as_json()["break_even"]}
    asked_them = pl.read_parquet(measured[1]).filter(pl.col("target") == "theirs")
    each = asked_them["cost_usd"].mean()
    assert by[None]["state"] == "found"
    assert by[None]["requests_per_day"] == pytest.approx(0.002 * 24 / each)
    # Theirs is right half of the time, so a right answer costs twice as much, and half the requests are enough.
    assert by["exact_match"]["requests_per_day"] == pytest.approx(by[None]["requests_per_day"] / 2, rel=0.02)
    for one in by.values():
        assert one["low"] <= one["requests_per_day"] <= one["high"]
    text = " ".join(str(found).split())
    number = f"{math.ceil(by[None]['requests_per_day'] - 1e-9):,}"
    assert f"own against theirs: cheaper from {number} requests a day" in text
    assert "own against theirs for right answers by exact_match: cheaper from" in text


def test_never_is_said(lab, measured):
    asked = (*measured, "--own", "own", "--usd-per-hour", "1000000", "--requests-per-day", "100", "--days", "1")
    found = plan(lab, *asked)
    assert {one["state"] for one in found.as_json()["break_even"]} == {"never"}
    assert "own against theirs: never, a full machine costs more per request" in str(found)


def test_unknown_is_never_nothing(lab, measured):
    """No price of a machine, no load test, nothing of a target but its name."""
    shown = plan(lab, *measured, "--own", "own", "--requests-per-day", "100", "--days", "1")
    assert str(shown).count("Unknown where it takes part: nobody says what the machine of own costs") == 1
    found = shown.as_json()
    own = next(one for one in found["targets"] if one["target"] == "own")
    assert (own["usd"], own["servers"]) == (None, 1)
    assert "nobody says what its machine costs" in own["reasons"][0]
    assert {one["state"] for one in found["break_even"]} == {"unknown"}
    alone = plan(lab, measured[1], "--own", "own", "--usd-per-hour", "2", "--requests-per-day", "100", "--days", "1")
    own = next(one for one in alone.as_json()["targets"] if one["target"] == "own")
    assert (own["usd"], own["servers"], own["p99_s"]) == (None, None, None)
    assert own["reasons"] == ["no load test measured its throughput; run load --sweep"]
    assert "Of unknown cost: own" in str(alone)
    words = ("--targets", "openai/no-such-model-9", "--requests-per-day", "100", "--days", "1")
    (one,) = plan(lab, *words, "--input-tokens", "9", "--output-tokens", "9").as_json()["targets"]
    assert (one["usd"], one["p50_s"], one["waited"]) == (None, None, None)
    assert "no price list knows what its calls cost" in one["reasons"][0]


def test_a_vendors_limit_holds_requests_back(lab, measured):
    asked = (measured[1], "--requests-per-day", "20000", "--days", "1", "--shape", "flat")
    free, limited, drowned = (
        next(one for one in plan(lab, *asked, *words).as_json()["targets"] if one["target"] == "theirs")
        for words in ((), ("--rpm", "theirs=14"), ("--tpm", "theirs=20"))
    )
    assert free["waited"] is None
    assert 0 < limited["waited"] < 1
    assert limited["p50_s"] >= free["p50_s"]
    assert free["n_measured"] == 40
    assert (limited["p99_s"], free["p99_s"], free["worst_day_p99_s"]) == (None, None, None), "40 answers bound no p99"
    assert limited["usd"] == free["usd"]
    assert "times its limit: the backlog grows to the end" in drowned["reasons"][0]


def test_a_trace_is_repeated_and_priced_by_its_tokens(lab, measured, tmp_path):
    path = tmp_path / "trace.csv"
    rows = [(i * 36.0, 100 + i, 10 + i % 7) for i in range(100)]
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    found = plan(lab, measured[1], "--traffic", path, "--days", "2").as_json()
    assert found["traffic"]["requests"] == 4800
    each = [math.ceil(2.5 * b + 10 * c - 1e-9) / 1e6 for _, b, c in rows]
    theirs = next(one for one in found["targets"] if one["target"] == "theirs")
    assert theirs["usd"] == pytest.approx(48 * sum(each))
    assert any("repeated 48 times" in note for note in found["assumed"])


def test_a_machine_from_the_list_or_from_the_settings(lab, measured):
    asked = (*measured, "--own", "own", "--requests-per-day", "100", "--days", "1")
    listed = plan(lab, *asked, "--gpu", "l4", "--cloud", "aws", "--gpus", "2").as_json()["machine"]
    assert listed["usd_per_hour"] == pytest.approx(2 * 0.8048)
    assert "skypilot-catalog" in listed["source"]
    assert listed["date"] == "since 2026-11-22"
    mine = plan(Lab(Preferences().config(usd_per_hour="3.25")), *asked).as_json()["machine"]
    assert (mine["usd_per_hour"], mine["source"]) == (3.25, "setting usd_per_hour")


BAD = {
    "no traffic": (["--targets", "echo/x"], "a plan is of one traffic. Say --traffic FILE or --requests-per-day N."),
    "rate 0": (["--targets", "echo/x", "--requests-per-day", "0"], "--requests-per-day '0': input should be greater"),
    "nobody": (["--requests-per-day", "5"], "there is no target to plan for"),
    "no such file": (["--targets", "echo/x", "--traffic", "nowhere.csv"], "nowhere.csv"),
    "an empty trace": (["--targets", "echo/x", "--traffic", "empty.csv"], "empty.csv has no rows"),
    "one request": (["--targets", "echo/x", "--traffic", "one.csv"], "1 requests at one time say no rate"),
    "half a size": (["--targets", "echo/x", "--requests-per-day", "5", "--input-tokens", "5"], "half known"),
    "far too many": (["--targets", "echo/x", "--requests-per-day", "9000000"], "are more than the 5,000,000"),
    "a gpu nowhere": (["--targets", "echo/x", "--requests-per-day", "5", "--gpu", "l4"], "is rented somewhere"),
    "no such gpu": (
        ["--targets", "echo/x", "--requests-per-day", "5", "--gpu", "abacus", "--cloud", "aws"],
        "no price of abacus at aws is known",
    ),
    "no such shape": (["--targets", "echo/x", "--requests-per-day", "5", "--shape", "round"], "--shape 'round'"),
    "no such target": (["--targets", "echo/x", "--requests-per-day", "5", "--rpm", "ecco=5"], "no target is called"),
    "no such run": (["nothing-like-it", "--requests-per-day", "5"], "nothing-like-it"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_one_line(name, capsys, tmp_path):
    (tmp_path / "empty.csv").write_text("arrival_s,input_tokens,output_tokens\n")
    (tmp_path / "one.csv").write_text("arrival_s,input_tokens,output_tokens\n1,2,3\n")
    words, says = BAD[name]
    assert main(["plan", *words]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "\n" not in error
    assert "Traceback" not in error


def test_rows_out_of_order_are_said(lab, tmp_path):
    path = tmp_path / "late.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n0,10,5\n9,10,5\n4,10,5\n")
    found = plan(lab, "--targets", "openai/gpt-4o-mini", "--traffic", path, "--days", "1").as_json()
    assert "1 of 3 rows of late.csv were out of order; they were sorted." in found["assumed"]


def test_names_are_text(lab, measured, tmp_path):
    hostile = pl.when(pl.col("target") == "theirs").then(pl.lit(MARKUP[0])).otherwise("target")
    frame = pl.read_parquet(measured[1]).with_columns(target=hostile)
    frame.write_parquet(tmp_path / "hostile.parquet")
    words = ("--own", "own", "--usd-per-hour", "1", "--requests-per-day", "50", "--days", "1", "--html")
    plan(lab, tmp_path / "hostile.parquet", measured[0], *words, tmp_path / "page.html")
    shape = Page((tmp_path / "page.html").read_text())
    assert "script" not in {tag for tag, _ in shape.elements}


def test_without_a_target_of_ours_there_is_no_break_even(lab):
    words = ("--targets", "openai/gpt-4o", "--requests-per-day", "50", "--input-tokens", "9", "--output-tokens", "9")
    found = plan(lab, *words)
    assert found.as_json()["break_even"] == []
    assert "Break-even" not in str(found)
    with pytest.raises(UsageError, match="half known"):
        plan(lab, *words[:-2])
