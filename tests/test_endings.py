"""How an entry ended is told from outside, out-of-memory in all its voices too, and answered once."""

import os
import signal
from pathlib import Path

import pytest

from mlaas_lab import endings, registry
from mlaas_lab.endings import MemoryWatch, Wish, ending
from mlaas_lab.executors import LOST, STOPPED
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import JobFolder, read_json, write_json
from mlaas_lab.tasks import Task

Toy = registry.load("task", "toy_long").spec


CGROUPS = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def cgroup(monkeypatch):
    """A memory cgroup of 300 MB for the entry, where this user may make one."""
    if not os.access(CGROUPS, os.W_OK) or not (CGROUPS / "memory.limit_in_bytes").exists():
        pytest.skip("only root may limit memory by a cgroup")
    folder = CGROUPS / f"mlaas-test-{os.getpid()}"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("300000000")
    monkeypatch.setenv("TOY_CGROUP", str(folder))
    yield
    folder.rmdir()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("memory", ["python", "allocator", "system"])
def test_fifty_times_out_of_memory(lab, cgroup, memory):
    peaks = []
    for n in range(50):
        handle = lab.submit("toy_long", Toy(memory=memory, portion=8, steps=1 + n))
        assert handle.result(120) == {"counted": 1 + n, "attempt": 2}
        why = lab.store.history(handle.id)[2][3]
        assert why.startswith("out of memory: ")
        peaks.append(why.rpartition("had ")[2])
        assert read_json(handle.folder.job)["adjusted"]["portion"] == 4
    print(f"\n{memory}: 50 of 50 recognised and answered once, peaks {min(peaks)} to {max(peaks)}")


@pytest.mark.parametrize("memory", ["python", "abort"])
def test_out_of_memory_is_recognised_and_answered_once_with_half(lab, memory):
    handle = lab.submit("toy_long", Toy(memory=memory, portion=8, steps=2))
    assert handle.result(60) == {"counted": 2, "attempt": 2}
    job = read_json(handle.folder.job)
    assert job["spec"]["portion"] == 4
    assert job["adjusted"]["portion"] == 4
    whys = [why for _, _, _, why in lab.store.history(handle.id) if why]
    assert whys[0].startswith("out of memory: ")
    assert "at its peak it had" in whys[0]
    assert whys[1] == "again with --portion 4"
    assert lab.submit("toy_long", Toy(memory=memory, portion=8, steps=2)).id == handle.id, "it is the job asked for"


def test_it_is_not_tried_a_third_time(lab):
    handle = lab.submit("toy_long", Toy(memory="python", portion=16, steps=2))
    assert handle.wait_end(60)
    assert handle.state is JobState.FAILED
    assert handle.job.error.startswith("out of memory: MemoryError")
    assert handle.job.attempt == 2


def test_killed_by_the_system_for_memory(tmp_path, monkeypatch):
    """The kernel's counter and its SIGKILL, as a cgroup's limit gives them; the machine's own limit stays as it is."""
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 1\noom_kill 3\n")
    monkeypatch.setattr(endings, "VMSTAT", vmstat)
    watch = MemoryWatch()
    task, folder = Task(spec=Toy, entry="toy:count_on"), JobFolder(tmp_path)
    code = -signal.SIGKILL
    told = ending(code, wish=Wish.NOBODY, folder=folder, task=task, memory=watch)
    assert not told.out_of_memory, "somebody else's SIGKILL"
    vmstat.write_text("nr_free_pages 1\noom_kill 4\n")
    told = ending(code, wish=Wish.NOBODY, folder=folder, task=task, memory=watch)
    assert told.out_of_memory
    assert told.why.startswith("out of memory: the system killed the entry; at its peak it had ")


@pytest.mark.parametrize(
    ("code", "wish", "resumable", "state"),
    [
        (0, Wish.NOBODY, False, JobState.SUCCEEDED),
        (0, Wish.USER, False, JobState.SUCCEEDED),
        (STOPPED, Wish.USER, True, JobState.CANCELLED),
        (-9, Wish.USER, True, JobState.CANCELLED),
        (STOPPED, Wish.SYSTEM, True, JobState.PREEMPTED),
        (-9, Wish.SYSTEM, True, JobState.PREEMPTED),
        (STOPPED, Wish.NOBODY, True, JobState.PREEMPTED),
        (STOPPED, Wish.NOBODY, False, JobState.CANCELLED),
        (LOST, Wish.NOBODY, True, JobState.PREEMPTED),
        (LOST, Wish.NOBODY, False, JobState.FAILED),
        (-9, Wish.NOBODY, True, JobState.FAILED),
        (1, Wish.NOBODY, True, JobState.FAILED),
    ],
)
def test_what_an_exit_status_means(tmp_path, code, wish, resumable, state):
    write_json(tmp_path / "error.json", {"name": "data_error", "message": "the machine went away"})
    task = Task(spec=Toy, entry="toy:count_on", resumable=resumable)
    told = ending(code, wish=wish, folder=JobFolder(tmp_path), task=task, memory=MemoryWatch())
    assert told.state is state
