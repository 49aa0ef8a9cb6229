"""The ledger: budgets hold among processes, totals are what the entries add up to, and the dead are charged."""

import multiprocessing
import os
from decimal import Decimal

import pytest

from mlaas_lab.store.ledger import Ledger, day_of, spent_today
from mlaas_lab.store.spending import Charge, Hold, Kind, Limit, Payer, Scope, Wish

PAYER = Payer(job="a", project="p", notebook="n.ipynb")


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def hold(held=0, payer=PAYER, **fields):
    return Hold(**{"id": held, "payer": payer, "kind": Kind.API, "target": "", "amount": 0, "at": 0.0, **fields})


def limits(micro_usd, *scopes):
    return [Limit(scope=scope, micro_usd=micro_usd) for scope in scopes or Scope]


def paid(spent, **fields):
    return Charge(**{"kind": Kind.API, "target": "openai/m", "spent": spent, "n": 1, **fields})


class TestDraw:
    @pytest.mark.parametrize("scope", Scope)
    def test_every_scope_is_a_budget(self, ledger, scope):
        one = limits(100, scope)
        first = ledger.draw(hold(), [], Wish(want=70, least=70), one)
        assert (first.held, first.room, first.possible) == (70, 100, 100)
        second = ledger.draw(hold(), [], Wish(want=70, least=40), one)
        assert (second.held, second.room, second.possible) == (0, 30, 100)
        assert (second.tightest.held, second.tightest.limit.scope) == (70, scope)
        assert ledger.draw(hold(), [], Wish(want=70, least=30), one).held == 30

    def test_other_projects_notebooks_and_jobs_have_their_own(self, ledger):
        ledger.draw(hold(), [], Wish(want=100), limits(100))
        other = Payer(job="b", project="q", notebook="m.ipynb")
        found = limits(100, Scope.PROJECT, Scope.NOTEBOOK, Scope.JOB)
        assert ledger.draw(hold(payer=other), [], Wish(want=100), found).held == 100
        assert ledger.draw(hold(payer=other), [], Wish(want=1, least=1), limits(100, Scope.DAY)).held == 0

    def test_what_was_not_used_comes_back_and_what_was_spent_does_not(self, ledger):
        got = ledger.draw(hold(), [], Wish(want=100), limits(100))
        ledger.draw(hold(got.hold), [paid(30)], Wish(over=True), limits(100))
        assert ledger.holds() == []
        assert ledger.draw(hold(), [], Wish(want=100, least=71), limits(100)).held == 0
        assert ledger.draw(hold(), [], Wish(want=100, least=70), limits(100)).held == 70

    def test_what_has_begun_is_kept_even_above_a_budget_that_was_lowered(self, ledger):
        got = ledger.draw(hold(), [], Wish(want=100), limits(100))
        assert ledger.draw(hold(got.hold), [], Wish(keep=60, want=80, least=80), limits(50)).held == 60

    def test_what_may_have_been_billed_counts_like_what_was(self, ledger):
        ledger.draw(hold(), [paid(10, unknown=50, n_unknown=1)], Wish(over=True))
        assert ledger.draw(hold(), [], Wish(want=41, least=41), limits(100)).held == 0

    def test_a_day_that_ends_takes_its_holds_along(self, ledger, monkeypatch):
        """What is in flight at midnight may be spent on the new day, so it counts there."""
        at = [1_700_006_399.0]
        monkeypatch.setattr("mlaas_lab.store.ledger.time.time", lambda: at[0])
        first = ledger.draw(hold(), [paid(40)], Wish(want=60), limits(100, Scope.DAY))
        at[0] += 86_400
        assert ledger.draw(hold(), [], Wish(want=100, least=41), limits(100, Scope.DAY)).held == 0
        ledger.draw(hold(first.hold), [paid(60)], Wish(over=True))
        assert [(entry.day, entry.charge.spent) for entry in ledger.entries()] == [
            ("2023-11-14", 40),
            ("2023-11-15", 60),
        ]
        assert ledger.draw(hold(), [], Wish(want=100, least=1), limits(100, Scope.DAY)).held == 40


