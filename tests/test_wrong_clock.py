"""A worker whose wall clock is wrong, and is set while it works; the reader's clock is right, as are all other clocks.

Real processes: a library between them and libc says another time. It is compiled here, so this is the long tier's.
libfaketime will not do: under it Python's waits, which go by the monotonic clock, fail or last for hours.
"""

import subprocess
import time
from pathlib import Path

import pytest

from mlaas_lab import processes, registry
from mlaas_lab.schema import JobState
from mlaas_lab.view.job import took_s

Toy = registry.load("task", "toy_long").spec
SOURCE = Path(__file__).parent / "faults" / "wrong_clock.c"
STEPS = 60
HOUR_S, DAY_S = 3_600, 86_400

pytestmark = pytest.mark.long


@pytest.fixture
def skewed(tmp_path, monkeypatch):
    """Sets the clock of every process that is started from now on, and of those that run; in seconds."""
    library, offset = tmp_path / "wrong_clock.so", tmp_path / "offset"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, SOURCE], check=True)

    def set_to(offset_s: int) -> None:
        new = offset.with_suffix(".new")
        new.write_text(str(offset_s))
        new.rename(offset)

    set_to(0)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("WRONG_CLOCK", str(offset))
    return set_to


def told_at(handle):
    """When the entry says that each of its steps was, by its own clock."""
    return [line["at"] for _, line in handle.folder.events_from() if line["event"] == "metrics"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(0, HOUR_S), (0, -HOUR_S), (HOUR_S, -HOUR_S), (DAY_S, -DAY_S), (-DAY_S, DAY_S)],
    ids=["an hour on", "an hour back", "two hours back", "two days back", "two days on"],
)
def test_a_wrong_clock_that_is_set_while_a_job_runs(lab, eventually, skewed, before, after):
    skewed(before)
    handle = lab.submit("toy_long", Toy(steps=STEPS, pause_s=0.1))
    eventually(lambda: handle.job.progress is not None and handle.job.progress.n >= 10, 60)
    entry = processes.find(handle.job.handle["entry"])
    assert entry is not None
    skewed(after)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        lab.jobs.refresh()
        assert handle.state is JobState.RUNNING, "a job was taken from a living worker because of a clock"
        time.sleep(0.1)
    assert handle.result(120) == {"counted": STEPS, "attempt": 1}
    steps = [line["step"] for _, line in handle.folder.events_from() if line["event"] == "metrics"]
    assert steps == list(range(STEPS))
    assert took_s(handle.job) >= 0
    times = told_at(handle)
    # The control: the clock really was wrong, and really was set.
    assert times[-1] - times[0] == pytest.approx(after - before, abs=60)
    assert times[-1] - time.time() == pytest.approx(after, abs=60)
