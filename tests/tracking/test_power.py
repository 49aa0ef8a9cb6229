"""The power fails while a job is delivered: what MLflow was told is on the disk, so nothing is lost or doubled."""

import os
from collections import Counter

import pytest
from folder_power import PoweredFolder, PowerFailure

from mlaas_lab.context import Context
from mlaas_lab.schema import JobState
from mlaas_lab.store import folder as store_folder
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.tracking import delivery as delivery_module
from mlaas_lab.tracking.delivery import Delivery

KEPT, CAME_TO, STEPS = 5, 15, 25
"""The last checkpoint, what was first delivered after it, and how far the job goes."""


@pytest.fixture
def broken_promises(job, local, curves, measured, monkeypatch):
    """What is lost or doubled in MLflow after the power failed before sync number `at`, and the job went on."""
    monkeypatch.setattr(delivery_module, "BATCH", 10)

    def take(folder: JobFolder, attempt: int, first: int, last: int) -> None:
        context = Context(folder, local, job_id=folder.path.name, name="clinc", attempt=attempt)
        for step in range(first, last):
            context.log(step, loss=1 / (step + 1))

    def run(name: str, at: int) -> tuple[int, int, bool]:
        folder = job(name)
        take(folder, 1, 0, KEPT)
        with monkeypatch.context() as here:
            power = PoweredFolder(folder.path, here)  # the checkpoint has settled what came before
            take(folder, 1, KEPT, CAME_TO)
            power.fails_at = at
            failed = False
            try:
                Delivery(folder, local).drain()
                take(folder, 1, CAME_TO, STEPS)
                write_json(folder.outcome, {"metrics": {"final": 0.5}})
                Delivery(folder, local).finish(JobState.SUCCEEDED)
            except PowerFailure:
                failed = True
            power.fail()
        (folder.path / ".delivery.lock").unlink(missing_ok=True)
        job(name, attempt=2)
        take(folder, 2, KEPT, STEPS)
        write_json(folder.outcome, {"metrics": {"final": 0.5}})
        done = Delivery(folder, local).finish(JobState.SUCCEEDED)
        found = Counter(row for row in curves(done.run_id, local))
        said = Counter(measured(folder))
        finals = sum(n for row, n in found.items() if row[0] == "final")
        found = Counter({row: n for row, n in found.items() if row[0] != "final"})
        return (said - found).total(), (found - said).total() + finals - 1, failed

    return run


def test_power_failure_before_any_sync_loses_and_doubles_nothing(broken_promises):
    at, failed = 0, True
    while failed:
        at += 1
        lost, doubled, failed = broken_promises(f"at-{at}", at)
        assert (lost, doubled) == (0, 0), f"power failed before sync {at}"
    assert at > 15


def test_control_lines_that_are_sent_before_they_are_safe(broken_promises, monkeypatch):
    monkeypatch.setattr(delivery_module, "settle", lambda _folder: None)
    found = [broken_promises(f"unsettled-{at}", at)[:2] for at in (9, 13)]
    assert sum(lost for lost, _ in found) > 0, "the offset passed over lines that came later"
    assert sum(doubled for _, doubled in found) > 0, "steps were measured again, at another time"


def test_control_a_rename_that_is_not_synced(broken_promises, monkeypatch):
    monkeypatch.setattr(store_folder, "settle", lambda path: None)
    doubled = [broken_promises(f"unnamed-{at}", at)[1] for at in range(12, 22)]
    assert sum(doubled) > 0, "the time of the end was forgotten after it was sent"


def test_delivery_syncs_once_a_batch(job, log, local, monkeypatch):
    folder = job("cost")
    log(folder, 0, 500)
    delivery = Delivery(folder, local)
    delivery.start()
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle) or real(handle))
    delivery.drain()
    assert len(synced) == 4, "lines, names, what was delivered, its name"
