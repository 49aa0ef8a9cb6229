"""What everything cost, and what is held for what is in flight: an SQLite file of its own, in whole micro-dollars.

Looking whether budgets have room and taking it are one transaction, so that budgets hold among any number of processes.
Nothing that was held is freed because its holder is gone: it is charged, with its outcome unknown. The status bar asks
`spent_today(settings.ledger_path)`, which opens nothing for writing. It knows no price, no vendor and no process.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlaas_lab.store.connection import Database
from mlaas_lab.store.failures import explained
from mlaas_lab.store.migrations import Migration
from mlaas_lab.store.spending import MICRO, Charge, Drawn, Entry, Hold, Kind, Limit, Payer, Scope, Standing, Wish

__all__ = ["MICRO", "TABLES", "Ledger", "Today", "day_of", "spent_today"]


@dataclass(frozen=True, kw_only=True)
class Today:
    """What a day has cost so far."""

    spent_usd: float
    """With what may have been billed."""
    held_usd: float
    """For what is in flight."""
    at_least: bool
    """Something has no price: the sum is a lower bound."""


TABLES: list[Migration] = []
COLUMNS = tuple(Charge.__dataclass_fields__)
SUMS = COLUMNS[4:]
"""What is added up; the others say on what."""
KEY = ("day", "job", "project", "notebook", *COLUMNS[:4])


@TABLES.append
def _tables(db: sqlite3.Connection) -> None:
    """`totals` is what `entries` add up to by scope, so that no budget has to read them all."""
    db.execute(
        """create table entries (
            day text not null, job text not null, project text not null, notebook text not null, kind text not null,
            target text not null, source text not null, price_date text not null, spent integer not null,
            unknown integer not null, n integer not null, n_unknown integer not null, n_unpriced integer not null,
            seconds real not null, unpriced_s real not null,
            primary key (day, job, project, notebook, kind, target, source, price_date)
        ) strict, without rowid"""
    )
    db.execute(
        """create table totals (
            scope text not null, value text not null, micro_usd integer not null, primary key (scope, value)
        ) strict, without rowid"""
    )
    db.execute(
        """create table holds (
            id integer primary key autoincrement, job text not null, project text not null, notebook text not null,
            kind text not null, target text not null, amount integer not null, at real not null, holder text not null
        ) strict"""
    )


class Ledger:
    """The SQLite file; safe to share between threads, and between processes that each open it."""

    def __init__(self, path: Path) -> None:
        """Open or create the ledger at `path`.

        Raises:
            StoreError: if it cannot be used.
        """
        self._db = Database(path, TABLES)

    def close(self) -> None:
        """Give the file back."""
        self._db.close()

    def draw(self, hold: Hold, charges: Iterable[Charge], wish: Wish, limits: Sequence[Limit] = ()) -> Drawn:
        """Write down what was spent, and hold what is wished for as far as every budget has room; all or nothing of it.

        What is held counts for the day that it is, what is spent for the day on which that is written down.

        Args:
            hold: who, and its id; 0: nothing is held yet.
            charges: since the last time.
            wish: from now on.
            limits: the budgets that apply.
        """
        now = time.time()
        with self._db.write() as db:
            for charge in charges:
                _add(db, day_of(now), hold.payer, charge)
            found = [_standing(db, limit, hold, now) for limit in limits]
            room = min((one.limit.micro_usd - one.spent - one.held for one in found), default=None)
            amount = wish.want if room is None else min(wish.want, room)
            amount = max(wish.keep, wish.keep if amount < wish.least else amount)
            kept = _hold(db, hold, 0 if wish.over else amount, now, over=wish.over)
        return Drawn(
            hold=kept,
            held=0 if wish.over else amount,
            room=room,
            possible=min((one.limit.micro_usd - one.spent for one in found), default=None),
            tightest=min(found, key=lambda one: one.limit.micro_usd - one.spent - one.held, default=None),
        )

    def standings(self, payer: Payer, limits: Sequence[Limit]) -> list[Standing]:
        """How these budgets of `payer` stand."""
        who, now = Hold(id=0, payer=payer, kind=Kind.API, target="", amount=0, at=0), time.time()
        with self._db.write() as db:
            return [_standing(db, limit, who, now) for limit in limits]

    def holds(self) -> list[Hold]:
        """All that is held."""
        return [_read_hold(row) for row in self._db.read("select * from holds order by id")]

    def bury(self, dead: Iterable[Hold]) -> int:
        """Charge what the dead held, as they were last seen, unless somebody did already; how many there were."""
        n = 0
        with self._db.write() as db:
            for hold in dead:
                # One that was changed since it was seen has an owner.
                gone = db.execute("delete from holds where id=? and at=? and amount=?", (hold.id, hold.at, hold.amount))
                if gone.rowcount:
                    known = bool(hold.amount)
                    left = Charge(
                        kind=hold.kind, target=hold.target, unknown=hold.amount, n_unknown=known, n_unpriced=not known
                    )
                    _add(db, day_of(hold.at), hold.payer, left)
                    n += 1
        return n

    def entries(self, since: str = "") -> list[Entry]:
        """What was spent from day `since` (YYYY-MM-DD) on, the oldest first."""
        rows = self._db.read("select * from entries where day>=? order by day, job, kind, target", since)
        return [_entry(row) for row in rows]


def day_of(at: float) -> str:
    """The UTC day of `at`, as YYYY-MM-DD."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def spent_today(path: Path) -> Today:
    """What this UTC day has cost so far, by the ledger at `path`; the cap is setting `max_usd_per_day`.

    One look of about a millisecond, which writes nothing; where there is no ledger yet, nothing was spent.

    Raises:
        StoreError: if it cannot be read.
    """
    if not path.exists():
        return Today(spent_usd=0.0, held_usd=0.0, at_least=False)
    sql = """select (select coalesce(sum(micro_usd), 0) from totals where scope='day' and value=?1),
        (select coalesce(sum(amount), 0) from holds),
        exists (select 1 from entries where day=?1 and (n_unpriced or unpriced_s))"""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=1)) as db:
            spent, held, open_ended = db.execute(sql, (day_of(time.time()),)).fetchone()
    except sqlite3.Error as error:
        raise explained(error, path) from error
    return Today(spent_usd=spent / MICRO, held_usd=held / MICRO, at_least=bool(open_ended))


