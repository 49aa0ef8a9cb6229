"""The executor `ray` on a real cluster: the same results as the executor `process`, whatever dies."""

import json
import random
import time
from pathlib import Path

import pytest
from loopback import Fault, Loopback
from safetensors.torch import load_file

from mlaas_lab.cluster.jobs_api import Cluster
from mlaas_lab.cluster.watch import LOST_S, Watch
from mlaas_lab.errors import JobError
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JobState
from mlaas_lab.spec import build
from mlaas_lab.tasks.eval import Eval
from mlaas_lab.tasks.finetune import Finetune

KINDS = ("driver", "raylet", "gcs_server", "stop")
STEPS = 200
LONGER = 600
"""So many that a step is told, and its worker killed, long before the last one."""
RUNS = (JobState.QUEUED, JobState.RUNNING)


@pytest.fixture
def options(toy, chats):
    """Of a fine-tune of 200 steps."""
    return {"base": str(toy), "data": chats, "epochs": 50, "batch_size": 10, "save_every": 10, "dropout": 0.0}


def finetune(lab: Lab, options: dict, executor: str, **more) -> JobHandle:
    return lab.submit("finetune", build(Finetune, {**options, **more}), executor=executor, force=True, wait=False)


def steps(job: JobHandle) -> list[int]:
    """Steps with a loss, as they came home."""
    lines = [line for _, line in job.folder.events_from()]
    return [line["step"] for line in lines if line["event"] == "metrics" and "loss" in line["values"]]


def losses(job: JobHandle) -> dict[int, float]:
    """The loss of each step."""
    lines = [line for _, line in job.folder.events_from() if line["event"] == "metrics" and "loss" in line["values"]]
    return {line["step"]: line["values"]["loss"] for line in lines}


def weights(job: JobHandle) -> dict:
    return load_file(job.folder.adapter / "adapter_model.safetensors")


@pytest.fixture
def control(ray_lab, options):
    """The same fine-tune, unbroken, on the executor `process`."""
    return finetune(ray_lab, options, "process").wait(300)


