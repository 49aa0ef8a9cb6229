"""Stopping by what a judge says: asked between looks, within the cap, and never to undo what it decided."""

import json
from collections import Counter
from urllib.parse import quote

import pytest
from emulated import emulated
from emulated import target as emulated_target
from loopback import Loopback

from mlaas_lab import records
from mlaas_lab.emulators._minds import said
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.judging import with_judgements
from mlaas_lab.evaluation.looking import Looking
from mlaas_lab.evaluation.run import run
from mlaas_lab.evaluation.summary import summarize

GOOD, BAD = (json.dumps({"claims": [{"text": "x", "supported": value}]}) for value in (True, False))


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": f"question {i}"} for i in range(60)]
    path.write_text(
        "".join(json.dumps({"id": f"s{i}", "messages": [one], "contexts": ["c"]}) + "\n" for i, one in enumerate(turns))
    )
    return path


def judged_by(target):
    return f"faithfulness?judge={quote(target, safe=':/?=')}"


def verdict(text):
    """Only an echo of the question is supported."""
    return GOOD if "question" in text.rpartition("<answer")[2] else BAD


class TestJudged:
    def test_it_ends_when_the_judge_has_said_enough(self, context, spec, rows):
        asked = []

        def judge(body):
            asked.append("judge")
            return verdict(body["messages"][-1]["content"])

        def worse(body):
            asked.append("target")
            return "no"

        with Loopback(reply=judge) as server, Loopback(reply=worse) as target:
            name = judged_by(f"openai/judge?base_url={server.base_url}")
            targets = ("echo/a", f"openai/m?base_url={target.base_url}")
            found = run(spec(data=rows, targets=targets, metrics=(name,), until_decided="first"), context).result
        frame = records.read(context.folder.records)
        looked = found["until_decided"]["asked"]
        assert (found["until_decided"]["early"], looked) == (True, 24)
        assert (len(frame), asked.count("target"), asked.count("judge")) == (2 * looked, looked, 2 * looked)
        assert asked[:13] == [*["target"] * 12, "judge"], "no target is measured while a judge is asked"
        assert found["verdicts"][0]["verdict"] == "a_better"
        assert [str(one.verdict) for one in summarize(frame)[1]] == ["a_better"]
        assert frame[f"{name}_status"].unique().to_list() == ["ok"]
        assert found["judges"][0]["statuses"] == {"ok": 2 * looked}

    @pytest.mark.parametrize("sabotaged", [False, True])
    def test_a_judge_that_failed_is_not_asked_after_the_stop(self, context, spec, rows, monkeypatch, sabotaged):
        """Some answers are judged in prose at every look: another reply after the last one might undo what it saw."""
        if sabotaged:
            again = lambda self, frame, early: with_judgements(frame, self.plan, self.context, self.budget)  # noqa: E731
            monkeypatch.setattr(Looking, "ended", again)
        told = []

        def judge(body):
            text = body["messages"][-1]["content"]
            told.append(text)
            prose = any(f"question {i}\n" in text for i in range(9))
            return "Looks fine to me." if prose else verdict(text)

        with Loopback(reply=judge) as server, Loopback(reply=lambda body: "no") as target:
            name = judged_by(f"openai/judge?base_url={server.base_url}")
            targets = ("echo/a", f"openai/m?base_url={target.base_url}")
            found = run(spec(data=rows, targets=targets, metrics=(name,), until_decided="first"), context).result
        frame = records.read(context.folder.records)
        assert found["until_decided"]["early"]
        assert set(frame[f"{name}_status"]) == {"ok", "parse_error"}
        assert found["verdicts"][0]["verdict"] == "a_better"
        looks = found["until_decided"]["asked"] // 12
        assert max(Counter(told).values()) == looks + sabotaged

    def test_the_cap_holds_for_targets_and_judges_together(self, context, spec, rows):
        """Money that was put aside for judges is theirs at a look, and put aside again for the next answers."""

        def minds(question):
            last = question.turns[-1][1]
            return said(question, verdict(last) if "<answer" in last else "no")

        with emulated("openai", mind=minds) as server:
            name = judged_by(emulated_target(server, "openai", model="gpt-4.1-mini"))
            targets = ("echo/a", "echo/b", emulated_target(server, "openai", model="gpt-4.1-nano"))
            wanted = spec(
                data=rows,
                targets=targets,
                metrics=(name,),
                until_decided="first",
                max_usd=0.2,
                retries=0,
                max_tokens=16,
            )
            found = run(wanted, context).result
        frame = records.read(context.folder.records)
        assert 0 < found["spent_usd"] <= 0.2
        spent = frame[f"{name}_cost_usd"].sum() + frame["cost_usd"].sum()
        assert found["spent_usd"] == pytest.approx(spent, abs=1e-9)
        assert found["judges"][0]["statuses"] == {"ok": len(frame)}
        assert len(frame) == 180, "two targets that are alike are asked to the end"

    def test_any_time_is_refused_and_says_why(self, context, spec, rows):
        with Loopback() as server:
            name = judged_by(f"openai/judge?base_url={server.base_url}")
            wanted = spec(
                data=rows, targets=("echo/a", "echo/b"), metrics=(name,), until_decided="first", any_time=True
            )
            with pytest.raises(UsageError, match="a judge is asked side by side between looks"):
                run(wanted, context)
            assert server.requests == []


def test_a_budget_within_its_own_use_stays_open(tmp_path):
    """What an inner use ends must not give away what the outer one holds."""
    import asyncio
    from decimal import Decimal

    async def within():
        budget = Budget(Decimal(1), tmp_path / "budget.json")
        async with budget:
            assert await budget.reserve(400_000)
            budget.put_aside(500_000)
            with budget.given_out(100_000):
                async with budget:
                    assert await budget.reserve(500_000), "what was put aside is there to be used"
                    budget.settle(500_000, 200_000)
                assert budget.progress()["spent_usd"] == 0.2
            assert not budget.take(350_000), "400,000 are held and 100,000 aside"
            budget.settle(400_000, 0)
            assert await budget.reserve(700_000)
            budget.settle(700_000, 0)

    asyncio.run(within())
