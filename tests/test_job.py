"""Jobs through the real worker: how they end, what survives, who may stop them."""

import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import Process

import psutil
import pytest

from mlaas_lab import processes, registry
from mlaas_lab.errors import Interrupted, JobError, StoreError, UsageError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState

Toy = registry.load("task", "toy").spec


def submit(lab: Lab, task: str = "toy", **options: object) -> JobHandle:
    return lab.submit(task, Toy(**options))


def test_job_runs_to_its_end_and_returns_what_its_entry_returned(lab):
    handle = submit(lab, steps=5)
    assert handle.result(30) == {"counted": 5}
    job = handle.job
    assert job.state is JobState.SUCCEEDED
    assert job.progress.n == job.progress.total == 5
    assert job.started_at <= job.ended_at
    assert [line["step"] for _, line in handle.folder.events_from() if line["event"] == "metrics"] == list(range(5))


def test_same_spec_is_not_run_twice(lab):
    first = submit(lab, steps=2).wait(30)
    assert submit(lab, steps=2, name="other name").id == first.id
    assert submit(lab, steps=3).id != first.id
    again = lab.submit("toy", Toy(steps=2), force=True)
    assert again.id != first.id
    assert len(list(lab.settings.jobs_dir.iterdir())) == 3, "a found job leaves no empty folder"


def test_failed_job_is_tried_again(lab):
    first = submit(lab, end="data")
    with pytest.raises(JobError, match=r"rows.jsonl:3: no messages"):
        first.wait(30)
    assert submit(lab, end="data").id != first.id


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("data", "rows.jsonl:3: no messages. Mend the line."),
        ("bug", "the entry exited with 1: ZeroDivisionError: a bug"),
        ("killed", "the entry was killed by SIGKILL; the system may have run out of memory"),
        ("exit", "the entry exited with 7: step 2"),
    ],
)
def test_how_it_failed_is_named(lab, end, said):
    handle = submit(lab, end=end)
    with pytest.raises(JobError) as failure:
        handle.wait(30)
    assert handle.job.error == said
    assert "\n  | " in str(failure.value), "the tail of the log"
    assert failure.value.next == f"All of it: logs {handle.id}"


def test_cancel_is_not_a_failure(lab, eventually):
    handle = submit(lab, steps=1000, pause_s=0.05)
    eventually(lambda: handle.job.progress is not None)
    handle.cancel()
    assert handle.wait_end(12)
    assert handle.state is JobState.CANCELLED
    assert handle.job.error is None
    with pytest.raises(JobError, match="was cancelled"):
        handle.wait(1)


def test_cancel_kills_what_does_not_listen(lab, eventually, monkeypatch):
    handle = submit(lab, steps=1000, pause_s=0.05, end="deaf")
    eventually(lambda: handle.job.progress is not None)
    entry = handle.job.handle["entry"]
    began = time.monotonic()
    handle.cancel()
    assert handle.wait_end(12)
    assert time.monotonic() - began < 11
    assert handle.state is JobState.CANCELLED
    assert processes.find(entry) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the subreaper is Linux's")
def test_grandchild_that_forked_away_is_killed_with_its_job(lab, eventually):
    handle = submit(lab, steps=2, end="orphan")
    handle.wait(30)
    orphan = int((handle.folder.path / "orphan").read_text())
    assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE


def test_service_is_waited_for_until_it_answers_and_ends_cancelled(lab):
    handle = submit(lab, "toy_service", pause_s=0.3).wait(30)
    assert handle.state is JobState.RUNNING
    assert handle.outcome["endpoints"][0]["name"] == "toy"
    assert lab.store.endpoint("toy").ready
    assert submit(lab, "toy_service", pause_s=0.3).id == handle.id
    handle.cancel()
    assert handle.wait_end(12)
    assert handle.state is JobState.CANCELLED
    assert lab.store.endpoint("toy") is None
    fresh = submit(lab, "toy_service", pause_s=0.3)
    assert fresh.id != handle.id, "a dead server never matches"


