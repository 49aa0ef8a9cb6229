"""Replies of judges that are taken over from earlier evaluations: only where nobody can doubt that they are the same."""

import json
from urllib.parse import quote

import pytest
from loopback import Loopback
from restarts import dataset

from mlaas_lab import records
from mlaas_lab.context import Context
from mlaas_lab.evaluation import plan as plan_module
from mlaas_lab.evaluation.run import run
from mlaas_lab.store.folder import JobFolder

N = 6
SCORE = '{"score": 4, "why": "w"}'


@pytest.fixture
def known(monkeypatch):
    """Somebody vouches for the judge: these are its weights."""

    def known(weights):
        content = plan_module.content
        monkeypatch.setattr(
            plan_module,
            "content",
            lambda route, settings: weights if "judge" in route.name else content(route, settings),
        )

    return known


@pytest.fixture
def evaluate(tmp_path, settings, spec):
    """Runs a new job with one judge; its records and the metric's name."""
    data, jobs = dataset(tmp_path / "rows.jsonl", N), iter(range(100))

    def evaluate(server, query="", **more):
        judge = quote(f"openai/judge?base_url={server.base_url}", safe=":/?=")
        name = f"rubric?judge={judge}&criteria=short{query}"
        job_id = f"eval-{next(jobs)}"
        folder = JobFolder(tmp_path / job_id)
        folder.path.mkdir()
        context = Context(folder, settings, job_id=job_id, name="rows")
        try:
            run(spec(data=data, targets="echo/a", metrics=(name,), **more), context)
        finally:
            context._events.close()
        return records.read(folder.records), name

    return evaluate


def test_a_judge_that_is_known_and_samples_nothing_is_asked_once(known, evaluate):
    known("W")
    with Loopback(reply=lambda body: SCORE) as server:
        first, name = evaluate(server, "&times=2")
        assert len(server.requests) == 2 * N
        again, _ = evaluate(server, "&times=2")
        assert len(server.requests) == 2 * N
        assert again.select(name, f"{name}_reason", f"{name}_judge").equals(
            first.select(name, f"{name}_reason", f"{name}_judge")
        )
        evaluate(server, "&times=2", cache=False)
        assert len(server.requests) == 4 * N, "--no-cache asks anew"
        evaluate(server, "&times=3")
        assert len(server.requests) == 5 * N, "the third judgement is another one"


@pytest.mark.parametrize("why", ["nobody knows it", "other weights", "sampled", "another prompt"])
def test_all_others_are_asked_anew(known, evaluate, monkeypatch, why):
    known(None if why == "nobody knows it" else "W")
    query = "&temperature=0.5" if why == "sampled" else ""
    with Loopback(reply=lambda body: SCORE) as server:
        evaluate(server, query)
        if why == "other weights":
            known("V")
        if why == "another prompt":
            monkeypatch.setattr("mlaas_lab.evaluation.metrics.rubric.PROMPT", "{{criteria}} {{scale}} other")
        evaluate(server, query)
        assert len(server.requests) == 2 * N


def test_a_reply_that_could_not_be_read_is_not_kept(known, evaluate):
    known("W")
    replies = {"prose": "I like it."}
    with Loopback(reply=lambda body: replies.get("prose", SCORE)) as server:
        first, name = evaluate(server)
        assert set(first[f"{name}_status"]) == {"parse_error"}
        replies.clear()
        again, _ = evaluate(server)
        assert len(server.requests) == 2 * N
        assert set(again[f"{name}_status"]) == {"ok"}


def test_control_a_key_without_the_weights_would_take_over_anothers(known, evaluate, monkeypatch):
    def blind(decides):
        kind, _weights, *rest = decides
        return json.dumps([kind, *rest], sort_keys=True).encode()

    monkeypatch.setattr("mlaas_lab.evaluation.replies._encoded", blind)
    with Loopback(reply=lambda body: SCORE) as server:
        known("W")
        evaluate(server)
        known("V")
        evaluate(server)
        assert len(server.requests) == N
