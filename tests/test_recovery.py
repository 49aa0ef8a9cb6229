"""Jobs that lose their supervisor, their machine or their turn: they go on, once, and leave nothing behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing import Process

import psutil
import pytest

from mlaas_lab import processes, recovery, registry
from mlaas_lab.errors import JobError, StoreError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.recovery import Recovery
from mlaas_lab.schema import JobState

Toy = registry.load("task", "toy_long").spec


def submit(lab: Lab, task: str = "toy_long", **options: object) -> JobHandle:
    how = {key: options.pop(key) for key in ("launch", "executor", "force") if key in options}
    return lab.submit(task, Toy(**options), **how)


def steps(handle: JobHandle) -> list[int]:
    return [line["step"] for _, line in handle.folder.events_from() if line["event"] == "metrics"]


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def states(handle: JobHandle) -> list[tuple[str, int]]:
    return [(str(state), attempt) for state, attempt, _, _ in handle.manager.store.history(handle.id)]


def under_way(handle: JobHandle, eventually, n: int = 4) -> None:
    eventually(lambda: handle.job.progress is not None and handle.job.progress.n >= n, 30)


def test_job_goes_on_when_its_supervisor_is_killed(lab, eventually):
    handle = submit(lab, steps=40, pause_s=0.05)
    under_way(handle, eventually)
    entry = processes.find(handle.job.handle["entry"])
    os.kill(handle.job.handle["pid"], signal.SIGKILL)
    assert handle.result(60) == {"counted": 40, "attempt": 2}
    assert not lives(entry), "the first attempt's entry died with its supervisor"
    assert steps(handle) == list(range(40)), "each step once, also those that were taken twice"
    assert states(handle) == [
        ("queued", 1), ("running", 1), ("preempted", 1), ("queued", 2), ("running", 2), ("succeeded", 2)
    ]  # fmt: skip


def test_preempted_job_keeps_its_work_and_goes_on_at_the_next_look(lab, eventually):
    handle = submit(lab, steps=40, pause_s=0.05)
    under_way(handle, eventually)
    row = handle.simulate_preemption()._job
    assert row.state is JobState.PREEMPTED
    assert row.error is None
    kept = int((handle.folder.path / "kept").read_text())
    assert kept == steps(handle)[-1] + 1, "nothing is taken twice after a polite end"
    assert handle.result(60) == {"counted": 40, "attempt": 2}
    assert steps(handle) == list(range(40))


def test_interruptions_are_bounded_and_a_hand_lifts_the_bound(lab, eventually):
    lab.preferences.config(requeues=1)
    handle = submit(lab, steps=400, pause_s=0.05)
    for _ in range(2):
        eventually(lambda: handle.state is JobState.RUNNING and "entry" in handle.job.handle, 30)
        handle.simulate_preemption()
    assert handle.state is JobState.FAILED
    assert handle.job.error == f"it was interrupted 2 times; `resume {handle.id}` goes on"
    with pytest.raises(JobError, match="interrupted 2 times"):
        handle.wait(1)
    assert handle.resume().id == handle.id
    eventually(lambda: handle.state is JobState.RUNNING, 30)
    assert lab.store.job(handle.id).attempt == 3


def test_only_a_running_job_can_be_preempted(lab):
    handle = submit(lab, steps=1).wait(30)
    with pytest.raises(JobError, match="is succeeded and cannot be preempted"):
        handle.simulate_preemption()


def test_cancelled_job_is_resumed_where_it_was(lab, eventually):
    handle = submit(lab, steps=40, pause_s=0.05)
    under_way(handle, eventually)
    handle.cancel()
    assert handle.wait_end(12)
    came_to = len(steps(handle))
    with pytest.raises(JobError, match=f"resume {handle.id}"):
        handle.check()
    assert handle.resume().result(60) == {"counted": 40, "attempt": 2}
    assert steps(handle) == list(range(40))
    assert came_to > 3


def test_succeeded_and_living_jobs_are_not_started_again(lab, eventually):
    handle = submit(lab, steps=20, pause_s=0.05)
    under_way(handle, eventually, 1)
    assert handle.resume()._job.attempt == 1
    handle.wait(30)
    assert handle.resume()._job.attempt == 1


def test_deaf_entry_dies_with_its_killed_supervisor(lab, eventually):
    handle = submit(lab, steps=4000, pause_s=0.05, end="deaf")
    under_way(handle, eventually)
    entry = processes.find(handle.job.handle["entry"])
    os.kill(handle.job.handle["pid"], signal.SIGKILL)
    eventually(lambda: not lives(entry), 5)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells whose child it was")
def test_orphans_of_a_killed_supervisor_are_swept_at_the_next_look(lab, eventually):
    handle = submit(lab, steps=4000, pause_s=0.05, end="orphan")
    under_way(handle, eventually)
    orphan = psutil.Process(int((handle.folder.path / "orphan").read_text()))
    os.kill(handle.job.handle["pid"], signal.SIGKILL)
    assert lives(orphan), "it forked twice and is nobody's child"
    eventually(lambda: lab.jobs.refresh() or not lives(orphan), 10)


def test_control_without_the_mark_an_orphan_would_stay(lab, eventually, monkeypatch):
    handle = submit(lab, steps=4000, pause_s=0.05, end="orphan")
    under_way(handle, eventually)
    orphan = psutil.Process(int((handle.folder.path / "orphan").read_text()))
    monkeypatch.setattr(recovery, "sweep", lambda job_id: 0)
    monkeypatch.setattr(Recovery, "_go_on", lambda self, job: job)
    os.kill(handle.job.handle["pid"], signal.SIGKILL)
    lab.jobs.refresh()
    time.sleep(0.5)
    assert lives(orphan)
    assert processes.sweep(handle.id) == 1


def test_who_is_swept_may_tidy_up_first(tmp_path):
    told, tidied = tmp_path / "told", tmp_path / "tidied"
    script = (
        "import pathlib, signal, sys\n"
        "told, tidied = map(pathlib.Path, sys.argv[1:])\n"
        "signal.signal(signal.SIGTERM, lambda *_: (tidied.touch(), sys.exit()))\n"
        "told.touch(); signal.pause()\n"
    )
    marked = {**os.environ, processes.MARK: "swept.1"}
    child = subprocess.Popen([sys.executable, "-c", script, str(told), str(tidied)], env=marked)
    while not told.exists():
        time.sleep(0.01)
    assert processes.sweep("swept") == 1
    assert child.wait(1) == 0
    assert tidied.exists()


def test_launcher_that_died_hands_its_turn_on(lab):
    script = (
        "import os, signal\n"
        "from mlaas_lab import registry; from mlaas_lab.lab import Lab\n"
        "from mlaas_lab.executors import process\n"
        "process.executor.launch = lambda folder, mark: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Lab().submit('toy_long', registry.load('task', 'toy_long').spec(steps=3))\n"
    )
    kernel = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert kernel.returncode == -signal.SIGKILL
    (job,) = lab.store.jobs()
    assert (job.state, "pid" in job.handle) == (JobState.QUEUED, False)
    assert lab.jobs.get(job.id).result(30) == {"counted": 3, "attempt": 1}


def test_interrupt_while_submitting_leaves_no_half_job(lab, monkeypatch):
    launcher = registry.load("executor", "process")

    def interrupted(self, folder, *, mark):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(launcher), "launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        submit(lab, steps=3)
    assert [job.state for job in lab.store.jobs()] == [JobState.CANCELLED]


@pytest.mark.parametrize("state", ["queued", "running"])
def test_job_whose_folder_was_deleted_fails_and_stands_in_nobodys_way(lab, eventually, state):
    handle = submit(lab, steps=600, pause_s=0.05)
    under_way(handle, eventually)
    row = handle.job
    os.kill(row.handle["pid"], signal.SIGKILL)
    shutil.rmtree(row.folder)
    if state == "queued":
        lab.store.move(row.id, JobState.PREEMPTED, attempt=row.attempt, why="its worker is gone")
        lab.store.requeue(row.id, attempt=row.attempt, why="goes on")
    assert submit(lab, steps=3).result(30)["counted"] == 3
    assert (handle.state, handle.logs()) == (JobState.FAILED, [])
    assert "its folder was deleted" in handle.job.error
    assert handle.view()


def test_many_lookers_start_one_attempt(lab, eventually):
    handle = submit(lab, steps=60, pause_s=0.05)
    under_way(handle, eventually)
    os.kill(handle.job.handle["pid"], signal.SIGKILL)

    def look():
        Lab().jobs.refresh()

    lookers = [Process(target=look) for _ in range(6)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert [looker.exitcode for looker in lookers] == [0] * 6
    assert handle.result(60) == {"counted": 60, "attempt": 2}
    assert [state for state, _ in states(handle)].count("running") == 2


def test_second_supervisor_of_an_attempt_starts_nothing(lab, eventually):
    handle = submit(lab, steps=60, pause_s=0.05)
    under_way(handle, eventually)
    second = subprocess.run(
        [sys.executable, "-m", "mlaas_lab.worker", handle.folder.path], capture_output=True, text=True
    )
    assert second.returncode == 1
    assert "has a supervisor" in second.stderr
    assert handle.result(60) == {"counted": 60, "attempt": 1}


def test_old_attempt_is_fenced_in_the_store(lab, eventually):
    handle = submit(lab, steps=60, pause_s=0.05)
    under_way(handle, eventually)
    handle.simulate_preemption()
    eventually(lambda: handle.state is JobState.RUNNING and handle.job.attempt == 2, 30)
    with pytest.raises(StoreError, match=r"attempt 1 .* was replaced by attempt 2"):
        lab.store.move(handle.id, JobState.SUCCEEDED, attempt=1)


def test_supervisor_elsewhere_lives_as_long_as_its_heart_beats(lab, monkeypatch):
    handle = submit(lab, steps=2).wait(30)
    away = {"pid": os.getpid(), "started": 0.0, "birth": "x/1", "host": "elsewhere"}
    job = replace(handle.job, state=JobState.RUNNING, handle=away, beat=7)
    watch = Recovery(lab.settings, lab.store)
    now = [1000.0]
    monkeypatch.setattr(recovery.time, "monotonic", lambda: now[0])
    lost: list[str] = []
    monkeypatch.setattr(Recovery, "_lost", lambda self, job: lost.append(job.id) or job)
    for later, beat, gone in ((0, 7, 0), (29, 7, 0), (31, 8, 0), (60, 8, 0), (62, 8, 1)):
        now[0] = 1000.0 + later
        watch.checked(replace(job, beat=beat))
        assert len(lost) == gone, f"after {later} s"


@pytest.mark.parametrize("step_s", [-86_400, -3_600, 3_600, 86_400])
def test_a_clock_that_is_set_ends_nothing(lab, eventually, monkeypatch, step_s):
    handle = submit(lab, steps=25, pause_s=0.05)
    under_way(handle, eventually, 1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + step_s)
    # psutil derives start times from the clock; the boot's ticks do not move.
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real() + step_s)
    lab.jobs.refresh()
    assert handle.state is JobState.RUNNING
    assert handle.result(60) == {"counted": 25, "attempt": 1}


def test_no_foreign_process_is_ever_signalled(lab, eventually):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    mine = processes.identity(stranger.pid)
    executor = registry.load("executor", "process")
    boot, _, ticks = mine["birth"].partition("/")
    others = [
        {**mine, "birth": f"{boot}/{int(ticks) - 1}"},  # the pid was used again
        {**mine, "birth": f"{'0' * 36}/{ticks}"},  # the machine was started again
        {**mine, "host": "elsewhere"},
        {**mine, "birth": None, "started": mine["started"] - 3600},  # a system without /proc
    ]
    try:
        for n in range(1000):
            executor.cancel({**others[n % 4], "entry": others[(n + 1) % 4]})
        assert lives(psutil.Process(stranger.pid))
        executor.cancel(mine)
        eventually(lambda: not lives(psutil.Process(stranger.pid)), 5)
    finally:
        stranger.kill()
        stranger.wait()


def test_torn_line_of_a_killed_attempt_stays_one_line(lab, eventually):
    handle = submit(lab, steps=30, pause_s=0.05)
    under_way(handle, eventually)
    supervisor, entry = handle.job.handle["pid"], handle.job.handle["entry"]["pid"]
    os.kill(entry, signal.SIGSTOP)
    with handle.folder.events.open("ab") as file:
        file.write(b'{"at": 1.0, "event": "met')
    os.kill(supervisor, signal.SIGKILL)
    assert handle.result(60)["counted"] == 30
    assert steps(handle) == list(range(30))
    lines = handle.folder.events.read_bytes().splitlines()
    assert sum(b'"met' in line and not line.endswith(b"}") for line in lines) == 1
    assert json.loads(lines[-1])["event"] == "progress"
