"""Tools that ask a judge themselves: the call is ours, so it is paid, capped and kept as any judge's, and so are failures."""

import asyncio
import json
import os
import sys
from collections import Counter
from functools import partial

import polars as pl
import psutil
import pytest
from emulated import emulated
from emulated import target as emulated_target
from loopback import Loopback, broken, failing, hang

from mlaas_lab import records, registry
from mlaas_lab.context import Context, Stopped
from mlaas_lab.emulators._minds import said
from mlaas_lab.errors import MissingExtra, UsageError
from mlaas_lab.evaluation import consulting
from mlaas_lab.evaluation import plan as plan_module
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.evaluation.bridges import MOST_DEATHS, Bridge, Died
from mlaas_lab.evaluation.bridges.dialogue import Consultation, _within
from mlaas_lab.evaluation.judge import Consulted, question
from mlaas_lab.evaluation.judgements import Said
from mlaas_lab.evaluation.metrics.ragas import KINDS
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import run
from mlaas_lab.schema import Score, ScoreStatus
from mlaas_lab.store.folder import JobFolder

TOY = """
import asyncio
import os
import time

class Task:
    asks = True

    def __init__(self, near, refuse=""):
        if refuse:
            raise ValueError(refuse)
        self._near = near

    async def score(self, output, question):
        if output == "die":
            os._exit(7)
        if output == "hang":
            time.sleep(60)
        if output == "raise":
            raise KeyError("gone")
        if output == "vectors":
            near, far = self._near.ask(texts=["ab", "abcd"]).result()
            return {"value": near[0] / far[0], "status": "ok", "reason": None}
        first = await self._said(f"first of {output}")
        if output == "die later":
            os._exit(7)
        if output == "swallow":
            return {"value": 1.0, "status": "ok", "reason": "it made that up"}
        while output == "insatiable":
            await self._said("more")
        second = await self._said(f"second of {output}")
        try:
            return {"value": (float(first) + float(second)) / 2, "status": "ok", "reason": f"asked about {question}"}
        except ValueError as error:
            return {"value": None, "status": "parse_error", "reason": str(error)}

    async def _said(self, text):
        turns = [{"role": "system", "content": "a tool asks"}, {"role": "user", "content": text}]
        try:
            return await asyncio.wrap_future(self._near.ask(messages=turns))
        except Exception:
            if text.endswith("swallow"):
                return "0"
            raise
"""


@pytest.fixture
def toy(tmp_path, metric):
    """Registers the metric `toy`, which a process of those lines scores by asking the judge named; its starts."""
    script, started = tmp_path / "toy.py", []
    script.write_text(TOY)

    def toy(judge, *, limit_s=20.0, **opening):
        def start():
            started.append(1)
            return Bridge(sys.executable, str(script.with_suffix("")), opening)

        tool = partial(
            Consultation,
            start,
            show=lambda output, sample: {"output": output, "question": question(sample)},
            embed=lambda texts: [[float(len(text))] for text in texts],
            limit_s=limit_s,
        )
        metric("toy", judge=Consulted(tool=tool, prompt="what a toy asks", target=judge))
        return started

    return toy


def at(server):
    return f"openai/judge?base_url={server.base_url}"


def asked(body):
    return body["messages"][-1]["content"]


def halves(body):
    """1 for the first question about an answer, 0 for the second."""
    return "1" if asked(body).startswith("first") else "0"


def column(context, ending=""):
    frame = records.read(context.folder.records)
    return dict(zip(frame["output"], frame[f"toy{ending}"], strict=True))


@pytest.fixture
def evaluate(context, spec, rows):
    """Runs one attempt with the metric `toy` on answers that are the questions."""

    def evaluate(*questions, at=context, **more):
        wanted = {"data": rows([(text, None) for text in questions]), "targets": "echo/a", "metrics": "toy", **more}
        return run(spec(**wanted), at).result

    return evaluate


