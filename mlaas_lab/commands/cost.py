"""`cost`: what everything cost, by any column of the ledger, and how the budgets stand."""

import re
import time
from datetime import date

from pydantic import Field

from mlaas_lab.commands import Command
from mlaas_lab.commands._ledger import Costs
from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.ledger import Account, bury
from mlaas_lab.ledger.summing import By
from mlaas_lab.spec import Spec
from mlaas_lab.store.ledger import Ledger, day_of

DAY_S = 86_400


class Cost(Spec):
    """Show what everything cost so far, what is held for calls in flight, and how the budgets stand."""

    by: tuple[By, ...] = (By.KIND, By.TARGET)
    """Columns to add up by: any of kind, target, day, project, notebook and job."""
    since: str | None = None
    """From this UTC day on: `today`, `7d` or `2026-11-01`."""
    limit: int = Field(50, ge=0)
    """At most this many rows; 0 means all."""


def _run(args: Cost, lab: Lab) -> Costs:
    since = None if args.since is None else _day(args.since)
    path, account = lab.settings.ledger_path, Account(lab.settings)
    if not path.exists():
        return Costs(entries=(), holds=(), by=args.by, since=since, budgets=account.standings(), limit=args.limit)
    ledger = Ledger(path)
    try:
        bury(ledger)
        entries, holds = ledger.entries(since or ""), ledger.holds()
    finally:
        ledger.close()
    by = tuple(dict.fromkeys(args.by))
    held = [hold for hold in holds if hold.amount]
    return Costs(entries=entries, holds=held, by=by, since=since, budgets=account.standings(), limit=args.limit)


def _day(word: str) -> str:
    """The day that `word` names.

    Raises:
        UsageError: if it is none.
    """
    if word == "today":
        return day_of(time.time())
    if ago := re.fullmatch(r"([1-9]\d{0,3})d", word):
        return day_of(time.time() - (int(ago[1]) - 1) * DAY_S)
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError:
        raise UsageError(f"--since {word!r} is no day.", next="Write today, 7d or 2026-11-01.") from None


command = Command(
    args=Cost, run=_run, examples=("cost", "cost --by day,kind --since 7d", "cost --by project,job --since today")
)
