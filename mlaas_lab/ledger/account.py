"""Where one job or command holds money before it spends it, under every budget that the settings name.

It knows amounts and who is asked; when to hold and how much is its caller's affair.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import replace

from mlaas_lab.errors import UsageError
from mlaas_lab.ledger.dead import bury
from mlaas_lab.processes import identity
from mlaas_lab.settings import Settings
from mlaas_lab.store.ledger import Ledger
from mlaas_lab.store.spending import MICRO, Charge, Drawn, Hold, Kind, Limit, Payer, Scope, Standing, Wish
from mlaas_lab.view.formats import usd

LOOK_S = 1.0
"""How often somebody who waits for room looks for holders that died."""


class Account:
    """The account of one job, in this process; opened by the first use, one thread at a time."""

    def __init__(self, settings: Settings, *, job: str = "", kind: Kind = Kind.API) -> None:
        """What dies in flight is charged as `kind`; without `job` it is a command's."""
        named = {Scope.DAY: settings.max_usd_per_day, Scope.PROJECT: settings.max_usd_per_project}
        named[Scope.NOTEBOOK] = settings.max_usd_per_notebook
        self.limits = tuple(Limit(scope=one, micro_usd=int(cap * MICRO)) for one, cap in named.items() if cap)
        """The budgets above it."""
        payer = Payer(job=job, project=settings.experiment, notebook=settings.notebook)
        self._hold = Hold(id=0, payer=payer, kind=kind, target="", amount=0, at=0.0)
        self._path = settings.ledger_path
        self._ledger: Ledger | None = None
        self._looked_at = 0.0

    @property
    def needs_prices(self) -> str:
        """The budget for which every call must have a price; empty: none."""
        return name_of(self.limits[0].scope) if self.limits else ""

    def left(self) -> int | None:
        """What the budgets leave to be spent, in micro-dollars, if nobody else held anything; None: they do not end it.

        Raises:
            UsageError: if one of them is used up.
            StoreError: if the ledger cannot be used.
        """
        if not self.limits:
            return None
        bury(self._opened())
        found = self._opened().standings(self._hold.payer, self.limits)
        tightest = min(found, key=room)
        if room(tightest) <= 0:
            raise UsageError(f"{told(tightest)}.", next=next_step(tightest))
        return room(tightest)

    def tightest(self) -> Standing | None:
        """The budget that leaves the least; None without any.

        Raises:
            StoreError: if the ledger cannot be used.
        """
        return min(self.standings(), key=room, default=None)

    def standings(self) -> list[Standing]:
        """How all budgets above it stand.

        Raises:
            StoreError: if the ledger cannot be used.
        """
        if not self.limits:
            return []
        try:
            return self._opened().standings(self._hold.payer, self.limits)
        finally:
            self.rest()

    def draw(self, charges: Iterable[Charge], wish: Wish) -> Drawn:
        """Write down what was spent, and hold what is wished for; where there is no room, the dead are looked for.

        Raises:
            StoreError: if the ledger cannot be used; then nothing was written.
        """
        drawn = self._drawn(charges, wish)
        if drawn.held < wish.least and time.monotonic() - self._looked_at > LOOK_S:
            self._looked_at = time.monotonic()
            if bury(self._opened()):
                drawn = self._drawn((), wish)
        return drawn

    def rest(self) -> None:
        """Give the file back until the next use."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _drawn(self, charges: Iterable[Charge], wish: Wish) -> Drawn:
        if not self._hold.holder:
            self._hold = replace(self._hold, holder=identity(os.getpid()))
        drawn = self._opened().draw(self._hold, charges, wish, self.limits)
        self._hold = replace(self._hold, id=drawn.hold or 0)
        return drawn

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger(self._path)
        return self._ledger


def name_of(scope: Scope) -> str:
    """The setting, or the option, of a budget for `scope`."""
    return "--max-usd" if scope is Scope.JOB else f"max_usd_per_{scope}"


def room(one: Standing) -> int:
    """What a budget leaves if nobody holds anything, in micro-dollars."""
    return one.limit.micro_usd - one.spent


def told(one: Standing) -> str:
    """How a budget stands, in a sentence without its full stop."""
    held = f" and {usd(one.held / MICRO)} held" if one.held else ""
    whose = {Scope.DAY: f"on {one.value} (UTC)", Scope.PROJECT: f"by project {one.value!r}"}
    whose |= {Scope.NOTEBOOK: f"by notebook {one.value!r}" if one.value else "outside of notebooks"}
    where = whose.get(one.limit.scope, f"by job {one.value}")
    return (
        f"the budget {name_of(one.limit.scope)} leaves no room: {usd(one.spent / MICRO)} spent{held}"
        f" of {usd(one.limit.micro_usd / MICRO)} {where}"
    )


def next_step(one: Standing) -> str:
    """What to do about a budget without room."""
    return f"`cost --by job` says on what; `config` says where {name_of(one.limit.scope)} is set."
