"""Answers taken over from earlier evaluations: only of the same weights to the same question, and every row says so."""

import itertools
import json
import re

import polars as pl
import pytest
from loopback import Loopback, failing
from made_jobs import made
from polars.testing import assert_frame_equal
from restarts import dataset

from mlaas_lab import panels, records, registry
from mlaas_lab.context import Context
from mlaas_lab.evaluation import caching
from mlaas_lab.evaluation.contents import content
from mlaas_lab.evaluation.run import run
from mlaas_lab.inference import resolve
from mlaas_lab.models import locate
from mlaas_lab.panels import cost, latency
from mlaas_lab.schema import Endpoint, JobState, Parity
from mlaas_lab.store import Store
from mlaas_lab.store.completions import NAME
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.view import to_text

N = 12


@pytest.fixture
def weights(tmp_path):
    """A folder that is a model as far as its content goes."""

    def weights(data, name="model"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(data)
        return folder

    return weights


@pytest.fixture
def served(tmp_path, settings):
    """Announces what a job of ours serves, as its supervisor does."""
    store = Store(settings.store_path)
    numbers = itertools.count()

    def served(server, source, name="m", engine="transformers", parity=None):
        job_id = f"serve-{next(numbers)}"
        folder = JobFolder(settings.jobs_dir / job_id)
        folder.path.mkdir(parents=True)
        write_json(folder.models, {name: locate(str(source), settings).fingerprint})
        store.add(made(job_id, task="serve", name=name, folder=str(folder.path)))
        store.move(job_id, JobState.RUNNING, attempt=1)
        place = {"base_url": server.base_url, "model": f"/{name}", "engine": engine, "source": str(source)}
        store.announce(Endpoint(name=name, job_id=job_id, ready=True, parity=parity, **place), attempt=1)
        return name

    yield served
    store.close()


@pytest.fixture
def evaluate(tmp_path, settings, spec):
    """Runs a new job; the outcome's result and the records."""
    numbers = itertools.count()
    data = dataset(tmp_path / "rows.jsonl", N)

    def evaluate(*targets, **more):
        job_id = f"eval-{next(numbers)}"
        folder = JobFolder(tmp_path / job_id)
        folder.path.mkdir()
        context = Context(folder, settings, job_id=job_id, name="rows")
        try:
            found = run(spec(**{"data": data, "targets": targets, **more}), context)
        finally:
            context._events.close()
        return found.result, records.read(folder.records).drop("run_id")

    return evaluate


def test_the_same_again_asks_nobody(weights, served, evaluate):
    with Loopback(delay_s=0.01) as server:
        target = served(server, weights(b"W"))
        first, asked = evaluate(target)
        second, again = evaluate(target)
        assert len(server.requests) == N
    assert (first["asked"], first["cached"], second["asked"], second["cached"]) == (N, 0, 0, N)
    assert (second["kept"], second["samples_per_s"]) == (0, None)
    assert second["summary"] == first["summary"]
    assert asked["cached_at"].null_count() == N
    assert again["cached_at"].to_list() == asked["ended_at"].to_list(), "when they were really answered"
    assert_frame_equal(again.drop("cached_at"), asked.drop("cached_at"))


def test_what_nobody_compared_is_marked_and_not_taken_over(weights, served, evaluate):
    """Else its answers would count as those of an endpoint that was compared."""
    with Loopback() as server:
        for parity, marked in ((Parity(checked=False), True), (Parity(checked=True), None)):
            found, frame = evaluate(served(server, weights(b"W"), parity=parity))
            assert found["cached"] == 0
            assert set(frame["unchecked"].to_list()) == {marked}
            said = [to_text(view) for view in panels.draw(frame)]
            assert len(said) > 2
            note = "Unchecked: m was served with --no-parity: nobody compared it"
            assert all((note in text) is bool(marked) for text in said)


def test_the_content_counts_and_not_the_name_or_the_place(weights, served, evaluate):
    with Loopback() as first, Loopback() as second:
        evaluate(served(first, weights(b"W"), name="a"))
        found, _ = evaluate(served(second, weights(b"W", name="copy"), name="b"))
        assert found["cached"] == N
        assert second.requests == []


def test_more_of_the_same_asks_only_the_rest(weights, served, evaluate):
    with Loopback() as server:
        target = served(server, weights(b"W"))
        evaluate(target, limit=5)
        found, frame = evaluate(target, repeats=2)
    assert (found["cached"], found["asked"]) == (5, 2 * N - 5)
    assert found["samples_per_s"] == pytest.approx((2 * N - 5) / found["wall_s"])
    assert frame.select("sample_id", "repeat").n_unique() == 2 * N
    assert set(frame.filter(frame["cached_at"].is_not_null())["repeat"]) == {0}


def mixed_up(weights, served, evaluate):
    """Changes that alter answers, and yet took some over."""
    changes = {
        "messages": {"system": "Be brief."},
        "longest answer": {"max_tokens": 1},
        "target's own parameter": {"target": "?top_p=0.5"},
        "stream": {"stream": True},
        "temperature": {"temperature": 0.7},
        "weights": {"weights": b"OTHER"},
        "engine": {"engine": "vllm"},
    }
    found = []
    with Loopback() as server:
        evaluate(served(server, weights(b"W")))
        for name, options in changes.items():
            more = dict(options)
            folder = weights(more.pop("weights", b"W"))
            target = served(server, folder, engine=more.pop("engine", "transformers")) + more.pop("target", "")
            result, _ = evaluate(target, **more)
            if result["cached"]:
                found.append(name)
    return found


def test_whatever_alters_an_answer_is_in_the_key(weights, served, evaluate):
    assert mixed_up(weights, served, evaluate) == []


@pytest.mark.parametrize(
    ("ignored", "caught"),
    [
        ("weights", {"weights", "engine"}),
        ("messages", {"messages"}),
        ("parameters", {"longest answer", "target's own parameter"}),
        ("temperature", {"temperature"}),
        ("stream", {"stream"}),
    ],
)
def test_control_a_key_that_ignores_something_is_caught(weights, served, evaluate, monkeypatch, ignored, caught):
    """What `mixed_up` finds when the key has one part less; the parts are rebuilt here by hand."""

    def poor(plan, unit):
        params = plan.routes[unit.target].params(plan.params)
        messages = [[m.role, m.content] for m in plan.samples[unit.place].messages]
        parts = {
            "weights": plan.contents[unit.target],
            "messages": messages if ignored != "messages" else messages[-1],
            "temperature": params.temperature,
            "parameters": [params.max_tokens, params.top_p],
            "stream": plan.stream,
        }
        kept = {name: part for name, part in parts.items() if name != ignored or name == "messages"}
        return caching.hashlib.sha256(json.dumps([kept, unit.repeat]).encode()).digest()

    monkeypatch.setattr(caching, "key", poor)
    if ignored == "temperature":
        monkeypatch.setattr(caching, "_cacheable", lambda plan, target: plan.contents.get(target) is not None)
    assert set(mixed_up(weights, served, evaluate)) == caught


def test_what_was_sampled_is_never_kept(weights, served, evaluate):
    with Loopback() as server:
        target = served(server, weights(b"W"))
        for word in (target, f"{target}?temperature=0.7"):
            temperature = 0.7 if word == target else 0
            for _ in range(2):
                found, _ = evaluate(word, temperature=temperature)
                assert found["cached"] == 0
        assert len(server.requests) == 4 * N


def test_errors_are_not_kept(weights, served, evaluate):
    with Loopback(faults=[failing(400)] * 3) as server:
        target = served(server, weights(b"W"))
        evaluate(target, retries=0)
        found, frame = evaluate(target)
    assert (found["cached"], found["asked"]) == (N - 3, 3)
    assert frame["error"].null_count() == N


def test_no_cache_asks_everything_anew_and_keeps_the_new_answers(weights, served, evaluate):
    replies = itertools.count()
    with Loopback(reply=lambda _body: f"answer {next(replies)}") as server:
        target = served(server, weights(b"W"))
        evaluate(target)
        fresh, newer = evaluate(target, cache=False)
        assert (fresh["asked"], fresh["cached"], len(server.requests)) == (N, 0, 2 * N)
        found, again = evaluate(target)
    assert found["cached"] == N
    assert again["output"].to_list() == newer["output"].to_list()


@pytest.mark.parametrize("spoil", ["edited", "removed", "not noted"])
def test_weights_that_nobody_can_vouch_for_are_not_cached(weights, served, evaluate, settings, spoil):
    with Loopback() as server:
        folder = weights(b"W")
        target = served(server, folder)
        if spoil == "edited":
            weights(b"edited since")
        elif spoil == "removed":
            (folder / "model.safetensors").unlink()
        else:
            next(settings.jobs_dir.glob("*/models.json")).unlink()
        for _ in range(2):
            found, _ = evaluate(target)
            assert (found["asked"], found["cached"]) == (N, 0)
    assert not (settings.cache_dir / NAME).exists()


def test_who_has_content(settings, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert content(resolve("openai/gpt-4o?temperature=0", settings), settings) == "openai/gpt-4o?temperature=0"
    assert content(resolve("openai/m?base_url=http://127.0.0.1:9/v1", settings), settings) is None
    assert content(resolve("echo/any", settings), settings) is None


def test_a_spoilt_cache_costs_only_its_answers(weights, served, evaluate, settings, capsys):
    with Loopback() as server:
        target = served(server, weights(b"W"))
        evaluate(target)
        (settings.cache_dir / NAME).write_bytes(b"no database" * 1000)
        found, _ = evaluate(target)
        assert (found["asked"], found["cached"]) == (N, 0)
    assert len(re.findall("damaged and is thrown away", capsys.readouterr().out)) == 1


def test_panels_say_what_was_measured_earlier(weights, served, evaluate, monkeypatch):
    monkeypatch.setattr("mlaas_lab.evaluation.asking.cost", priced)
    with Loopback() as server:
        target = served(server, weights(b"W"))
        _, asked = evaluate(target, limit=5)
        _, frame = evaluate(target)
        _, again = evaluate(target)
    (before,), (line,), (nothing,) = (cost.spending(one) for one in (asked, frame, again))
    assert (before.usd, before.n_cached) == (0.05, 0)
    assert (line.usd, line.n, line.n_cached, line.n_unpriced) == (0.07, N, 5, 0)
    assert (nothing.usd, nothing.n_cached, nothing.usd_per_1000) == (0.0, N, 10.0)
    assert [one.n_cached for one in latency.latencies(frame)] == [5]
    for panel in (cost.panel, latency.panel):
        assert "5 of 12 answers came from the cache, measured earlier" in to_text(panel.build(frame))
        assert "cache" not in to_text(panel.build(asked))
    assert "for 7 answers, and 5 from the cache" in cost.panel.build(frame).summary
    old = asked.drop("cached_at")
    assert cost.spending(old)[0].usd == 0.05
    assert latency.panel.build(old.with_columns(pl.lit("a").alias("target"))) is not None


def priced(target, usage, *, at, **_place):
    """Every answer costs a cent."""
    from decimal import Decimal

    from mlaas_lab.schema import Cost

    return Cost(usd=Decimal("0.01"), source="list", date="2026-01-02")


class TestSpecHash:
    def test_asking_anew_is_the_same_evaluation(self, tmp_path, lab, spec):
        from mlaas_lab.references import spec_hash

        options = {"data": dataset(tmp_path / "rows.jsonl", 3), "targets": ("echo/a",)}
        both = [spec_hash("eval", spec(**options, cache=cache), lab.settings, lab.store) for cache in (True, False)]
        assert both[0] == both[1]

    def test_no_cache_is_always_a_new_job(self, tmp_path, spec):
        fresh = registry.load("task", "eval").fresh
        options = {"data": tmp_path / "rows.jsonl", "targets": ("echo/a",)}
        assert fresh(spec(**options, cache=False))
        assert not fresh(spec(**options))
