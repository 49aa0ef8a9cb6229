"""Budgets that many processes share: the vendor's own ledger never exceeds them, and ours equals it."""

import pytest
from emulated import emulated
from made_spending import FORGETFUL, HASTY, entries, micro_usd, spend, spent, with_budget

from mlaas_lab.store.folder import JobFolder, read_json


def test_enough_for_all_is_the_vendors_bill_to_the_micro_dollar(tmp_path, settings):
    with emulated("openai") as server:
        spend(server, settings, tmp_path, processes=2, calls=20)
    assert len(server.ledger) == 40
    assert spent(settings) == (micro_usd(server), 0)
    assert {one.payer.job for one in entries(settings)} == {"job-0", "job-1"}
    assert sum(one.charge.n for one in entries(settings)) == 40


@pytest.mark.parametrize("name", ["max_usd_per_day", "max_usd_per_project", "max_usd_per_notebook"])
def test_a_budget_holds(tmp_path, settings, name):
    cap = 12_000
    with emulated("openai", ttft_s=0.005) as server:
        spend(server, with_budget(settings, **{name: cap}), tmp_path, processes=3, calls=30)
    known, unknown = spent(settings)
    assert (known, unknown) == (micro_usd(server), 0)
    assert 0.8 * cap < known <= cap
    assert 0 < len(server.ledger) < 90
    notes = [note for n in range(3) for note in read_json(JobFolder(tmp_path / f"job-{n}").outcome)["result"]["notes"]]
    assert any(note.startswith(f"the budget {name} leaves no room: $0.01") for note in notes)


@pytest.mark.long
def test_control_whoever_looks_before_he_takes_overspends(tmp_path, settings):
    cap = 12_000
    with emulated("openai", ttft_s=0.005) as server:
        spend(server, with_budget(settings, max_usd_per_day=cap), tmp_path, processes=12, calls=20, sabotage=HASTY)
    assert micro_usd(server) > cap


@pytest.mark.long
@pytest.mark.parametrize("sabotage", ["", FORGETFUL], ids=["", "whoever forgets the dead overspends"])
def test_what_the_dead_held_is_charged(tmp_path, settings, sabotage):
    cap = 60_000
    budget = with_budget(settings, max_usd_per_project=cap)
    with emulated("openai", ttft_s=0.05) as server:
        for _ in range(3):
            spend(server, budget, tmp_path, processes=4, calls=100, kill=3, sabotage=sabotage)
        spend(server, budget, tmp_path, processes=2, calls=300, sabotage=sabotage)
    known, unknown = spent(settings)
    if sabotage:
        assert micro_usd(server) > cap, "the control must be caught"
    else:
        assert known <= micro_usd(server) <= known + unknown <= cap
        assert unknown > 0


@pytest.mark.long
def test_32_processes_of_300_calls(tmp_path, settings):
    cap = 1_000_000
    with emulated("openai", ttft_s=0.01) as server:
        spend(server, with_budget(settings, max_usd_per_day=cap), tmp_path, processes=32, calls=300)
    known, unknown = spent(settings)
    assert len(server.ledger) < 32 * 300
    assert unknown == 0
    assert known == micro_usd(server) <= cap
    assert known > 0.98 * cap, "the money is used"
