"""A real fine-tune survives whatever is killed: the same weights as if nothing had happened, each step once.

Kernel, its process group, the supervisor and the entry die at instants spread over the whole life of the job: two in the
fast tier, four hundred in the long one. What is compared is the adapter's SHA-256, the lines in the job's
folder, and the curve in MLflow.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from toy_base import colour_chats

from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.tracking.server import connect
from mlaas_lab.training import checkpoint

OPTIONS = {"epochs": 12, "batch_size": 8, "save_every": 7}


@dataclass(frozen=True)
class Control:
    """The same fine-tune when nobody disturbs it."""

    sha256: str
    steps: int
    wall_s: float


@pytest.fixture(scope="module")
def chats_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "chats.jsonl"
    return colour_chats(path, {"red": "red", "blue": "blue"})


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One MLflow for all: to make its tables takes longer than a fine-tune."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture(autouse=True)
def tracked(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLAAS_TRACKING_URI", database)


@pytest.fixture
def spec(tracked: None, toy: Path, chats_file: Path) -> Finetune:
    return Finetune.model_validate({"base": str(toy), "data": chats_file, "name": "colours", **OPTIONS})


@pytest.fixture
def undisturbed(tracked: None, lab: Lab, spec: Finetune) -> Control:
    """Run once for all tests of this file."""
    if not _control:
        began = time.monotonic()
        handle = lab.submit("finetune", spec, wait=True)
        _control.append(Control(sha256=sha(handle), steps=len(steps(handle)), wall_s=time.monotonic() - began))
    return _control[0]


_control: list[Control] = []


def sha(handle: JobHandle) -> str:
    return str(handle.outcome["adapter"]["sha256"])


def steps(handle: JobHandle, key: str = "loss") -> list[int]:
    lines = [line for _, line in handle.folder.events_from() if line["event"] == "metrics"]
    return [line["step"] for line in lines if key in line["values"]]


def check(handle: JobHandle, lab: Lab, control: Control) -> None:
    """It has all that the undisturbed one has."""
    assert sha(handle) == control.sha256
    assert steps(handle) == list(range(1, control.steps + 1))
    history = connect(lab.settings).get_metric_history(handle.job.run_id, "tokens_per_s")
    assert sorted(point.step for point in history)[: control.steps] == list(range(1, control.steps + 1))
    assert len({point.step for point in history}) == control.steps


@pytest.fixture
def kernel() -> Iterator[Callable[[str], KernelManager]]:
    """A real kernel that has run a line."""
    managers = []

    def start(line: str) -> KernelManager:
        manager, client = start_new_kernel(kernel_name="python3")
        managers.append(manager)
        for code in ("%load_ext mlaas_lab", line):
            assert client.execute_interactive(code, timeout=120)["content"]["status"] == "ok"
        client.stop_channels()
        return manager

    yield start
    for manager in managers:
        manager.shutdown_kernel(now=True)


FAST = [("group", 0.3), ("supervisor", 0.75)]


def often(*victims: str) -> list[object]:
    """Two hundred instants over the life of a job, the victims in turn."""
    shares = [(victims[n % len(victims)], n / 200) for n in range(200)]
    return [pytest.param(*pair, marks=pytest.mark.long) for pair in shares]


@pytest.mark.parametrize(("victim", "share"), [FAST[0], *often("pid", "group")])
def test_kernel_is_killed(victim, share, lab, spec, undisturbed, kernel):
    rest = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in OPTIONS.items())
    manager = kernel(f"%mlaas finetune --base {spec.base} --data {spec.data} --name colours --force {rest}")
    time.sleep(random.Random(f"{victim}{share}").random() * 0.05 + share * undisturbed.wall_s)
    pid = manager.provisioner.process.pid
    if victim == "group":
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    else:
        os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    handle = Lab().jobs.get(lab.store.jobs(name="colours")[0].id)
    str(handle)
    print(f"reattached in {time.monotonic() - began:.3f} s")
    handle.wait(250)
    check(handle, lab, undisturbed)
    assert handle.job.attempt == 1


@pytest.mark.parametrize(("victim", "share"), [FAST[1], *often("supervisor", "entry")])
def test_job_itself_is_killed(victim, share, lab, spec, undisturbed):
    handle = lab.submit("finetune", spec, force=True)
    time.sleep(random.Random(f"{victim}{share}").random() * 0.05 + share * undisturbed.wall_s)
    row = lab.store.job(handle.id).handle
    pid = row.get("entry", row)["pid"] if victim == "entry" else row.get("pid")
    if pid is not None and not handle.state.ended:
        os.kill(pid, signal.SIGKILL)
    if not handle.wait_end(250) or handle.state is JobState.FAILED:
        handle.resume().wait(250)
    check(handle, lab, undisturbed)


def test_control_a_careless_resume_is_noticed(lab, spec, undisturbed, eventually, monkeypatch):
    """Without the optimizer's moments in its checkpoint the job ends too, with other weights."""
    handle = lab.submit("finetune", spec, force=True)
    eventually(lambda: handle.job.progress is not None and handle.job.progress.n >= undisturbed.steps // 2, 120)
    handle.cancel()
    assert handle.wait_end(30)
    newest = checkpoint.latest(handle.folder.checkpoints)
    lacking = {name: value for name, value in newest.tensors.items() if not name.startswith("optimizer")}
    checkpoint.clear(handle.folder.checkpoints)
    checkpoint.write(
        handle.folder.checkpoints, checkpoint.Checkpoint(step=newest.step, tensors=lacking, facts=newest.facts)
    )
    handle.resume().wait(120)
    with pytest.raises(AssertionError):
        check(handle, lab, undisturbed)


@pytest.mark.parametrize(
    "grace_s", [0.0, pytest.param(5, marks=pytest.mark.long), pytest.param(30, marks=pytest.mark.long)]
)
def test_preemption_keeps_a_verified_checkpoint_within_its_grace(lab, spec, undisturbed, eventually, grace_s):
    handle = lab.submit("finetune", spec, force=True)
    eventually(lambda: handle.job.progress is not None and handle.job.progress.n >= 10, 120)
    row = lab.store.job(handle.id).handle
    if grace_s:
        os.kill(row["pid"], signal.SIGTERM)
        time.sleep(grace_s)
        assert lab.store.job(handle.id).state is JobState.PREEMPTED
        assert checkpoint.latest(handle.folder.checkpoints).step == steps(handle)[-1]
    else:
        handle.simulate_preemption()
        assert lab.store.job(handle.id).state is JobState.PREEMPTED
        assert checkpoint.latest(handle.folder.checkpoints).step == steps(handle)[-1]
    handle.wait(250)
    check(handle, lab, undisturbed)
    assert handle.job.attempt == 2