def test_job_outlives_the_process_that_started_it(lab, home):
    script = (
        "from mlaas_lab.lab import Lab; from mlaas_lab import registry; import os, signal\n"
        "Toy = registry.load('task', 'toy').spec\n"
        "print(Lab().submit('toy', Toy(steps=20, pause_s=0.05)).id, flush=True)\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    kernel = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, start_new_session=True)
    assert kernel.returncode == -signal.SIGKILL
    handle = lab.jobs.get(kernel.stdout.strip())
    assert handle.result(30) == {"counted": 20}


def test_dead_worker_is_found_out_and_its_entry_does_not_live_on(lab, eventually):
    handle = submit(lab, steps=1000, pause_s=0.05)
    eventually(lambda: handle.job.progress is not None)
    entry = processes.find(handle.job.handle["entry"])
    os.kill(handle.job.handle["pid"], signal.SIGKILL)
    eventually(lambda: handle.state is JobState.FAILED)
    assert handle.job.error == "its worker is gone"
    eventually(lambda: not entry.is_running() or entry.status() == psutil.STATUS_ZOMBIE)


def test_recycled_pid_is_never_taken_for_ours():
    mine = processes.identity(os.getpid())
    assert processes.find(mine) is not None
    other = {**mine, "started": mine["started"] - 1, "birth": f"{mine['birth']}0"}
    assert processes.find(other) is None
    registry.load("executor", "process").cancel(other)
    assert psutil.pid_exists(os.getpid())


def test_zombie_counts_as_dead():
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    handle = processes.identity(child.pid)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert not registry.load("executor", "process").is_alive(handle)
    child.wait()


def test_old_attempt_cannot_write(lab):
    handle = submit(lab, steps=1).wait(30)
    with pytest.raises(StoreError, match="was replaced by attempt 1"):
        lab.store.update(handle.id, attempt=0, run_id="x")


def test_interrupt_while_waiting_leaves_the_job_alone(lab):
    handle = submit(lab, steps=40, pause_s=0.05)

    def interrupt(_shown):
        raise KeyboardInterrupt

    lab.live = interrupt
    with pytest.raises(Interrupted) as stopped:
        lab.wait(handle)
    assert f"wait {handle.id}" in str(stopped.value)
    assert stopped.value.exit_code == 130
    assert handle.result(30) == {"counted": 40}


def test_two_kernels_that_submit_at_once_start_one_job(lab):
    lab.store.jobs()

    def race():
        Lab().submit("toy", Toy(steps=4, pause_s=0.05))

    racers = [Process(target=race) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert [racer.exitcode for racer in racers] == [0] * 4
    assert len(lab.store.jobs()) == 1


def test_job_can_be_run_again_by_hand(lab):
    handle = submit(lab, steps=2).wait(30)
    job = json.loads(handle.folder.job.read_text())
    assert job["spec"]["steps"] == 2
    done = subprocess.run(
        [sys.executable, "-m", "mlaas_lab.context", handle.folder.path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_inline_executor_raises_what_the_entry_raised(lab, capfd):
    with pytest.raises(ZeroDivisionError):
        lab.submit("toy", Toy(end="bug"), executor="inline")
    assert lab.store.jobs()[0].error == "ZeroDivisionError: a bug"
    assert lab.submit("toy", Toy(steps=1), executor="inline").result(1) == {"counted": 1}


def test_names_that_do_not_exist(lab):
    with pytest.raises(UsageError, match="no job 'tou'"):
        lab.jobs.get("tou")
    submit(lab, steps=1, name="support").wait(30)
    assert lab.jobs.get("support").job.name == "support"
    with pytest.raises(UsageError, match="Did you mean 'support'"):
        lab.jobs.get("suport")


@pytest.mark.parametrize("end", ["well", "data"])
def test_card_is_readable_without_a_kernel(lab, end):
    handle = submit(lab, end=end, name="<script>alert(1)</script>")
    handle.wait_end(30)
    html = handle._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert handle.id in str(handle)


async def _awaited(handle):
    return await handle


def test_await(lab):
    import asyncio

    handle = submit(lab, steps=2)
    assert asyncio.run(_awaited(handle)).state is JobState.SUCCEEDED


def test_job_whose_adapter_was_deleted_is_run_again(lab):
    first = submit(lab, steps=2, end="file").wait(30)
    assert submit(lab, steps=2, end="file").id == first.id
    (first.folder.path / "made").unlink()
    assert submit(lab, steps=2, end="file").id != first.id


def test_adapter_is_named_after_its_data():
    finetune = registry.load("task", "finetune").spec
    assert finetune(data="rows/support.jsonl").name == "support"
    assert finetune(data="rows/support.jsonl", name="other").name == "other"
    assert finetune.model_validate_json(finetune(data="rows/support.jsonl").model_dump_json()).name == "support"


def test_rebuilding_is_never_the_job_that_built():
    tiny = registry.load("task", "tiny")
    assert tiny.fresh(tiny.spec(rebuild=True))
    assert not tiny.fresh(tiny.spec())
