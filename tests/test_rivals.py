"""Kernels, shells and killers that race over the same jobs: never two processes for one job, never two fences.

Each rival is a process of its own that submits, cancels, resumes, preempts and looks. Meanwhile the process table is
sampled: at every look at most one entry lives per job, and it belongs to the attempt that the store knows or is about
to know.
"""

import collections
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mlaas_lab import registry
from mlaas_lab.executors.process import executor
from mlaas_lab.lab import Lab
from mlaas_lab.processes import MARK
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import read_json
from mlaas_lab.store.history import rebuilt

RIVAL = """
import json, os, random, signal, sys, time
from mlaas_lab import registry
from mlaas_lab.errors import LabError
from mlaas_lab.lab import Lab

seed, operations, jobs = map(int, sys.argv[1:])
chance, lab, took = random.Random(seed), Lab(), []
Toy = registry.load("task", "toy_long").spec
ids = []
for _ in range(operations):
    began = time.perf_counter()
    try:
        match chance.choices(("submit", "cancel", "resume", "preempt", "look"), (4, 1, 3, 2, 5))[0]:
            case "submit":
                spec = Toy(steps=60 + chance.randrange(jobs), pause_s=0.02)
                ids.append(lab.submit("toy_long", spec).id)
            case "cancel" if ids:
                lab.jobs.cancel(chance.choice(ids))
            case "resume" if ids:
                lab.jobs.resume(chance.choice(ids))
            case "preempt" if ids:
                pid = lab.store.job(chance.choice(ids)).handle.get("pid")
                if pid:
                    os.kill(pid, chance.choice((signal.SIGTERM, signal.SIGKILL)))
            case _:
                lab.jobs.every()
    except ProcessLookupError:
        pass
    except LabError as error:
        print(json.dumps({"error": str(error)}), flush=True)
    took.append(time.perf_counter() - began)
    time.sleep(chance.random() * 0.2)
print(json.dumps({"took_s": took}))
"""


def entries(lab: Lab) -> dict[str, set[str]]:
    """Marks of the lab's entries that live, by job."""
    here = str(lab.settings.data_dir)
    found: dict[str, set[str]] = collections.defaultdict(set)
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            ours = "mlaas_lab.context" in words and any(word.startswith(here) for word in words)
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                mark = process.environ().get(MARK, "")
                found[mark.partition(".")[0]].add(f"{mark} {process.pid}")
        except psutil.Error:
            continue
    return found


def rivalry(lab: Lab, folder: Path, *, rivals: int, operations: int, jobs: int) -> list[float]:
    """Race, watch, and settle; the seconds that operations took."""
    script = folder / "rival.py"
    script.write_text(RIVAL)
    lab.store.jobs()
    words = [str(operations), str(jobs)]
    racing = [
        subprocess.Popen([sys.executable, script, str(seed), *words], stdout=subprocess.PIPE, text=True)
        for seed in range(rivals)
    ]
    looks = 0
    while any(rival.poll() is None for rival in racing) or entries(lab):
        doubled = {job: marks for job, marks in entries(lab).items() if len(marks) > 1}
        assert not doubled, f"two entries of one job: {doubled}"
        looks += 1
        time.sleep(0.01)
        if all(rival.poll() is not None for rival in racing):
            lab.jobs.refresh()
    assert looks > 10
    said = [json.loads(line) for rival in racing for line in rival.stdout.read().splitlines()]
    assert not [one["error"] for one in said if "locked" in one.get("error", "")]
    assert [rival.returncode for rival in racing] == [0] * rivals
    return [seconds for one in said for seconds in one.get("took_s", ())]


def settled(lab: Lab) -> None:
    """Every job has ended, its row follows from its history, and every step was logged once."""
    for job in lab.store.jobs():
        handle = lab.jobs.get(job.id)
        assert handle.wait_end(60)
        again = rebuilt(lab.store.history(job.id))
        assert (again.state, again.attempt) == (handle.job.state, handle.job.attempt)
        steps = [line["step"] for _, line in handle.folder.events_from() if line["event"] == "metrics"]
        assert steps == list(range(len(steps)))
        if handle.job.state is JobState.SUCCEEDED:
            assert len(steps) == job.spec["steps"]
    assert {job.state for job in lab.store.jobs()} <= {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def test_four_rivals_never_run_a_job_twice(lab, tmp_path):
    took = rivalry(lab, tmp_path, rivals=4, operations=25, jobs=4)
    assert len(took) == 100
    settled(lab)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_eight_rivals_over_ten_thousand_operations(lab, tmp_path):
    took = sorted(rivalry(lab, tmp_path, rivals=8, operations=1250, jobs=20))
    print(f"\n{len(took):,} operations: p50 {took[len(took) // 2]:.3f} s, p99 {took[int(len(took) * 0.99)]:.3f} s")
    settled(lab)


def test_control_two_entries_of_one_job_are_seen(lab, eventually):
    handle = lab.submit("toy_long", registry.load("task", "toy_long").spec(steps=4000, pause_s=0.02))
    # Not before: a supervisor sweeps away what bears its job's mark.
    eventually(lambda: handle.job.progress is not None, 30)
    second = executor.begin(handle.folder, read_json(handle.folder.job), {})
    deadline = time.monotonic() + 60
    try:
        while len(entries(lab)[handle.id]) < 2:
            assert time.monotonic() < deadline, "two entries of one job must be seen"
            time.sleep(0.01)
    finally:
        second.kill()
