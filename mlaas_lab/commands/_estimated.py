"""An estimate as it is shown: one row a target, their sum, a machine beside them, and what each figure stands on."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlaas_lab.commands._estimating import Calls, Line, Machine, total
from mlaas_lab.commands._judged import Judged
from mlaas_lab.commands._pricing import amount
from mlaas_lab.schema import JSON
from mlaas_lab.view import Bar, Bars, Column, Mark, Shown, Table, View
from mlaas_lab.view.formats import DASH, count, usd


@dataclass(frozen=True, kw_only=True)
class Estimated(Shown):
    """What each target will cost."""

    what: str
    """What was asked for, in words."""
    lines: Sequence[Line]
    sizes: Sequence[Calls]
    days: int | None
    """Of traffic; None for an evaluation."""
    machine: Machine | None = None
    judges: Sequence[Judged] = ()
    notes: Sequence[str] = ()

    @property
    def n(self) -> int:
        """Calls of each target."""
        return sum(size.n for size in self.sizes)

    @property
    def unpriced(self) -> list[Line]:
        """Targets that no figure holds."""
        return [one for one in self.lines if one.reason]

    def view(self) -> View:
        """One row a target, their sum, and what each figure stands on."""
        marks: list[Mark] = []
        shown = [
            Bar(label=one.target, value=_float(_best(one)), note="unpriced" if one.reason else "") for one in self.lines
        ]
        shown += [Bar(label=self.machine.name, value=_float(self.machine.usd))] if self.machine else []
        if len(shown) > 1 and any(bar.value for bar in shown):
            marks.append(Bars(title=self._title, rows=shown, format=usd))
        table = self._traffic() if self.days else self._evaluation()
        return View(title="Estimate", summary=self.what, marks=marks, table=table, notes=self._notes())

    @property
    def _title(self) -> str:
        likely = all(one.likely is not None for one in self.lines if not one.reason)
        return f"Cost of {self.days} days" if self.days else "Likely cost" if likely else "At most"

    def as_json(self) -> JSON:
        """`{calls, targets: [{target, low_usd, likely_usd, high_usd, …}], total, unpriced, judges, machine}`."""
        whole = self._sum if self.lines else None
        return {
            "calls": self.n,
            "days": self.days,
            "targets": [_as_json(one) for one in self.lines],
            "total": {f"{end}_usd": _float(getattr(whole, end, None)) for end in ("low", "likely", "high")},
            "unpriced": [one.target for one in self.unpriced],
            "judges": [one.as_json() for one in self.judges],
            "machine": _machine_json(self.machine),
        }

    def _evaluation(self) -> Table:
        right = [Column(title=title, align="right") for title in ("Calls", "Low", "Likely", "High")]
        every = [*self.lines, self._sum] if len(self.lines) > 1 else self.lines
        rows = [(one.target, count(self.n), *(_told(one, x) for x in (one.low, one.likely, one.high))) for one in every]
        return Table(columns=[Column(title="Target", wrap=True), *right], rows=rows)

    def _traffic(self) -> Table:
        days = self.days or 1
        money = [Column(title=t, align="right", format=usd) for t in ("Per 1,000 requests", "A day", f"{days} days")]
        paid = [(one.target, one.likely) for one in self.lines]
        paid += [(self._sum.target, self._sum.likely)] if len(self.lines) > 1 else []
        paid += [(self.machine.name, self.machine.usd)] if self.machine else []
        rows = [(name, *((None,) * 3 if x is None else (1000 * x / self.n, x / days, x))) for name, x in paid]
        return Table(columns=[Column(title="Target", wrap=True), *money], rows=rows)

    @property
    def _sum(self) -> Line:
        """Of all targets with a price."""
        priced = [one for one in self.lines if not one.reason]
        return Line(
            target="all with a price" if self.unpriced else "all",
            low=total(one.low for one in priced),
            likely=total(one.likely for one in priced),
            high=total(one.high for one in priced),
            reason=None if priced else self.lines[0].reason,
        )

    def _notes(self) -> list[str]:
        said = [f"{one.target} is unpriced: {one.reason}" for one in self.unpriced]
        said += [*map(str, self.judges), *self.notes]
        if self.machine:
            price = self.machine.price
            said.append(
                f"{self.machine.name}: {amount(price)} an hour of one GPU in {price.region or 'every region'}"
                f" ({price.note}), {price.cited}, since {price.since}. How much traffic it bears, `load` measures."
            )
        dated = dict.fromkeys((one.source, one.date) for one in self.lines if one.source)
        return [*said, *(f"Source: {source}, on {date}." for source, date in dated)]


def _told(one: Line, value: Decimal | None) -> str:
    """An amount; what is not known without knowing the answers is a dash, and not unpriced."""
    return usd(value) if value is not None or one.reason else DASH


def _best(one: Line) -> Decimal | None:
    return one.likely if one.likely is not None else one.high


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _as_json(one: Line) -> dict[str, JSON]:
    return {
        "target": one.target,
        "low_usd": _float(one.low),
        "likely_usd": _float(one.likely),
        "high_usd": _float(one.high),
        "source": one.source,
        "date": one.date,
        "reason": str(one.reason) if one.reason else None,
    }


def _machine_json(machine: Machine | None) -> JSON:
    if machine is None:
        return None
    price = machine.price
    return {
        "name": machine.name,
        "usd": _float(machine.usd),
        "hourly_usd": _float(price.usd),
        "gpus": machine.gpus,
        "hours": float(machine.hours),
        "region": price.region,
        "source": price.source,
        "since": price.since,
        "note": price.note,
    }
