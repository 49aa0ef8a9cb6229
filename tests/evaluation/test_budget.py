"""A cap is a cap: what an emulated vendor bills by its own ledger never exceeds it, whatever goes wrong on the way."""

import asyncio
import json
from collections import Counter
from decimal import Decimal

import pytest
from emulated import emulated, target

from mlaas_lab import records, registry
from mlaas_lab.context import Context
from mlaas_lab.emulators._minds import echo
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.run import run
from mlaas_lab.spec import read
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval

IN_USD, OUT_USD = Decimal("0.0000025"), Decimal("0.00001")
"""Of a token of gpt-4o."""
FAULTS = {"rate_limited": 0.1, "overloaded": 0.1, "cut": 0.1}
PAIRS = [(f"question {i} " + "word " * (5 + i % 40), "x") for i in range(150)]


def billed(server, since=0):
    """What the vendor's own ledger comes to, in dollars."""
    ledger = server.ledger[since:]
    return sum((one.input_tokens * IN_USD + one.output_tokens * OUT_USD for one in ledger), Decimal(0))


def gpt(server, query=""):
    return target(server, "openai", model="gpt-4o", query=query)


@pytest.fixture
def evaluated(tmp_path, settings, spec, rows):
    """Runs an evaluation as an attempt of its job; returns the result and the records."""
    opened = []

    def evaluated(targets, pairs=PAIRS, job="job", **options):
        folder = JobFolder(tmp_path / job)
        folder.path.mkdir(exist_ok=True)
        attempt = 1 + sum(one.folder.path == folder.path for one in opened)
        context = Context(folder, settings, job_id=job, name="rows", attempt=attempt)
        opened.append(context)
        given = {"concurrency": 64, "retries": 2, "max_tokens": 40, "metrics": ("exact_match",), **options}
        outcome = run(spec(data=rows(pairs), targets=targets, **given), context)
        return outcome.result, records.read(folder.records)

    yield evaluated
    for one in opened:
        one._events.close()


@pytest.mark.parametrize("cap_usd", [0.0001, 0.003, 0.0101, 0.02, 0.05])
def test_no_more_than_the_cap_is_billed(evaluated, cap_usd):
    with emulated("openai", faults=FAULTS) as one, emulated("openai", faults={"cut": 0.3}, seed=1) as other:
        found, frame = evaluated((gpt(one), gpt(other)), max_usd=cap_usd)
    spent = billed(one) + billed(other)
    assert spent <= Decimal(str(found["spent_usd"])) <= Decimal(str(cap_usd))
    errors = Counter(frame["error"])
    assert errors["cap_reached"] > 0
    unasked = frame.filter(frame["error"] == "cap_reached")
    assert unasked["attempts"].sum() == 0
    assert unasked["cost_usd"].is_null().all()
    assert unasked["exact_match"].is_null().all()
    assert len(frame) == 300
    by_target = [set(part["sample_id"]) for part in unasked.partition_by("target")]
    assert by_target[0] == by_target[1], "a question is asked of all targets or of none"
    asked = 300 - len(unasked)
    assert found["asked"] == asked
    assert any(note.endswith(f": {asked} of 300 asked") for note in found["notes"])
    if cap_usd == 0.05:
        assert asked > 30


def test_control_whoever_checks_after_the_call_overspends(evaluated, monkeypatch):
    async def reserve(self, amount):
        return self._spent < self.cap

    monkeypatch.setattr(Budget, "reserve", reserve)
    with emulated("openai") as server:
        evaluated((gpt(server),), max_usd=0.003)
    assert billed(server) > Decimal("0.003")


def test_control_whoever_takes_failed_attempts_for_free_overspends(evaluated, monkeypatch):
    paid = Meter.paid
    monkeypatch.setattr(Meter, "paid", lambda self, held, attempts, cost: paid(self, 0, attempts, cost))
    with emulated("openai", faults={"cut": 0.6}) as server:
        found, _ = evaluated((gpt(server),), max_usd=0.01)
    assert billed(server) > Decimal("0.01") > Decimal(str(found["spent_usd"]))


