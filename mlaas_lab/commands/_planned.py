"""A plan as it is shown: the month at each target, break-even, the traffic, and what was assumed."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlaas_lab.schema import JSON
from mlaas_lab.view import Shown, View
from mlaas_lab.view.formats import count, number, seconds, usd

if TYPE_CHECKING:
    from mlaas_lab.planning.break_even import Estimate
    from mlaas_lab.planning.demand import Demand
    from mlaas_lab.planning.measured import Measured
    from mlaas_lab.planning.month import Machine, Month
    from mlaas_lab.planning.rivals import Rivals

FIRST_COME = (
    "Requests wait in one queue for the first place that is free, in the order in which they came; servers stay up all "
    "month. Every call is answered at its first try, and no input is read from a cache."
)
DRAWN = (
    "Times are drawn from measured answers; the time to the first token is taken to go with the input, the rest with "
    "the output. Token counts of the traffic are taken as every target's own."
)


@dataclass(frozen=True, kw_only=True)
class Planned(Shown):
    """What a month would be."""

    demand: "Demand"
    months: "Sequence[Month]"
    pairs: "Sequence[Rivals]"
    targets: "Sequence[Measured]"
    machine: "Machine"
    utilisation: float
    unlimited: Sequence[str]
    """Hosted targets of which no limit is known."""
    bound_s: float | None
    loads: Sequence[View] = ()
    """Load curves, for the page."""
    page: Path | None = None

    def views(self) -> list[View]:
        """All of it, for a page."""
        from mlaas_lab.panels import _break_even, _plan

        found = _break_even.view(self.pairs, utilisation=self.utilisation)
        plan = _plan.view(self.demand, self.months, self.assumed)
        return [plan, *([found] if found else []), _plan.traffic(self.demand), *self.loads]

    def view(self) -> View:
        """The same without the load curves, with the page's path if there is one."""
        first, *others = [one for one in self.views() if one not in self.loads]
        written = [f"Report: {self.page}"] if self.page else []
        return replace(first, notes=[*first.notes, *written], children=others)

    @property
    def assumed(self) -> list[str]:
        """What the figures stand on, each in a sentence."""
        said = [*self.demand.assumed, *self._of_servers(), *self._of_prices(), FIRST_COME, DRAWN, *self._few()]
        emulated = [one.name for one in self.targets if one.emulated]
        verb = "was" if len(emulated) == 1 else "were"
        here = f"Emulated: {', '.join(emulated)} {verb} answered on this machine, not by the vendor."
        return [*said, here] if emulated else said

    def _of_servers(self) -> list[str]:
        said = [
            f"{one.name}: a server answers {number(one.server.per_s.value)} a second{_limits(one.server.per_s)} with "
            f"{count(one.server.places)} requests at hand ({one.server.said})."
            for one in self.targets
            if one.server is not None
        ]
        if not any(one.own for one in self.targets):
            return said
        bound = "twice what it is where nobody waits" if self.bound_s is None else f"{seconds(self.bound_s)} (--p99-s)"
        return [*said, f"Servers are as few as keep the p99 within {bound}."]

    def _of_prices(self) -> list[str]:
        said = []
        machine = self.machine
        if machine.usd_per_hour is not None and any(one.own for one in self.targets):
            since = f", {machine.date}" if machine.date else ""
            hours = f", {machine.hours_per_day:g} hours a day"
            said.append(
                f"Machine: {machine.said} at {usd(machine.usd_per_hour)} an hour{hours} ({machine.source}{since})."
            )
        dated = dict.fromkeys((one.source, one.date) for one in self.months if one.source and not one.own)
        said += [f"Price source: {source}, on {date}." for source, date in dated]
        if self.unlimited:
            said.append(
                f"No rate limit of {', '.join(self.unlimited)} is known, and none applied; see --rpm and --tpm."
            )
        return said

    def _few(self) -> list[str]:
        from mlaas_lab.stats.intervals import fewest_for

        least = fewest_for(0.99)
        few = [f"{one.target} {count(one.n_measured)}" for one in self.months if one.times and one.n_measured < least]
        if not few:
            return []
        sized = " Servers are sized by what there is." if any(one.own and one.times for one in self.months) else ""
        return [f"A p99 needs {least} measured answers; there are of {', '.join(few)}, so none is shown.{sized}"]

    def as_json(self) -> JSON:
        """`{traffic, targets: [{target, usd, servers, p99_s, …}], break_even: […], machine, assumed, html}`."""
        return {
            "traffic": {
                "said": self.demand.said,
                "days": self.demand.days,
                "requests": self.demand.n,
                "per_day": self.demand.per_day,
                "peak_per_s": self.demand.peak_per_s,
            },
            "targets": [_month(one, self.demand) for one in self.months],
            "break_even": [_pair(one) for one in self.pairs],
            "machine": {
                "said": self.machine.said,
                "usd_per_hour": None if self.machine.usd_per_hour is None else float(self.machine.usd_per_hour),
                "source": self.machine.source,
                "date": self.machine.date,
                "hours_per_day": self.machine.hours_per_day,
                "utilisation": self.utilisation,
            },
            "assumed": list(self.assumed),
            "html": str(self.page) if self.page else None,
        }


def _limits(one: "Estimate") -> str:
    if one.low is None and one.high is None:
        return ""
    high = "more" if one.high is None else number(one.high)
    return f" ({'0' if one.low is None else number(one.low)} to {high})"


def _month(one: "Month", demand: "Demand") -> dict[str, JSON]:
    times = dict.fromkeys(("p50_s", "p99_s", "worst_day_p99_s")) if one.times is None else asdict(one.times)
    money = ("usd", "usd_low", "usd_high")
    plain = {name: getattr(one, name) for name in ("target", "own", *money, "servers", "waited", "idle", "n_measured")}
    return {
        **plain,
        **times,
        "usd_per_1000": None if one.usd is None else 1000 * one.usd / demand.n,
        "source": one.source,
        "date": one.date,
        "reasons": list(one.reasons),
        "beyond": list(one.beyond),
    }


def _pair(one: "Rivals") -> dict[str, JSON]:
    found = one.found
    always = found.always_from
    return {
        "own": one.own,
        "hosted": one.hosted,
        "metric": one.metric,
        "state": str(found.state),
        "requests_per_day": found.per_day,
        "low": found.low,
        "high": found.high,
        "always_from": always if always is not None and math.isfinite(always) else None,
        "most_per_day": None if one.most_per_day is None else asdict(one.most_per_day),
        "call_usd": None if one.call_usd is None else asdict(one.call_usd),
        "machine_usd_per_day": one.day_usd,
        "reason": found.reason or None,
    }
