"""`ask` pays too: its calls are in the ledger, and no budget is passed."""

import pytest
from emulated import emulated, target
from made_spending import micro_usd, spent

from mlaas_lab import registry
from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import read


@pytest.fixture
def ask(home):
    def ask(*words, **settings):
        command = registry.load("command", "ask")
        return command.run(read(command.args, list(words)), Lab(Preferences().flag(**settings)))

    return ask


def gpt(server):
    return target(server, "openai", model="gpt-4o")


def test_what_it_cost_is_the_vendors_bill(ask, settings):
    with emulated("openai") as server:
        ask("where is my card?", "--targets", gpt(server), "--repeat", "3")
    assert len(server.ledger) == 3
    assert spent(settings) == (micro_usd(server), 0)


def test_what_is_free_costs_nothing(ask, settings):
    ask("hello", "--targets", "echo/a", max_usd_per_day="0.000001")
    assert spent(settings) == (0, 0)


def test_a_budget_without_room_stops_it_before_anybody_is_asked(ask, settings):
    with emulated("openai") as server:
        with pytest.raises(
            UsageError, match=r"max_usd_per_day leaves no room: \$0 spent of \$0.001 .* may cost"
        ) as one:
            ask("hello", "--targets", gpt(server), max_usd_per_day="0.001")
        assert not server.ledger
        ask("hello", "--targets", gpt(server), "--max-tokens", "5", max_usd_per_day="0.01")
        assert len(server.ledger) == 1
    assert "\n" not in str(one.value)
    assert spent(settings) == (micro_usd(server), 0)


def test_a_budget_needs_prices(ask):
    with emulated("openai") as server, pytest.raises(UsageError, match="max_usd_per_notebook needs a price"):
        ask("hello", "--targets", target(server, "openai", model="nobody-knows"), max_usd_per_notebook=1)
    assert not server.ledger


def test_a_used_up_budget_is_one_line(ask):
    with emulated("openai") as server:
        ask("hello", "--targets", gpt(server), "--max-tokens", "5", experiment="p")
        with pytest.raises(UsageError, match=r"leaves no room: \$0.\d+ spent of \$0.00001 by project 'p'"):
            ask("hello", "--targets", gpt(server), experiment="p", max_usd_per_project="0.00001")
        assert len(server.ledger) == 1
