"""A machine is charged by time: training as such, a server's busy and idle seconds apart.

Every few seconds what has passed is written down, and what the next ones cost is held: a supervisor that dies leaves
that behind, and it is charged. An hour that nobody has a price for is counted without one. Time stops at no budget, but
counts in each. It knows no job's state but whether it works.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from decimal import ROUND_CEILING, Decimal

from mlaas_lab.errors import StoreError, UsageError
from mlaas_lab.ledger.account import Account
from mlaas_lab.schema import JSON, Cost
from mlaas_lab.settings import Settings
from mlaas_lab.store.spending import MICRO, Charge, Kind, Wish

TICK_S = 10.0
"""How often the ledger hears of it."""
WORKS = {"finetune": (Kind.TRAINING, Kind.TRAINING), "serve": (Kind.SERVING_BUSY, Kind.SERVING_IDLE)}
"""Task → what its time is while it works, and while it waits."""
OWN = "setting usd_per_hour"


class Hours:
    """The time of one job in this process; tasks that need no machine of their own cost nothing."""

    def __init__(self, settings: Settings, job: Mapping[str, JSON], *, tick_s: float = TICK_S) -> None:
        """`job` as in job.json; its time begins with `begin`."""
        self._kinds = WORKS.get(job["task"])
        self._settings, self._target, self._tick_s = settings, str(job["name"]), tick_s
        self._account = Account(settings, job=job["id"], kind=self._kinds[0] if self._kinds else Kind.API)
        self._hour = Cost(usd=None)
        self._passed: dict[Kind, float] = {}
        """In seconds, by kind, that the ledger has not heard of."""
        self._rest: dict[Kind, Decimal] = {}
        """Fractions of a micro-dollar that were charged ahead."""
        self._since: float | None = None
        self._told_at = 0.0
        self.busy = False
        """It works for somebody just now."""

    def begin(self, gpus: int | None) -> None:
        """The machine is used from now on, and so many of its accelerators; None: it is another machine.

        A price that cannot be found is none: no job ends for that.
        """
        if self._kinds is None:
            return
        if gpus is not None:
            with suppress(UsageError):
                self._hour = hour(self._settings, gpus=gpus, at=time.time())
        self._since = time.monotonic()
        self._tell(over=False)

    @property
    def price(self) -> dict[str, JSON]:
        """What an hour of it costs, and who says so; None where nobody knows."""
        known = self._hour.usd is not None
        return {"usd_per_hour": float(self._hour.usd or 0) if known else None, "price_source": self._hour.source}

    def go_on(self) -> None:
        """Count what has passed; the ledger hears of it every few seconds."""
        if self._kinds is None or self._since is None:
            return
        now = time.monotonic()
        kind = self._kinds[0] if self.busy else self._kinds[1]
        self._passed[kind] = self._passed.get(kind, 0.0) + now - self._since
        self._since = now
        if now - self._told_at >= self._tick_s:
            self._tell(over=False)

    def end(self) -> None:
        """The machine is free again."""
        if self._kinds is None or self._since is None:
            return
        self.go_on()
        self._tell(over=True)
        self._since = None
        self._account.rest()

    def _tell(self, *, over: bool) -> None:
        charges = [self._charge(kind, passed_s) for kind, passed_s in self._passed.items()]
        ahead = 0 if over or self._hour.usd is None else _micro(self._hour.usd, self._tick_s)
        self._told_at = time.monotonic()
        # A ledger that cannot be written ends no job; it hears of this the next time.
        with suppress(StoreError):
            self._account.draw([one for one, _ in charges], Wish(keep=ahead, want=ahead, over=over))
            self._rest |= {one.kind: rest for one, rest in charges}
            self._passed = {}

    def _charge(self, kind: Kind, passed_s: float) -> tuple[Charge, Decimal]:
        """What is to be written down, and what that is ahead of what passed."""
        if self._hour.usd is None:
            return Charge(kind=kind, target=self._target, seconds=passed_s, unpriced_s=passed_s), Decimal(0)
        exact = self._hour.usd * Decimal(passed_s) * MICRO / 3600 - self._rest.get(kind, Decimal(0))
        spent = max(0, int(exact.to_integral_value(ROUND_CEILING)))
        charge = Charge(
            kind=kind,
            target=self._target,
            source=self._hour.source or "",
            price_date=self._hour.date or "",
            seconds=passed_s,
            spent=spent,
        )
        return charge, spent - exact


def hour(settings: Settings, *, gpus: int, at: float) -> Cost:
    """What an hour of this machine costs: the user's own number, else the list's price of each accelerator in use.

    Raises:
        UsageError: if `rented_gpu` names none that is listed.
    """
    if settings.usd_per_hour is not None:
        return Cost(usd=settings.usd_per_hour, source=OWN)
    if not settings.rented_gpu:
        return Cost(usd=None)
    from mlaas_lab import pricing

    cloud, _, rest = settings.rented_gpu.partition("/")
    gpu, _, region = rest.partition("/")
    price = pricing.hourly(cloud, gpu, region or None, at, book=pricing.lists(settings))
    if price is None or price.usd is None:
        raise UsageError(
            f"rented_gpu = {settings.rented_gpu!r} has no price.", next=f"Listed: {', '.join(pricing.gpus(cloud))}."
        )
    return Cost(usd=price.usd * max(1, gpus), source=price.cited, date=price.since)


def _micro(usd_per_hour: Decimal, passed_s: float) -> int:
    return int((usd_per_hour * Decimal(passed_s) * MICRO / 3600).to_integral_value(ROUND_CEILING))