class TestDead:
    def test_are_charged_once_at_what_they_held(self, ledger):
        ledger.draw(hold(holder={"pid": 1}), [], Wish(want=70), limits(100))
        (seen,) = ledger.holds()
        assert (ledger.bury([seen]), ledger.bury([seen])) == (1, 0)
        (entry,) = ledger.entries()
        assert (entry.charge.unknown, entry.charge.n_unknown, entry.charge.spent) == (70, 1, 0)
        assert ledger.draw(hold(), [], Wish(want=31, least=31), limits(100)).held == 0

    def test_who_moved_since_he_was_looked_at_lives(self, ledger):
        got = ledger.draw(hold(), [], Wish(want=70))
        (seen,) = ledger.holds()
        ledger.draw(hold(got.hold), [], Wish(want=80))
        assert ledger.bury([seen]) == 0
        assert ledger.holds()[0].amount == 80

    def test_who_held_nothing_left_a_sum_that_is_a_lower_bound(self, ledger):
        ledger.draw(hold(), [], Wish())
        ledger.bury(ledger.holds())
        assert ledger.entries()[0].charge.n_unpriced == 1


class TestToday:
    def test_is_what_was_spent_and_is_held(self, ledger, tmp_path):
        ledger.draw(hold(), [paid(1_500_000, unknown=250_000)], Wish(want=40_000))
        found = spent_today(tmp_path / "ledger.sqlite3")
        assert (found.spent_usd, found.held_usd, found.at_least) == (1.75, 0.04, False)
        ledger.draw(hold(), [paid(0, n_unpriced=1)], Wish(over=True))
        assert spent_today(tmp_path / "ledger.sqlite3").at_least

    def test_without_a_ledger_is_nothing(self, tmp_path):
        found = spent_today(tmp_path / "none.sqlite3")
        assert (found.spent_usd, found.held_usd, found.at_least) == (0.0, 0.0, False)
        assert not (tmp_path / "none.sqlite3").exists()


def test_totals_are_what_the_entries_add_up_to(ledger):
    for n in range(40):
        who = Payer(job=f"j{n % 3}", project=f"p{n % 2}", notebook="")
        ledger.draw(hold(payer=who), [paid(n, unknown=n % 5, target=f"t{n % 4}")], Wish(over=True))
    entries = ledger.entries()
    for scope in Scope:
        sums = {}
        for one in entries:
            key = one.payer.of(scope, one.day)
            sums[key] = sums.get(key, 0) + one.charge.spent + one.charge.unknown
        rows = ledger._db.read("select value, micro_usd from totals where scope=?", scope)
        assert dict(tuple(row) for row in rows) == sums
    assert sum(one.charge.n for one in entries) == 40
    assert day_of(0) == "1970-01-01"


def _race(path, cap, tries):
    ledger, spent = Ledger(path), 0
    for n in range(tries):
        amount = 3 + (os.getpid() + n) % 5
        got = ledger.draw(hold(), [], Wish(want=amount, least=amount), limits(cap, Scope.DAY))
        if got.held:
            spent += amount
            ledger.draw(hold(got.hold), [paid(amount)], Wish(over=True))
        elif got.hold:
            ledger.draw(hold(got.hold), [], Wish(over=True))
    ledger.close()
    return spent


def test_processes_side_by_side_stay_below_a_budget(tmp_path):
    path, cap = tmp_path / "ledger.sqlite3", 300
    Ledger(path).close()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        spent = sum(pool.starmap(_race, [(path, cap, 40)] * 4))
    assert cap - 7 <= spent <= cap
    assert Decimal(str(spent_today(path).spent_usd)) == Decimal(spent) / 1_000_000