def test_a_tool_asks_through_our_client_several_answers_at_a_time(toy, context, evaluate):
    with Loopback(reply=halves, delay_s=0.05) as server:
        started = toy(at(server))
        found = evaluate(*"abcdef", concurrency=6)
        told = [[(turn["role"], turn["content"]) for turn in seen.body["messages"]] for seen in server.requests]
    assert column(context) == dict.fromkeys("abcdef", 0.5)
    assert column(context, "_reason")["c"] == "asked about c"
    assert sorted(told) == sorted(
        [("system", "a tool asks"), ("user", f"{nth} of {one}")] for one in "abcdef" for nth in ("first", "second")
    )
    assert server.most_in_flight > 2
    assert len(started) == 1
    (account,) = found["judges"]
    assert (account["models"], account["statuses"]) == (["judge"], {"ok": 6})
    assert json.loads(context.folder.prompts.read_text()) == {"toy": "what a toy asks"}


def test_vectors_are_ours(toy, context, evaluate):
    with Loopback() as server:
        toy(at(server))
        evaluate("vectors")
        assert server.requests == []
    assert column(context) == {"vectors": 0.5}


def test_every_answer_has_its_own_fate(toy, context, evaluate):
    with Loopback(reply=halves) as server:
        toy(at(server), limit_s=1.0)
        evaluate("a", "die", "b", "hang", "raise", "c", "die later", "d", concurrency=4)
        seen = Counter(asked(one.body) for one in server.requests)
    assert column(context) == dict.fromkeys("abcd", 0.5) | dict.fromkeys(("die", "hang", "raise", "die later"))
    fates = {"die": "judge_error", "hang": "timeout", "raise": "judge_error", "die later": "judge_error"}
    assert column(context, "_status") == dict.fromkeys("abcd", "ok") | fates
    reasons = column(context, "_reason")
    assert reasons["die"].startswith("the process ended with status 7")
    assert reasons["hang"] == "no answer within 1 s"
    assert reasons["raise"] == "KeyError: 'gone'"
    paid = [f"{nth} of {one}" for one in "abcd" for nth in ("first", "second")]
    assert seen == Counter([*paid, "first of die later"]), "what a judge said once is not asked again"


def test_control_who_is_not_tried_again_alone_loses_its_score(toy, context, evaluate, monkeypatch):
    tried = Consultation._tried

    async def once(self, words, ask):
        try:
            return await tried(self, words, ask)
        except (Died, TimeoutError) as error:
            return Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason=str(error))

    monkeypatch.setattr(Consultation, "_tried", once)
    with Loopback(reply=halves, delay_s=0.2) as server:
        toy(at(server))
        evaluate("a", "b", "c", "die later", concurrency=4)
    assert len([value for value in column(context).values() if value is None]) > 1


def test_what_always_dies_is_given_up(toy, context, evaluate):
    with Loopback(reply=halves) as server:
        started = toy(at(server))
        evaluate(*(["die"] * 8), concurrency=1)
    assert set(column(context, "_status").values()) == {"judge_error"}
    assert len(started) == 2 * MOST_DEATHS


@pytest.mark.long
def test_what_never_comes_up_is_not_tried_for_every_answer(toy, context, evaluate):
    with Loopback(reply=halves) as server:
        started = toy(at(server), refuse="not today")
        evaluate(*"abcdefgh", concurrency=1)
        assert server.requests == []
    assert set(column(context, "_reason").values()) == {"ValueError: not today"}
    assert len(started) == MOST_DEATHS


@pytest.mark.parametrize(
    ("answer", "fault", "status", "says"),
    [
        ("a", hang(), "timeout", "no answer within"),
        ("a", broken(), "judge_error", "it broke"),
        ("swallow", broken(), "judge_error", "it broke"),
        ("swallow", failing(401), "judge_error", "key"),
        ("swallow", failing(400, code="content_filter"), "refused", "no"),
    ],
)
def test_a_judge_that_does_not_answer_is_no_score(toy, context, evaluate, answer, fault, status, says):
    with Loopback(reply=halves, faults=[fault]) as server:
        toy(at(server))
        evaluate(answer, retries=0, timeout_s=0.3)
        assert len(server.requests) == 1, "and is not asked on"
    assert column(context) == {answer: None}
    assert column(context, "_status") == {answer: status}
    assert says in column(context, "_reason")[answer]


