"""What everything cost, as it is shown: budgets, one bar a day, and the ledger by its columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlaas_lab.ledger.account import name_of
from mlaas_lab.ledger.summing import By, Sum, summed, total
from mlaas_lab.schema import JSON
from mlaas_lab.store.spending import MICRO, Entry, Hold, Kind, Standing
from mlaas_lab.view import Bar, Bars, Column, Facts, Mark, Shown, Table, View
from mlaas_lab.view.formats import DASH, count, duration, usd

DAYS = 31
"""Bars at most: the last days on which anything was spent."""
OPEN = "held, or outcome unknown"
KINDS = {kind: str(kind).replace("_", " ") for kind in Kind}
EMULATED = "emulated: "
EMPTY = (
    "Every paid call of `ask`, `eval` and `load`, and the hours of `finetune` and `serve`, are written down here.",
    "A budget: `mlaas --set max_usd_per_day=5 eval …`, or for good in mlaas.toml; for one job `eval --max-usd 1`.",
)


@dataclass(frozen=True, kw_only=True)
class Costs(Shown):
    """The ledger, or a part of it."""

    entries: Sequence[Entry]
    holds: Sequence[Hold]
    by: tuple[By, ...]
    since: str | None
    budgets: Sequence[Standing]
    limit: int

    def view(self) -> View:
        """Budgets, days, and one row for each combination of `by`."""
        whole = total(self.entries, self.holds)
        since = f" since {self.since}" if self.since else ""
        marks: list[Mark] = [Facts(rows=[(name_of(one.limit.scope), _stands(one)) for one in self.budgets])]
        marks = marks if self.budgets else []
        if not self.entries and not self.holds:
            return View(title="Cost", summary=f"Nothing was spent{since or ' yet'}.", marks=marks, notes=EMPTY)
        rows = summed(self.entries, self.holds, self.by)
        return View(
            title="Cost",
            summary=f"{_amount(whole)} spent{since}{_besides(whole)}.",
            marks=[*marks, *_days(self.entries, self.holds)],
            table=_table(rows, self.by, self.limit, whole),
            notes=list(_notes(whole, left=len(rows) - self.limit if self.limit else 0)),
        )

    def as_json(self) -> JSON:
        """`{since, by, rows: [{kind, …, spent_usd, held_usd, unknown_usd, n, …}], total, budgets}`."""
        rows = summed(self.entries, self.holds, self.by)
        return {
            "since": self.since,
            "by": [str(one) for one in self.by],
            "rows": [
                {**dict(zip(map(str, self.by), key, strict=True)), **_as_json(found)} for key, found in rows.items()
            ],
            "total": _as_json(total(self.entries, self.holds)),
            "budgets": [_standing_as_json(one) for one in self.budgets],
        }


def _days(entries: Sequence[Entry], holds: Sequence[Hold]) -> Iterator[Mark]:
    """One bar a day, its parts the kinds."""
    by_day: dict[str, dict[str, Sum]] = {}
    for (day, kind), found in summed(entries, holds, (By.DAY, By.KIND)).items():
        by_day.setdefault(day, {})[kind] = found
    rows = []
    for day, kinds in list(by_day.items())[-DAYS:]:
        known = [kinds[kind].spent / MICRO if kind in kinds else 0.0 for kind in Kind]
        open_usd = sum(one.held + one.unknown for one in kinds.values()) / MICRO
        parts = [*known, open_usd]
        least = "at least " if any(one.at_least for one in kinds.values()) else ""
        rows.append(Bar(label=day, value=sum(parts), note=f"{least}{usd(sum(parts))}", parts=parts))
    if any(row.value for row in rows):
        yield Bars(title="By day", rows=rows, format=usd, parts=[*KINDS.values(), OPEN])


def _table(rows: Mapping[tuple[str, ...], Sum], by: Sequence[By], limit: int, whole: Sum) -> Table:
    several = len(rows) > 1 and bool(by)
    shown = [(_names(key, by), found) for key, found in list(rows.items())[: limit or None]]
    shown += [(["total", *[""] * (len(by) - 1)], whole)] if several else []
    timed, priced = bool(whole.seconds), bool(whole.sources)
    columns: list[Column | str] = [
        *(Column(title=str(one).capitalize(), wrap=one is By.TARGET) for one in by),
        *(Column(title=title, align="right") for title in ("Spent", "Held", "Unknown")),
        Column(title="Calls", align="right", format=count),
        *([Column(title="Machine", align="right", format=duration)] if timed else []),
    ]
    columns += [Column(title="Price from", wrap=True), "Valid on"] if priced else []
    lines = []
    for names, found in shown:
        lines.append(
            [
                *names,
                _amount(found),
                usd(found.held_usd),
                usd(found.unknown_usd),
                found.n or None,
                *([found.seconds or None] if timed else []),
                *([", ".join(sorted(found.sources)) or DASH, _dates(found)] if priced else []),
            ]
        )
    return Table(columns=columns, rows=lines)


def _names(key: Sequence[str], by: Sequence[By]) -> list[str]:
    """The values of a row's columns, in words."""
    nameless = {By.TARGET: "not known", By.NOTEBOOK: "none", By.JOB: "no job"}
    words = [KINDS[Kind(word)] if one is By.KIND else word for one, word in zip(by, key, strict=True)]
    return [word or nameless.get(one, "") for one, word in zip(by, words, strict=True)]


