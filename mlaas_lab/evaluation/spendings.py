"""What was spent since the ledger last heard of it, added up by what it was spent on: a few numbers, no row a call."""

from mlaas_lab.ledger import MICRO, Charge, Kind
from mlaas_lab.schema import Cost, Target

NOT_BILLED = ("rate_limited", "quota_exceeded", "auth_failed", "not_found", "cancelled", "cap_reached")
"""Refused before anything was processed: vendors' price pages say that 401, 404 and 429 are not charged."""
Item = tuple[str, str]
"""What a call is charged as: a Kind, and whom it asks."""


def item(kind: Kind, target: Target, name: str) -> Item | None:
    """What calls to `target` are charged as; None for what we serve ourselves, which sends no bill."""
    return None if target.provider is None else (str(kind), name)


class Spendings:
    """Sums by item and price; used on one loop."""

    def __init__(self) -> None:
        """Nothing was spent."""
        self._sums: dict[tuple[Item, str | None, str | None], list[int]] = {}
        self.taken: list[Charge] = []
        """For the ledger, and not yet known to be written there."""

    def __bool__(self) -> bool:
        return bool(self._sums or self.taken)

    def add(self, item: Item, paid: int, cost: Cost | None, *, known: bool) -> None:
        """A call that cost `paid` micro-dollars, or at most that where it is not `known`."""
        key = (item, cost.source, cost.date) if cost is not None else (item, None, None)
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = [0, 0, 0, 0, 0]
        sums[2] += 1
        if known:
            sums[0] += paid
            return
        sure = 0 if cost is None or cost.usd is None else int(cost.usd * MICRO)
        sums[0] += sure
        sums[1] += paid - sure
        sums[3 if paid > sure else 4] += 1

    def stopped(self, held: int) -> None:
        """Calls stopped in flight, for which so much was held."""
        if held:
            self.taken.append(Charge(kind=Kind.API, target="", unknown=held, n_unknown=1))

    def take(self) -> None:
        """Have all sums ready for the ledger; they stay so until that is `done`."""
        for (item, source, date), (spent, unknown, n, n_unknown, n_unpriced) in self._sums.items():
            self.taken.append(
                Charge(
                    kind=Kind(item[0]),
                    target=item[1],
                    source=source or "",
                    price_date=date or "",
                    spent=spent,
                    unknown=unknown,
                    n=n,
                    n_unknown=n_unknown,
                    n_unpriced=n_unpriced,
                )
            )
        self._sums = {}

    def done(self) -> None:
        """What was taken is written down."""
        self.taken = []