def test_control_a_tool_that_makes_up_a_number_would_be_believed(toy, context, evaluate, monkeypatch):
    monkeypatch.setattr(consulting.Hearing, "said", lambda self, score: Said(score=score))
    with Loopback(reply=halves, faults=[broken()]) as server:
        toy(at(server))
        evaluate("swallow", retries=0)
    assert column(context) == {"swallow": 1.0}


@pytest.mark.parametrize(
    ("reply", "status"),
    [("Looks fine to me.", "parse_error"), ("I'm sorry, but I can't assist with that.", "refused"), ("nan", "x")],
)
def test_what_cannot_be_read_is_no_score(toy, context, evaluate, reply, status):
    with Loopback(reply=lambda body: reply) as server:
        toy(at(server))
        evaluate("a")
    assert column(context) == {"a": None}
    assert column(context, "_status") == {"a": "judge_error" if status == "x" else status}


def test_who_asks_without_end_is_stopped(toy, context, evaluate, monkeypatch):
    monkeypatch.setattr(consulting, "MOST_CALLS", 5)
    with Loopback(reply=halves) as server:
        toy(at(server))
        evaluate("insatiable", "a")
        assert len(server.requests) == 7
    assert column(context, "_status") == {"insatiable": "parse_error", "a": "ok"}
    assert column(context, "_reason")["insatiable"] == "not said in 5 calls"


class TestMoney:
    def test_every_call_is_billed(self, toy, context, evaluate):
        with emulated("openai", mind=lambda question: said(question, "1")) as server:
            toy(emulated_target(server, "openai", model="gpt-4.1-mini"))
            found = evaluate(*"abc")
        frame = records.read(context.folder.records)
        assert frame["toy_cost_usd"].min() > 0
        assert set(frame["toy_judge"]) == {"gpt-4.1-mini"}
        (bill,) = bills(frame)
        assert bill.judge_usd == pytest.approx(frame["toy_cost_usd"].sum(), abs=1e-9)
        assert found["spent_usd"] == pytest.approx(bill.judge_usd, abs=1e-9)
        lines = [json.loads(line) for line in context.folder.judgements.read_bytes().splitlines()]
        assert [line["replies"] for line in lines] == [["1", "1"]] * 3, "two calls each"

    def test_what_a_dead_process_asked_is_billed_too(self, toy, context, evaluate):
        with emulated("openai", mind=lambda question: said(question, "1")) as server:
            toy(emulated_target(server, "openai", model="gpt-4.1-mini"))
            evaluate("die later")
        assert column(context) == {"die later": None}
        assert column(context, "_cost_usd")["die later"] > 0

    def test_a_cap_holds(self, toy, context, evaluate):
        with emulated("openai", mind=lambda question: said(question, "1")) as server:
            toy(emulated_target(server, "openai", model="gpt-4.1-mini"))
            found = evaluate(*map(str, range(40)), max_usd=0.01, retries=0)
        frame = records.read(context.folder.records)
        assert 0 < found["spent_usd"] <= 0.01
        assert frame["toy_cost_usd"].sum() == pytest.approx(found["spent_usd"], abs=1e-9)
        lacking = frame.filter(pl.col("output").is_null() | pl.col("toy").is_null())
        assert 0 < len(lacking) < 40


def test_what_failed_is_asked_again_and_nothing_else(toy, context, again, evaluate):
    with Loopback(reply=halves, faults=[broken()]) as server:
        toy(at(server))
        evaluate(*"ab", retries=0, concurrency=1)
        before, n = column(context), len(server.requests)
        evaluate(*"ab", at=again(), retries=0, concurrency=1)
        assert (list(before.values()).count(None), len(server.requests) - n) == (1, 2)
    assert column(context) == {"a": 0.5, "b": 0.5}