def _dates(found: Sum) -> str:
    days = sorted({day for some in found.sources.values() for day in some})
    return DASH if not days else days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _amount(found: Sum) -> str:
    if found.spent_usd is None:
        return "unpriced"
    return f"at least {usd(found.spent_usd)}" if found.at_least else usd(found.spent_usd)


def _besides(found: Sum) -> str:
    held = f", {usd(found.held_usd)} held for what is in flight" if found.held else ""
    return held + (f", and up to {usd(found.unknown_usd)} whose outcome is unknown" if found.unknown else "")


def _stands(one: Standing) -> str:
    held = f" and {usd(one.held / MICRO)} held" if one.held else ""
    return f"{usd(one.spent / MICRO)} spent{held} of {usd(one.limit.micro_usd / MICRO)} ({one.value or 'no notebook'})"


def _notes(whole: Sum, *, left: int) -> Iterator[str]:
    if left > 0:
        yield f"{count(left)} more rows: --limit 0 shows all."
    if whole.unknown:
        yield (
            f"Unknown: {count(whole.n_unknown)} × a call, or a process that died with calls in flight, may have been"
            " billed; each counts in every budget with the most that it may have been."
        )
    if whole.n_unpriced:
        yield f"Unpriced: {count(whole.n_unpriced)} calls or dead processes without a price are in no sum."
    if whole.unpriced_s:
        yield (
            f"Unpriced: {duration(whole.unpriced_s)} of machine time. Say what an hour costs: setting `usd_per_hour`."
        )
    if any(source.startswith(EMULATED) for source in whole.sources):
        yield "What was emulated on this machine is priced as if it were real; nobody bills it."


def _as_json(found: Sum) -> dict[str, JSON]:
    return {
        "spent_usd": found.spent_usd,
        "held_usd": found.held_usd,
        "unknown_usd": found.unknown_usd,
        "at_least": found.at_least,
        "n": found.n,
        "n_unknown": found.n_unknown,
        "n_unpriced": found.n_unpriced,
        "seconds": found.seconds,
        "unpriced_s": found.unpriced_s,
        "prices": {source: sorted(days) for source, days in sorted(found.sources.items())},
    }


def _standing_as_json(one: Standing) -> dict[str, JSON]:
    return {
        "name": name_of(one.limit.scope),
        "value": one.value,
        "cap_usd": one.limit.micro_usd / MICRO,
        "spent_usd": one.spent / MICRO,
        "held_usd": one.held / MICRO,
    }
