"""What `ask` spends: held under every budget before anybody is asked, and in the ledger afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlaas_lab import pricing
from mlaas_lab.commands._answers import Asked
from mlaas_lab.errors import StoreError, UsageError, one_line
from mlaas_lab.evaluation import metering
from mlaas_lab.evaluation.metering import Meter
from mlaas_lab.evaluation.spendings import Item, Spendings, item
from mlaas_lab.ledger import MICRO, Account, Kind
from mlaas_lab.ledger.account import next_step, told
from mlaas_lab.schema import Message
from mlaas_lab.settings import Settings
from mlaas_lab.store.spending import Wish
from mlaas_lab.view.formats import usd

if TYPE_CHECKING:
    from mlaas_lab.inference import Params, Route


@dataclass(frozen=True, kw_only=True)
class Call:
    """One answer that is asked for."""

    row: Asked
    route: "Route"
    messages: Sequence[Message]


class Paying:
    """The money of some calls; what we serve ourselves sends no bill, and is none of its business."""

    def __init__(
        self, calls: Sequence[Call], params: "Params", *, retries: int, book: pricing.Lists, settings: Settings
    ) -> None:
        """Hold what they may cost, if there is a budget.

        Raises:
            UsageError: if a budget has no room for them, or somebody has no price.
            StoreError: if there is a budget, and the ledger cannot be used.
        """
        self._account = Account(settings)
        self._calls: list[tuple[Call, Item, Meter, int]] = []
        for call in calls:
            if charged := item(Kind.API, call.route.target, call.row.target):
                meter = Meter(call.route, params, retries=retries, book=book)
                if why := self._account.needs_prices:
                    metering.check([call.route], params, book=book, why=why)
                most = meter.most(call.messages) if why else 0
                self._calls.append((call, charged, meter, most))
        if self._account.limits and self._calls:
            self._hold(sum(most for *_, most in self._calls))

    def settle(self) -> str | None:
        """Write down what they cost; why that was not possible, if so. What was stopped in flight may be billed."""
        spendings = Spendings()
        for call, charged, meter, most in self._calls:
            row = call.row
            paid, known = meter.paid(most, row.attempts, row.cost) if row.over else (most, False)
            spendings.add(charged, paid, row.cost, known=known)
        if not self._calls:
            return None
        spendings.take()
        try:
            self._account.draw(spendings.taken, Wish(over=True))
        except StoreError as error:
            return f"What this cost is not in the ledger. {one_line(error)}"
        finally:
            self._account.rest()
        return None

    def _hold(self, most: int) -> None:
        self._account.left()
        drawn = self._account.draw((), Wish(want=most, least=most))
        if drawn.held < most and drawn.tightest is not None:
            self._account.draw((), Wish(over=True))
            raise UsageError(
                f"{told(drawn.tightest)}, and this may cost {usd(most / MICRO)}.", next=next_step(drawn.tightest)
            )
