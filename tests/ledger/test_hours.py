"""Machines are charged by time: to the micro-dollar at a price, without one where nobody knows it."""

from decimal import Decimal

import pytest

from mlaas_lab.errors import UsageError
from mlaas_lab.ledger import Kind
from mlaas_lab.ledger.hours import OWN, Hours, hour
from mlaas_lab.store.ledger import Ledger, spent_today


@pytest.fixture
def clock(monkeypatch):
    """The seconds that pass."""
    now = [1000.0]
    monkeypatch.setattr("mlaas_lab.ledger.hours.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def charges(settings):
    def charges():
        ledger = Ledger(settings.ledger_path)
        try:
            return {one.charge.kind: one.charge for one in ledger.entries()}, ledger.holds()
        finally:
            ledger.close()

    return charges


def job(task="serve"):
    return {"id": "j", "task": task, "name": "support"}


def used(hours, clock, *spans):
    """Let time pass, busy or not, in steps of the supervisor's loop."""
    hours.begin(0)
    for busy, passed_s in spans:
        hours.busy = busy
        for _ in range(round(passed_s / 0.5)):
            clock[0] += 0.5
            hours.go_on()
    hours.end()


def test_busy_and_idle_apart_to_the_micro_dollar(settings, clock, charges):
    priced = settings.model_copy(update={"usd_per_hour": Decimal("1.0007")})
    used(Hours(priced, job()), clock, (False, 61), (True, 123.5), (False, 7))
    found, holds = charges()
    exact = {Kind.SERVING_BUSY: Decimal("123.5"), Kind.SERVING_IDLE: Decimal(68)}
    for kind, seconds in exact.items():
        assert found[kind].seconds == pytest.approx(float(seconds))
        assert 0 <= found[kind].spent - Decimal("1.0007") * seconds * 1_000_000 / 3600 < 1, (
            "rounded up once, not each time"
        )
        assert (found[kind].source, found[kind].unpriced_s) == (OWN, 0)
    assert (len(found), holds) == (2, [])


def test_without_a_price_time_is_counted_and_no_money(settings, clock, charges):
    used(Hours(settings, job("finetune")), clock, (False, 30))
    found, _ = charges()
    assert (found[Kind.TRAINING].seconds, found[Kind.TRAINING].unpriced_s) == (30, 30)
    assert found[Kind.TRAINING].spent == 0
    assert spent_today(settings.ledger_path).at_least


def test_a_list_prices_each_gpu(settings):
    rented = settings.model_copy(update={"rented_gpu": "lambda/gh200"})
    one, two = hour(rented, gpus=1, at=1_796_000_000), hour(rented, gpus=2, at=1_796_000_000)
    assert (one.usd, two.usd) == (Decimal("2.29"), Decimal("4.58"))
    assert "skypilot" in one.source
    assert one.date == "2026-11-22"
    with pytest.raises(UsageError, match="Listed: gh200"):
        hour(settings.model_copy(update={"rented_gpu": "lambda/abacus"}), gpus=1, at=1_796_000_000)


def test_what_a_dead_supervisor_held_is_left(settings, clock, charges):
    hours = Hours(settings.model_copy(update={"usd_per_hour": Decimal(36)}), job("finetune"))
    hours.begin(1)
    clock[0] += 10
    hours.go_on()
    found, (hold,) = charges()
    assert found[Kind.TRAINING].spent == 100_000
    assert (hold.amount, hold.kind, hold.payer.job) == (100_000, Kind.TRAINING, "j")


def test_other_tasks_cost_no_machine(settings, clock):
    used(Hours(settings, job("eval")), clock, (True, 30))
    assert not settings.ledger_path.exists()


@pytest.mark.long
def test_a_training_is_in_the_ledger(lab, tmp_path, charges, monkeypatch):
    """As its user sees it: `cost` has a line for it."""
    from mlaas_lab import registry
    from mlaas_lab.spec import read
    from mlaas_lab.tasks.finetune import Finetune

    data = tmp_path / "chats.jsonl"
    chat = '{{"messages": [{{"role": "user", "content": "hi {}"}}, {{"role": "assistant", "content": "hello"}}]}}\n'
    data.write_text("".join(chat.format(n) for n in range(20)))
    lab.preferences.flag(usd_per_hour=3.6)
    words = ["--data", str(data), "--epochs", "1", "--name", "small"]
    done = lab.submit("finetune", read(Finetune, words), wait=True)
    assert str(done.state) == "succeeded"
    cost = registry.load("command", "cost")
    (row,) = cost.run(read(cost.args, []), lab).as_json()["rows"]
    assert (row["kind"], row["target"]) == ("training", "small")
    assert row["spent_usd"] == pytest.approx(row["seconds"] / 1000, abs=2e-6)
    assert row["seconds"] > 0.5
