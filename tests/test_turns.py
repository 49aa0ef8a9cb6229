"""Jobs take turns on what the machine has: declared accelerators and threads, through real supervisors."""

import os
import signal

import pytest

from mlaas_lab import hardware, registry
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState

Toy = registry.load("task", "toy_long").spec


@pytest.fixture
def box(lab, monkeypatch) -> Lab:
    """A machine with one accelerator of 24 GiB, as the settings say."""
    monkeypatch.setenv("MLAAS_ACCELERATORS", "24GiB")
    return lab


def submit(lab: Lab, name: str, launch: dict[str, int] | None = None, **options: object) -> JobHandle:
    return lab.submit("toy_long", Toy(name=name, **options), force=True, launch=launch)


def running(handle: JobHandle, eventually) -> None:
    eventually(lambda: handle.state is JobState.RUNNING and "entry" in handle.job.handle, 30)


def waiting(handle: JobHandle, words: str, eventually) -> None:
    eventually(lambda: words in (handle.job.waiting or ""), 30)
    assert handle.state is JobState.QUEUED


def test_second_job_waits_says_for_whom_and_runs_when_it_can(box, eventually):
    first = submit(box, "first", gpu_gib=18.0, steps=4000, pause_s=0.05)
    running(first, eventually)
    small = submit(box, "small", gpu_gib=4.0, steps=1)
    assert small.result(30)["counted"] == 1, "both forecasts fit"
    second = submit(box, "second", gpu_gib=9.0, steps=1)
    waiting(
        second, f"waits for first ({first.id}), which holds 18.0 of 24.0 GiB of gpu:0; it needs 9.0 GiB", eventually
    )
    assert "waits for first" in str(second)
    assert "waits for first" in second.line()
    first.cancel()
    assert second.result(30)["counted"] == 1
    assert (second.folder.path / "visible-1").read_text() == "0"


def test_job_without_an_accelerator_sees_none(box):
    handle = submit(box, "blind", steps=1).wait(30)
    assert (handle.folder.path / "visible-1").read_text() == ""


def test_priority_goes_first_then_who_came_first(box, eventually):
    first = submit(box, "first", gpu_gib=24.0, steps=4000, pause_s=0.05)
    running(first, eventually)
    early = submit(box, "early", gpu_gib=20.0, steps=3, pause_s=0.05)
    waiting(early, "waits for first", eventually)
    late = submit(box, "late", gpu_gib=1.0, steps=3, pause_s=0.05)
    waiting(late, "waits for first", eventually)
    urgent = submit(box, "urgent", gpu_gib=24.0, steps=3, pause_s=0.05, launch={"priority": 5})
    waiting(urgent, "waits for first", eventually)
    first.cancel()
    for handle in (early, late, urgent):
        handle.wait(60)
    began = {handle.job.name: handle.job.started_at for handle in (early, late, urgent)}
    assert sorted(began, key=began.__getitem__) == ["urgent", "early", "late"]


def test_dead_holder_gives_back_what_it_held(box, eventually):
    first = submit(box, "first", gpu_gib=24.0, steps=40, pause_s=0.05)
    running(first, eventually)
    second = submit(box, "second", gpu_gib=24.0, steps=1)
    waiting(second, "waits for first", eventually)
    handle = box.store.job(first.id).handle
    os.kill(handle["pid"], signal.SIGKILL)
    # Nobody looks but the supervisor that waits: it finds the dead one, which then queues behind it.
    eventually(lambda: box.store.job(second.id).state is JobState.SUCCEEDED, 30)
    eventually(lambda: box.store.job(first.id).state is JobState.SUCCEEDED, 60)
    assert box.store.job(first.id).attempt == 2


def test_waiting_job_is_cancelled_at_once_and_survives_its_supervisor(box, eventually):
    first = submit(box, "first", gpu_gib=24.0, steps=4000, pause_s=0.05)
    running(first, eventually)
    second = submit(box, "second", gpu_gib=24.0, steps=1)
    waiting(second, "waits for first", eventually)
    os.kill(second.job.handle["pid"], signal.SIGKILL)
    eventually(lambda: second.job.attempt == 2 and second.job.waiting, 30)
    second.cancel()
    assert second.wait_end(12)
    assert second.state is JobState.CANCELLED


def test_need_that_can_never_be_met_fails_at_once(box):
    handle = submit(box, "huge", gpu_gib=100.0, steps=1)
    assert handle.wait_end(30)
    assert handle.job.error == "it needs about 100.0 GiB of an accelerator; the largest has 24.0."


def test_threads_are_leased_and_told_otherwise(box, eventually):
    n = hardware.threads()
    first = submit(box, "first", threads=n, steps=4000, pause_s=0.05)
    running(first, eventually)
    second = submit(box, "second", threads=n, steps=1)
    waiting(second, f"which holds {n} of {n} CPU threads", eventually)
    at_once = submit(box, "at once", threads=n, steps=1, launch={"cpus": 0})
    assert at_once.result(30)["counted"] == 1
    first.cancel()
    second.wait(30)
