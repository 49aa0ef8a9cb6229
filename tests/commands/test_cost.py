"""`cost`: the ledger by its columns, with what is held and what nobody knows."""

import json
import os
import time

import pytest

from mlaas_lab import registry
from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.processes import identity
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import read
from mlaas_lab.store.ledger import Ledger, day_of
from mlaas_lab.store.spending import Charge, Hold, Kind, Payer, Wish
from mlaas_lab.view import to_html, to_text

HERE = {"kind": Kind.API, "target": "", "amount": 0, "at": 0.0}
LISTED = {"source": "list", "price_date": "2026-11-01"}


@pytest.fixture
def cost(home):
    def cost(*words, **settings):
        command = registry.load("command", "cost")
        return command.run(read(command.args, list(words)), Lab(Preferences().flag(**settings)))

    return cost


@pytest.fixture
def ledger(settings):
    """Some days of two jobs."""
    ledger = Ledger(settings.ledger_path)
    one = Hold(id=0, payer=Payer(job="a", project="p", notebook="n.ipynb"), **HERE)
    other = Hold(id=0, payer=Payer(job="b", project="p"), **HERE)
    ledger.draw(one, [Charge(kind=Kind.API, target="openai/m", spent=1_500_000, n=3, **LISTED)], Wish(over=True))
    judged = Charge(kind=Kind.JUDGE, target="openai/j", spent=250_000, unknown=50_000, n=2, n_unknown=1, **LISTED)
    ledger.draw(other, [judged], Wish(over=True))
    ledger.draw(other, [Charge(kind=Kind.SERVING_IDLE, target="tiny", seconds=90, unpriced_s=90)], Wish(over=True))
    yield ledger
    ledger.close()


def test_without_a_ledger_it_says_what_to_do(cost):
    found = cost()
    text = to_text(found.view(), width=100)
    assert "Nothing was spent yet." in text
    assert "--max-usd" in text
    assert found.as_json()["rows"] == []


def test_sums_by_any_column(cost, ledger):
    found = cost("--by", "job").as_json()
    assert [(row["job"], row["spent_usd"], row["unknown_usd"]) for row in found["rows"]] == [
        ("a", 1.5, 0),
        ("b", 0.25, 0.05),
    ]
    assert (found["total"]["spent_usd"], found["total"]["at_least"]) == (1.75, True)
    rows = cost("--by", "kind,target,day,project,notebook,job").as_json()["rows"]
    assert {row["kind"] for row in rows} == {"api", "judge", "serving_idle"}
    assert {row["day"] for row in rows} == {day_of(time.time())}
    assert sum(row["n"] for row in rows) == 5
    assert json.dumps(rows)


def test_unknown_is_never_nothing(cost, ledger):
    (idle,) = [row for row in cost("--by", "kind").as_json()["rows"] if row["kind"] == "serving_idle"]
    assert (idle["spent_usd"], idle["seconds"]) == (None, 90)
    text = to_text(cost().view(), width=140)
    assert "unpriced" in text
    assert "usd_per_hour" in text
    assert "at least $1.75 spent, and up to $0.05 whose outcome is unknown." in text
    assert "list" in text
    assert "2026-11-01" in text


def test_what_is_held_is_shown_and_the_dead_are_charged(cost, ledger):
    alive = Hold(id=0, payer=Payer(job="c", project="q"), **{**HERE, "holder": identity(os.getpid())})
    dead = Hold(id=0, payer=Payer(job="d", project="q"), **{**HERE, "holder": {"pid": 2**22 + 1, "started": 0.0}})
    ledger.draw(alive, [], Wish(want=40_000))
    ledger.draw(dead, [], Wish(want=70_000))
    rows = {row["job"]: row for row in cost("--by", "job").as_json()["rows"]}
    assert (rows["c"]["held_usd"], rows["c"]["unknown_usd"]) == (0.04, 0)
    assert (rows["d"]["held_usd"], rows["d"]["unknown_usd"], rows["d"]["n_unknown"]) == (0, 0.07, 1)
    assert "$0.04 held for what is in flight" in to_text(cost().view(), width=100)


def test_budgets_stand_at_the_top(cost, ledger):
    found = cost(max_usd_per_day=5, max_usd_per_project=2, experiment="p")
    assert [(one["name"], one["spent_usd"], one["cap_usd"]) for one in found.as_json()["budgets"]] == [
        ("max_usd_per_day", 1.8, 5),
        ("max_usd_per_project", 1.8, 2),
    ]
    assert "$1.80 spent of $2.00 (p)" in to_text(found.view(), width=100)


def test_bars_are_stacked_by_kind(cost, ledger):
    html = to_html(cost().view())
    assert "held, or outcome unknown" in html
    assert html.count("<rect") == 3
    assert "training" not in html


@pytest.mark.parametrize(("word", "kept"), [("today", True), ("7d", True), ("2999-01-01", False)])
def test_since(cost, ledger, word, kept):
    assert bool(cost("--since", word).as_json()["rows"]) == kept


@pytest.mark.parametrize("words", [("--since", "yesterday"), ("--by", "colour"), ("--since", "99999d")])
def test_bad_words_are_one_line(cost, ledger, words):
    with pytest.raises(UsageError) as caught:
        cost(*words)
    assert "\n" not in str(caught.value)