@pytest.mark.timeout(3600)
def test_every_death_is_named_and_the_job_goes_on(cluster, ray_lab, options, request, long_eventually, capsys):
    longer = {**options, "epochs": LONGER // 4}
    control = finetune(ray_lab, longer, "process").wait(300)
    chance = random.Random(7)
    deaths = [kind for _ in range(request.config.getoption("deaths")) for kind in KINDS]
    for kind in deaths:
        job = finetune(ray_lab, longer, "ray")
        at = chance.randrange(5, 100)
        long_eventually(lambda job=job, at=at: (steps(job) or [0])[-1] >= at, 180)
        cluster.kill(kind)
        took_s = long_eventually(lambda job=job: ray_lab.store.job(job.id).state not in RUNS, 60)
        ended = ray_lab.store.job(job.id)
        assert took_s <= 30, (kind, took_s)
        assert ended.state in (JobState.PREEMPTED, JobState.FAILED), ended
        assert ended.error or ray_lab.store.history(job.id)[-1][3], "it is not said what died"
        said = ended.error or ray_lab.store.history(job.id)[-1][3]
        if kind != "driver":
            cluster.stop()
            cluster.start()
        again = ray_lab.jobs.resume(job.id).wait(300)
        assert again.job.attempt == 2
        assert steps(again) == list(range(1, LONGER + 1)), "each step once"
        first = next((n for n, loss in losses(control).items() if losses(again).get(n) != loss), None)
        assert first is None, f"{kind}: the loss of step {first} is another than in the unbroken training"
        assert again.outcome["adapter"]["sha256"] == control.outcome["adapter"]["sha256"], kind
        with capsys.disabled():
            print(f"\n{kind}: {ended.state} after {took_s:.1f} s at step {at}: {said}", flush=True)


def test_a_status_alone_says_running_for_ever(cluster, ray_lab, options, long_eventually):
    """The control: without the question to the node and the clock, nobody notices that the node died."""
    job = finetune(ray_lab, options, "ray", epochs=2000)
    long_eventually(lambda: steps(job), 180)
    entry = ray_lab.store.job(job.id).handle["entry"]
    status = Cluster(entry["address"])
    cluster.kill("raylet")
    long_eventually(lambda: ray_lab.store.job(job.id).state not in RUNS, 60)
    deadline = time.monotonic() + LOST_S
    while time.monotonic() < deadline:
        assert status.job(entry["submission"])["status"] == "RUNNING"
        time.sleep(1)
    cluster.stop()


def test_two_workers_learn_what_one_does(ray_lab, options, control):
    shared = finetune(ray_lab, options, "ray", workers=2).wait(300)
    one, two = weights(control), weights(shared)
    assert shared.outcome["loss"] == pytest.approx(control.outcome["loss"], abs=1e-5)
    assert shared.outcome["validation_loss"] == pytest.approx(control.outcome["validation_loss"], abs=1e-5)
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    assert steps(shared) == list(range(1, STEPS + 1))


def test_two_workers_stop_and_go_on_as_one(ray_lab, options, control, long_eventually):
    job = finetune(ray_lab, options, "ray", workers=2)
    long_eventually(lambda: (steps(job) or [0])[-1] >= 20, 180)
    job.cancel()
    long_eventually(lambda: ray_lab.store.job(job.id).state.ended, 30)
    assert ray_lab.store.job(job.id).state is JobState.CANCELLED
    reached = len(steps(job))
    assert reached < STEPS
    alone = {**job.job.spec, "workers": 1}
    following = ray_lab.store.requeue(job.id, attempt=1, why="with one worker", spec=alone, by_hand=True)
    ray_lab.jobs._recovery.launch(following, seen=following.handle)
    again = ray_lab.jobs.get(job.id).wait(300)
    assert steps(again) == list(range(1, STEPS + 1))
    assert again.outcome["loss"] == pytest.approx(control.outcome["loss"], abs=1e-5)


def test_a_preempted_job_keeps_its_last_step(ray_lab, options, long_eventually):
    job = finetune(ray_lab, options, "ray", save_every=10_000, epochs=2000)
    long_eventually(lambda: (steps(job) or [0])[-1] >= 11, 180)
    job.simulate_preemption()
    assert ray_lab.store.job(job.id).state is JobState.PREEMPTED
    kept = max(path.name for path in job.folder.checkpoints.iterdir())
    assert int(kept.removeprefix("step-")) == steps(job)[-1]
    job.cancel()
    long_eventually(lambda: ray_lab.store.job(job.id).state.ended, 60)


def test_a_supervisor_that_dies_is_followed_by_one_that_comes_back(ray_lab, options, control, long_eventually):
    job = finetune(ray_lab, options, "ray")
    long_eventually(lambda: (steps(job) or [0])[-1] >= 20, 180)
    from mlaas_lab.processes import find

    find(ray_lab.store.job(job.id).handle).kill()
    done = ray_lab.jobs.get(job.id).wait(300)
    assert done.job.attempt == 1, "the entry never stopped"
    assert steps(done) == list(range(1, STEPS + 1)), "no line lost, none doubled"
    assert done.outcome["adapter"]["sha256"] == control.outcome["adapter"]["sha256"]


def test_evaluation_is_the_same(ray_lab, chats):
    spec = build(Eval, {"data": chats, "targets": "echo/a,echo/b", "metrics": "exact_match,token_f1"})
    here = ray_lab.submit("eval", spec, executor="process", force=True, wait=False).wait(120)
    there = ray_lab.submit("eval", spec, executor="ray", force=True, wait=False).wait(120)
    assert there.outcome["summary"] == here.outcome["summary"]
    assert there.outcome["verdicts"] == here.outcome["verdicts"]
    assert Path(there.outcome["records"]).exists()
    outcome = json.loads(there.folder.outcome.read_text())
    assert outcome["datasets"][0]["path"] == str(chats), "as the user named it"


def test_a_killed_evaluation_asks_nothing_twice(ray_lab, cluster, chats, long_eventually):
    def evaluate(server: Loopback, executor: str) -> JobHandle:
        target = f"openai/m?base_url={server.base_url}"
        spec = build(Eval, {"data": chats, "targets": target, "concurrency": 1})
        return ray_lab.submit("eval", spec, executor=executor, force=True, wait=False)

    with Loopback(faults=[Fault(delay_s=0.1)] * 40) as server, Loopback() as other:
        job = evaluate(server, "ray")
        long_eventually(lambda: len(server.requests) >= 12, 120)
        cluster.kill("driver")
        long_eventually(lambda: ray_lab.store.job(job.id).state not in RUNS, 30)
        asked = len(server.requests)
        assert asked < 40
        again = ray_lab.jobs.resume(job.id).wait(120)
        whole = evaluate(other, "process").wait(120)
        assert len(server.requests) <= 41, "only what was in flight is asked again"
    assert [line["mean"] for line in again.outcome["summary"]] == [line["mean"] for line in whole.outcome["summary"]]
    assert [line["n"] for line in again.outcome["summary"]] == [40, 40]


def test_storage_elsewhere_comes_home(ray_lab, options, tmp_path, monkeypatch):
    monkeypatch.setenv("MLAAS_RAY_STORAGE", str(tmp_path / "shared"))
    lab = Lab()
    job = finetune(lab, options, "ray", epochs=5).wait(300)
    adapter = Path(job.outcome["adapter"]["path"])
    assert adapter == job.folder.adapter
    assert (adapter / "adapter_model.safetensors").exists()
    assert (tmp_path / "shared" / job.id / "checkpoints").is_dir()
    lab.store.close()


def test_an_open_cluster_is_refused(ray_lab, cluster, options, ray_folder):
    cluster.stop()
    cluster.start(token=False)
    try:
        with pytest.raises(JobError, match="takes jobs from everybody"):
            finetune(ray_lab, options, "ray").wait(60)
    finally:
        cluster.stop()


def test_watch_without_its_clock_never_ends(cluster, ray_lab, options, long_eventually, monkeypatch):
    """The sabotaged twin of the watch: the same eyes, no clock."""
    job = finetune(ray_lab, options, "ray", epochs=2000)
    long_eventually(lambda: steps(job), 180)
    entry = ray_lab.store.job(job.id).handle["entry"]

    class Patient(Watch):
        lost = None

    sound, patient = (kind(Cluster(entry["address"]), entry["submission"]) for kind in (Watch, Patient))
    cluster.kill("gcs_server")
    long_eventually(lambda: sound.lost, 30)
    assert patient.ended is None
    assert patient.lost is None
    sound.close()
    patient.close()
    long_eventually(lambda: ray_lab.store.job(job.id).state not in RUNS, 60)
    cluster.stop()