def _add(db: sqlite3.Connection, day: str, payer: Payer, charge: Charge) -> None:
    names = (*KEY, *SUMS)
    marks, sums = ",".join("?" * len(names)), ",".join(f"{name}={name}+excluded.{name}" for name in SUMS)
    sql = f"insert into entries ({','.join(names)}) values ({marks}) on conflict do update set {sums}"  # noqa: S608
    values = {"day": day, **vars(payer), **vars(charge)}
    db.execute(sql, [values[name] for name in names])
    db.executemany(
        "insert into totals values (?,?,?) on conflict do update set micro_usd=micro_usd+excluded.micro_usd",
        [(scope, payer.of(scope, day), charge.spent + charge.unknown) for scope in Scope],
    )


def _standing(db: sqlite3.Connection, limit: Limit, hold: Hold, now: float) -> Standing:
    """How a budget stands for `hold`, whose own amount is not counted."""
    value = hold.payer.of(limit.scope, day_of(now))
    # What is held may be spent today, whenever it was taken.
    which, values = ("1", ()) if limit.scope is Scope.DAY else (f"{limit.scope}=?", (value,))
    (held,) = db.execute(
        f"select coalesce(sum(amount), 0) from holds where id<>? and {which}",  # noqa: S608 - a name of ours
        (hold.id, *values),
    ).fetchone()
    spent = db.execute("select micro_usd from totals where scope=? and value=?", (limit.scope, value)).fetchone()
    return Standing(limit=limit, value=value, spent=spent[0] if spent else 0, held=held)


def _hold(db: sqlite3.Connection, hold: Hold, amount: int, now: float, *, over: bool) -> int | None:
    """Write what is held from now on."""
    if over:
        db.execute("delete from holds where id=?", (hold.id,))
        return None
    if db.execute("update holds set amount=?, at=? where id=?", (amount, now, hold.id)).rowcount:
        return hold.id
    payer = hold.payer
    values = (payer.job, payer.project, payer.notebook, hold.kind, hold.target, amount, now, json.dumps(hold.holder))
    sql = "insert into holds (job, project, notebook, kind, target, amount, at, holder) values (?,?,?,?,?,?,?,?)"
    return db.execute(sql, values).lastrowid


def _payer(row: sqlite3.Row) -> Payer:
    return Payer(job=row["job"], project=row["project"], notebook=row["notebook"])


def _read_hold(row: sqlite3.Row) -> Hold:
    known: dict[str, Any] = {name: row[name] for name in ("id", "target", "amount", "at")}
    return Hold(payer=_payer(row), kind=Kind(row["kind"]), holder=json.loads(row["holder"]), **known)


def _entry(row: sqlite3.Row) -> Entry:
    known: dict[str, Any] = {name: row[name] for name in COLUMNS}
    return Entry(day=row["day"], payer=_payer(row), charge=Charge(**{**known, "kind": Kind(row["kind"])}))
