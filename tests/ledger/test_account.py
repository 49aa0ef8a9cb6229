"""Budgets above a job: it waits for what others hold, gives back what it does not use, and says what stopped it."""

import asyncio
from decimal import Decimal

import pytest
from made_spending import spent, with_budget

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.evaluation.budget import Budget
from mlaas_lab.ledger import Account
from mlaas_lab.schema import Cost
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.ledger import Ledger

ITEM = ("api", "openai/m")
PRICE = Cost(usd=Decimal("0.000001"), source="list", date="2026-11-01")


def budget(settings, job, cap_usd=None):
    return Budget(cap_usd, None, Account(settings, job=job))


def held(settings):
    ledger = Ledger(settings.ledger_path)
    try:
        return [hold.amount for hold in ledger.holds()]
    finally:
        ledger.close()


def test_waits_for_what_others_hold_and_gets_it_when_they_settle(settings):
    async def scenario():
        shared = with_budget(settings, max_usd_per_day=100)
        async with budget(shared, "a") as one:
            assert await one.reserve(80)
            async with budget(shared, "b") as other:
                waiting = asyncio.ensure_future(other.reserve(60))
                await asyncio.sleep(0.3)
                assert not waiting.done()
                one.settle(80, 30, item=ITEM, cost=PRICE)
                assert await asyncio.wait_for(waiting, 20)
                other.settle(60, 60, item=ITEM, cost=PRICE)
                assert not await asyncio.wait_for(other.reserve(11), 20), "90 of 100 are spent"
                assert other.why.startswith("the budget max_usd_per_day leaves no room")

    asyncio.run(scenario())
    assert spent(settings) == (90, 0)


def test_its_own_cap_is_named_where_that_is_less(settings):
    async def scenario():
        async with budget(with_budget(settings, max_usd_per_day=100), "a", Decimal("0.00001")) as one:
            assert not await one.reserve(11)
            assert one.why is None

    asyncio.run(scenario())


def test_what_is_in_flight_at_the_end_is_unknown(settings):
    async def scenario():
        async with budget(settings, "a", Decimal(1)) as one:
            await one.reserve(5)
            one.settle(0, 2, known=False, item=ITEM, cost=PRICE)
            assert held(settings)[0] >= 5

    asyncio.run(scenario())
    assert spent(settings) == (1, 6), "of two that may have been billed, one was known to be"


def test_without_a_cap_nothing_is_held_and_all_is_written(settings):
    async def scenario():
        async with budget(settings, "a") as one:
            for _ in range(1000):
                one.settle(0, 7, item=ITEM, cost=PRICE)
            one.settle(0, 0, known=False, item=ITEM)
            assert held(settings) == [0]

    asyncio.run(scenario())
    assert spent(settings) == (7000, 0)


def test_a_budget_that_is_used_up_refuses_before_anything_begins(settings):
    test_without_a_cap_nothing_is_held_and_all_is_written(settings)
    with pytest.raises(UsageError, match=r"max_usd_per_project leaves no room: \$0.007 spent of \$0.005") as caught:
        budget(with_budget(settings, max_usd_per_project=5000), "b")
    assert "cost --by job" in str(caught.value)


def test_a_ledger_that_cannot_be_written_ends_it(settings, monkeypatch):
    async def scenario():
        async with budget(settings, "a", Decimal(1)) as one:
            settings.ledger_path.with_name("ledger.sqlite3").write_bytes(b"not a ledger" * 100)
            await one.reserve(900_000)

    with pytest.raises(DataError, match="ledger"):
        asyncio.run(scenario())


def test_a_cluster_cannot_see_a_budget(settings, tmp_path):
    shared = with_budget(settings, max_usd_per_notebook=5000)
    job = {"id": "j1", "task": "eval", "spec": {}, "attempt": 1, "settings": shared.model_dump(mode="json")}
    with pytest.raises(UsageError, match="max_usd_per_notebook is kept on this machine"):
        registry.load("executor", "ray").begin(JobFolder(tmp_path), job, {})