def test_the_money_is_used(evaluated):
    """What is left is less than one question may cost; nothing fails, so all that is spent is known."""
    with emulated("openai") as server:
        found, _ = evaluated((gpt(server),), max_usd=0.02, retries=0, concurrency=8)
    worst = (64 + 16 + 300 + 64) * IN_USD + 40 * OUT_USD
    assert Decimal("0.02") - worst < billed(server) <= Decimal(str(found["spent_usd"])) <= Decimal("0.02")
    assert found["n_unpriced"] == 0


def test_a_cap_below_one_question_says_what_one_may_cost(evaluated):
    """Every target and every retry of it counts."""
    with emulated("openai") as server:
        found, frame = evaluated((gpt(server),), max_usd=0.0001, retries=3)
    assert server.ledger == []
    (said,) = set(frame["error_message"])
    most = Decimal(said.partition("may cost $")[2].partition(",")[0])
    assert most > 4 * 40 * OUT_USD > Decimal("0.0001")
    assert found["notes"][0] == "stopped at $0 of $0.0001: 0 of 150 asked"


def test_enough_money_changes_nothing(evaluated):
    with emulated("openai") as server:
        free, plain = evaluated((gpt(server),), job="plain")
        capped, frame = evaluated((gpt(server),), job="capped", max_usd=1)
    assert frame["error"].null_count() == plain["error"].null_count() == 150
    assert capped["spent_usd"] == free["spent_usd"] == pytest.approx(plain["cost_usd"].sum())
    assert (capped["cap_usd"], free["cap_usd"], capped["notes"]) == (1, None, [])


def test_on_disk_stands_never_less_than_what_is_billed(evaluated, tmp_path):
    """So a kill at any moment forgets no call in flight."""
    seen = []

    def mind(question):
        kept = json.loads((tmp_path / "job" / "budget.json").read_text())["micro_usd"]
        answer = echo(question)
        mine = answer.input_tokens * IN_USD + answer.output_tokens * OUT_USD
        seen.append(Decimal(kept) / 1_000_000 - billed(server) - mine)
        return answer

    with emulated("openai", mind=mind, faults={"cut": 0.2}) as server:
        evaluated((gpt(server),), max_usd=0.02)
    assert len(seen) > 20
    assert min(seen) >= 0


def test_another_attempt_has_what_is_left(evaluated):
    with emulated("openai") as server:
        evaluated((gpt(server),), max_usd=0.01)
        first = len(server.ledger)
        assert 0 < first < 150
        found, _ = evaluated((gpt(server),), max_usd=0.01)
        assert billed(server) <= Decimal("0.01"), "both attempts together"
        more, frame = evaluated((gpt(server),), max_usd=1)
    assert frame["error"].null_count() == 150, "what was not asked is asked when there is more to spend"
    assert len(server.ledger) == 150, "and nothing twice"
    assert found["kept"] == first
    assert more["spent_usd"] == pytest.approx(frame["cost_usd"].sum())


def test_progress_says_what_is_spent(evaluated, tmp_path):
    with emulated("openai") as server, emulated("openai") as unknown:
        found, _ = evaluated((gpt(server), target(unknown, "openai", model="no-such")), PAIRS[:20], max_tokens=5)
    lines = [line for _, line in JobFolder(tmp_path / "job").events_from() if line["event"] == "progress"]
    assert (lines[1]["spent_usd"], lines[-1]["cap_usd"]) == (None, None), "nothing is known yet: that is not 0"
    assert Decimal(str(lines[-1]["spent_usd"])) == Decimal(str(found["spent_usd"])) >= billed(server) > 0
    assert lines[-1]["n_unpriced"] == 20


