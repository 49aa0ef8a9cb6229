"""Evaluations as processes of their own that spend at one vendor, under budgets that they share.

with emulated("openai") as server:
    spend(server, settings, tmp_path, processes=4, calls=20, micro_usd=5_000)
"""

import json
import multiprocessing
import time
from decimal import Decimal
from pathlib import Path

from emulated import target

from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.ledger import Ledger
from mlaas_lab.tasks.eval import Eval

TOLERATED_S = 240.0
HASTY = """
from dataclasses import replace
from mlaas_lab.store.ledger import Ledger
_draw = Ledger.draw
def draw(self, hold, charges, wish, limits=()):
    import time
    found = self.standings(hold.payer, limits)
    rooms = [one.limit.micro_usd - one.spent - one.held for one in found]
    time.sleep(0.3)
    want = min([wish.want, *rooms])
    wish = replace(wish, want=max(wish.keep, wish.keep if want < wish.least else want), least=0)
    drawn = _draw(self, hold, charges, wish, ())
    return replace(drawn, possible=min((one.limit.micro_usd - one.spent for one in found), default=None))
Ledger.draw = draw
"""
"""Looks whether there is room, and takes it in another transaction."""
FORGETFUL = """
from mlaas_lab.store.ledger import Ledger
def bury(self, dead):
    with self._db.write() as db:
        return sum(db.execute("delete from holds where id=?", (hold.id,)).rowcount for hold in dead)
Ledger.bury = bury
"""
"""Frees what the dead held."""


def micro_usd(server) -> int:
    """What a vendor bills by its own ledger, at gpt-4o's prices; each call rounded up, as prices are."""
    return sum(-(-(one.input_tokens * 25 + one.output_tokens * 100) // 10) for one in server.ledger)


def entries(settings) -> list:
    """All of our ledger; whoever died is charged first."""
    from mlaas_lab.ledger import bury

    ledger = Ledger(settings.ledger_path)
    try:
        bury(ledger)
        assert ledger.holds() == []
        return ledger.entries()
    finally:
        ledger.close()


def spent(settings) -> tuple[int, int]:
    """What our ledger knows to be spent, and what it does not know, in micro-dollars."""
    found = [one.charge for one in entries(settings)]
    return sum(one.spent for one in found), sum(one.unknown for one in found)


def spend(server, settings, folder: Path, *, processes: int, calls: int, kill: int = 0, sabotage: str = "") -> None:
    """Run `processes` evaluations of `calls` questions each, and `kill` so many of them while they spend."""
    data = folder / "rows.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": f"question {i} " + "word " * (5 + i % 40)}]} for i in range(calls)
    ]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    spec = build(
        Eval,
        {"data": data, "targets": (target(server, "openai", model="gpt-4o"),), "metrics": ("length_words",)}
        | {"max_tokens": 40, "concurrency": 8, "retries": 0},
    )
    there = multiprocessing.get_context("forkserver")
    there.set_forkserver_preload(["made_spending", "mlaas_lab.evaluation.run"])
    first = sum(1 for _ in folder.glob("job-*"))
    started = []
    for n in range(first, first + processes):
        job = JobFolder(folder / f"job-{n}")
        job.path.mkdir()
        asked = {"id": f"job-{n}", "task": "eval", "name": "rows", "spec": spec.model_dump(mode="json"), "attempt": 1}
        job.job.write_text(json.dumps({**asked, "settings": settings.model_dump(mode="json")}))
        started.append(there.Process(target=_job, args=(str(job.path), sabotage)))
    seen = len(server.ledger)
    for process in started:
        process.start()
    deadline = time.monotonic() + TOLERATED_S
    for place, process in enumerate(started[:kill]):
        while len(server.ledger) < seen + 5 * (place + 1) and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
    for process in started:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            raise AssertionError("a process did not end")


def _job(path: str, sabotage: str) -> None:
    from mlaas_lab.context import main

    exec(sabotage, {})
    main(path)


def with_budget(settings, **caps: int):
    """The settings with budgets in micro-dollars."""
    return settings.model_copy(update={name: Decimal(cap) / 1_000_000 for name, cap in caps.items()})