def test_replies_of_a_known_judge_are_taken_over(toy, tmp_path, settings, spec, rows, monkeypatch):
    monkeypatch.setattr(plan_module, "content", lambda route, settings: "W" if "judge" in route.name else None)
    wanted = {"data": rows([("a", None), ("b", None)]), "targets": "echo/a", "metrics": "toy"}
    with Loopback(reply=halves) as server:
        toy(at(server))
        found = []
        for job_id in ("one", "two"):
            folder = JobFolder(tmp_path / job_id)
            folder.path.mkdir()
            own = Context(folder, settings, job_id=job_id, name="rows")
            run(spec(**wanted), own)
            own._events.close()
            found.append(records.read(folder.records).select("output", "toy", "toy_reason").sort("output"))
        assert len(server.requests) == 4
    assert found[0].equals(found[1])


def test_a_stop_ends_the_process_and_keeps_what_was_said(toy, context, evaluate):
    with Loopback(reply=halves, faults=[None, None, hang(), hang()]) as server:
        toy(at(server))
        tell = context.progress

        def progress(n, *args, phase="", **more):
            tell(n, *args, phase=phase, **more)
            context.stopping = context.stopping or (phase == "judging" and n == 1)

        context.progress = progress
        with pytest.raises(Stopped):
            evaluate(*"abc", concurrency=1, timeout_s=30)
    assert sorted(column(context, "_status").values()) == ["judge_error", "judge_error", "ok"]
    # An iteration, since what has ended may go while it is looked at.
    alive = [one.info for one in psutil.process_iter(["ppid", "cmdline"]) if one.info["ppid"] == os.getpid()]
    assert not [one for one in alive if "_runner.py" in " ".join(one["cmdline"] or [])]


def test_a_stop_that_comes_with_a_reply_still_stops():
    async def both_at_once():
        reply = asyncio.get_running_loop().create_future()
        waiting = asyncio.ensure_future(_within(5, reply))
        await asyncio.sleep(0)
        reply.set_result("a line")
        waiting.cancel()
        await asyncio.wait([waiting])
        return waiting.cancelled()

    assert asyncio.run(both_at_once())


class TestRagas:
    """What is said of it where it is not installed."""

    @pytest.mark.parametrize(
        ("metric", "says"),
        [
            ("ragas", "lacks judge, name"),
            ("ragas?judge=echo/j", "lacks name"),
            ("ragas?name=faithfulness", "lacks judge"),
            ("ragas?judge=echo/j&name=faithfulnes", "expected one of .*faithfulness"),
            ("ragas?judge=echo/j&name=faithfulness&limit_s=0", "limit_s is 0.0, expected more than 0"),
            ("ragas?judge=echo/j&name=faithfulness&times=0", "times is 0, expected 1 to 100"),
        ],
    )
    def test_bad_words_are_one_line(self, metric, says):
        with pytest.raises(UsageError, match=says):
            registry.configured("metric", metric)

    def test_without_it_the_command_is_said_before_anybody_is_asked(self, rows, spec, settings):
        wanted = spec(data=rows([("a", "a")]), targets="echo/m", metrics=["ragas?name=answer_accuracy&judge=echo/j"])
        for python in ("", "/no/python"):
            with pytest.raises(MissingExtra, match=r"No module named|cannot be started") as caught:
                prepare(wanted, settings.model_copy(update={"ragas_python": python}))
            assert "pip install 'ragas>=0.4.3,<0.5' 'langchain-community<0.4.2'" in caught.value.next

    def test_each_says_what_samples_it_needs(self):
        found = {name: registry.configured("metric", f"ragas?name={name}&judge=echo/j") for name in KINDS}
        assert found["faithfulness"].needs == {"contexts"}
        assert found["context_recall"].needs == {"contexts", "reference"}
        assert all(one.judge.calls == KINDS[name].calls for name, one in found.items())