class TestPrices:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("openai/no-such-model?emulated=http://127.0.0.1:9", "has none. Put one into a price list of your own"),
            ("openai/m?base_url=http://127.0.0.1:9/v1", "listens at a private address"),
        ],
    )
    def test_a_target_without_a_price_is_refused_before_anybody_is_asked(self, evaluated, name, said):
        with emulated("openai") as server, pytest.raises(UsageError) as caught:
            evaluated((gpt(server), name), max_usd=1)
        assert said in str(caught.value)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not server.ledger

    def test_what_is_free_needs_no_money(self, evaluated):
        found, frame = evaluated(("echo/a",), max_usd=0.000001)
        assert frame["error"].null_count() == 150
        assert found["spent_usd"] == 0


class TestBudget:
    def test_waits_for_others_and_gives_up_when_nothing_can_come_back(self, tmp_path):
        async def scenario():
            budget = Budget(Decimal("0.000010"), tmp_path / "budget.json")
            async with budget:
                assert await budget.reserve(6)
                waiting = asyncio.ensure_future(budget.reserve(8))
                await asyncio.sleep(0.02)
                assert not waiting.done()
                budget.settle(6, 2)
                assert await waiting
                assert not await budget.reserve(9), "2 are spent"
                budget.settle(8, 8)
                assert not await budget.reserve(1)
            return budget

        assert asyncio.run(scenario()).spent_usd == 0.00001
        assert Budget(Decimal(1), tmp_path / "budget.json").spent_usd == 0.00001

    def test_what_was_spent_beyond_a_cap_is_not_forgotten(self, tmp_path):
        (tmp_path / "budget.json").write_text('{"micro_usd": 20}')

        async def scenario():
            async with Budget(Decimal("0.000010"), tmp_path / "budget.json") as budget:
                assert not await budget.reserve(1)
                return json.loads((tmp_path / "budget.json").read_text())

        assert asyncio.run(scenario()) == {"micro_usd": 20}

    def test_what_is_in_flight_at_the_end_counts(self, tmp_path):
        async def scenario():
            async with Budget(Decimal(1), tmp_path / "budget.json") as budget:
                await budget.reserve(5)

        asyncio.run(scenario())
        assert json.loads((tmp_path / "budget.json").read_text()) == {"micro_usd": 5}

    def test_a_disk_that_takes_nothing_ends_it(self, tmp_path):
        async def scenario():
            async with Budget(Decimal(1), tmp_path / "missing" / "budget.json") as budget:
                await budget.reserve(5)

        with pytest.raises(DataError, match="cannot be written"):
            asyncio.run(scenario())


@pytest.mark.long
def test_a_job_that_stopped_at_its_cap_goes_on_with_a_larger_one(lab, rows):
    """As its user does it: in jobs, by commands."""
    with emulated("openai") as server:
        words = ["--data", str(rows(PAIRS)), "--targets", gpt(server), "--metrics", "exact_match", "--name", "capped"]
        job = lab.submit("eval", read(Eval, [*words, "--max-usd", "0.01", "--max-tokens", "40"]), wait=True)
        stopped = job.outcome
        assert (str(job.state), stopped["errors"]["cap_reached"]) == ("succeeded", 150 - stopped["asked"])
        assert job.job.progress.cap_usd == 0.01
        resume = registry.load("command", "resume")
        with pytest.raises(UsageError, match=r"may spend \$0.01 already"):
            resume.run(read(resume.args, ["capped", "--max-usd", "0.005"]), lab)
        again = resume.run(read(resume.args, ["capped", "--max-usd", "1", "--wait"]), lab)
    assert (again.id, again.job.attempt, again.job.spec["max_usd"]) == (job.id, 2, 1.0)
    assert again.outcome["errors"] == {}
    assert again.outcome["kept"] == stopped["asked"]
    assert len(server.ledger) == 150
    assert Decimal(str(again.outcome["spent_usd"])) >= billed(server)
