"""What becomes of a job on a cluster is known in time, whatever the cluster says or does not say."""

import re

import pytest
from cluster.stub_ray import TOKEN, StubRay

from mlaas_lab import registry
from mlaas_lab.cluster import jobs_api, watch
from mlaas_lab.cluster.jobs_api import Cluster
from mlaas_lab.cluster.lines import turn_file
from mlaas_lab.cluster.watch import Watch
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.executors import LOST, STOPPED
from mlaas_lab.store.folder import JobFolder, read_json


@pytest.fixture
def stub(monkeypatch):
    """A cluster, and clocks that are quick."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    for name, value in (("LOOK_S", 0.02), ("NODE_S", 0.05), ("LOST_S", 1.0), ("QUIET_S", 0.2)):
        monkeypatch.setattr(watch, name, value)
    monkeypatch.setattr(jobs_api, "ANSWER_S", 0.3)
    with StubRay() as made:
        yield made


@pytest.fixture
def running(stub, settings, tmp_path):
    """A job that was just sent to the cluster."""
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    job = {"id": "j1", "task": "toy", "name": "n", "spec": {}, "attempt": 2, "executor": "ray"}
    job |= {"settings": settings.model_dump(mode="json"), "launch": {"ray_address": stub.address, "gpus": 2}}
    made = registry.load("executor", "ray").begin(folder, job, {"CUDA_VISIBLE_DEVICES": "7"})
    yield made
    made._watch.close()


def test_a_job_is_sent_with_what_it_needs(stub, running, tmp_path):
    assert stub.submitted["submission_id"] == "mlaas-j1-2"
    assert stub.submitted["entrypoint_num_gpus"] == 2
    assert "CUDA_VISIBLE_DEVICES" not in stub.submitted["runtime_env"]["env_vars"], "ours are not the cluster's"
    assert stub.submitted["runtime_env"]["working_dir"].startswith("gcs://_ray_pkg_")
    assert ("POST", "/api/jobs/mlaas-j1-1/stop") in stub.seen, "the attempt before is ended"
    assert read_json(turn_file(tmp_path / "job")) == {"attempt": 2}
    assert TOKEN not in str(stub.submitted), "the token is not the job's business"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"status": "SUCCEEDED", "driver_exit_code": 0}, 0),
        ({"status": "FAILED", "driver_exit_code": 1}, 1),
        ({"status": "FAILED", "driver_exit_code": -9}, -9),
        ({"status": "FAILED", "driver_exit_code": STOPPED}, STOPPED),
        ({"status": "STOPPED"}, STOPPED),
        ({"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED", "message": "died"}, LOST),
        ({"status": "FAILED", "error_type": "RUNTIME_ENV_SETUP_FAILURE", "message": "no"}, 1),
    ],
)
def test_every_end_has_a_status(stub, running, eventually, said, code):
    stub.output = b"a line\nand half of one"
    assert running.poll() is None
    stub.job = {**stub.job, **said}
    ends = []
    eventually(lambda: ends.append(running.poll()) or ends[-1] is not None)
    assert ends[-1] == code
    assert running._folder.log.read_text() == "a line\nand half of one\n"
    named = read_json(running._folder.path / "error.json")
    assert (named is None) is ("error_type" not in said)


@pytest.mark.parametrize(
    ("broken", "part"), [("hang", "the head at"), ("node", "raylet.*the node is away"), ("gone", "nothing listens")]
)
def test_a_cluster_that_died_is_lost(stub, running, eventually, broken, part):
    if broken == "gone":
        stub.shutdown()
        stub.server_close()
    stub.broken.add(broken)
    ends = []
    eventually(lambda: ends.append(running.poll()) or ends[-1] is not None)
    assert ends[-1] == LOST
    error = read_json(running._folder.path / "error.json")
    assert error["name"] == "ray_lost"
    assert re.search(part, error["message"])
    assert read_json(turn_file(running._folder.path)) == {"attempt": None}, "what lives on somewhere must end"


def test_without_the_question_to_the_node_it_runs_for_ever(stub, eventually):
    """The sabotaged twin: status says RUNNING, and nobody else is asked."""
    stub.broken.add("node")

    class Trusting(Cluster):
        def node_answers(self, node: str) -> None:
            del node

    sound, patient = (Watch(kind(stub.address), "mlaas-j1-1") for kind in (Cluster, Trusting))
    eventually(lambda: sound.lost)
    assert patient.lost is None
    assert patient.ended is None
    sound.close()
    patient.close()


def test_a_log_that_breaks_off_is_heard_on(stub, eventually):
    stub.output = b"0123456789\n" * 20
    seen = Watch(Cluster(stub.address), "mlaas-j1-1", skip_bytes=11)
    heard = []
    eventually(lambda: heard.append(seen.output()) or len(b"".join(heard)) >= 19 * 11)
    stub.broken.add("log")
    stub.output += b"more\n"
    eventually(lambda: heard.append(seen.output()) or b"".join(heard).endswith(b"more\n"))
    assert b"".join(heard) == (b"0123456789\n" * 20 + b"more\n")[11:]
    seen.close()


def test_stop_goes_through_the_cluster(stub, running, eventually):
    running.stop()
    eventually(lambda: ("POST", "/api/jobs/mlaas-j1-2/stop") in stub.seen)


def test_kill_takes_the_turn_away(stub, running, monkeypatch):
    monkeypatch.setattr("mlaas_lab.executors.ray.GONE_S", 0.1)
    running.kill()
    assert read_json(turn_file(running._folder.path)) == {"attempt": None}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token": ""}, "takes jobs from everybody"),
        ({"token": "another"}, "does not take our token"),
        ({"version": "2.54.0"}, "2.60 or newer"),
    ],
)
def test_clusters_that_are_refused(stub, change, words):
    for name, value in change.items():
        setattr(stub, name, value)
    with pytest.raises(JobError, match=words):
        Cluster(stub.address).check()


def test_nobody_there():
    with pytest.raises(JobError, match=r"no Ray cluster at .*nothing listens there"):
        Cluster("http://127.0.0.1:9").check()
    with pytest.raises(UsageError, match="no address"):
        Cluster("ray://x:1")


def test_services_stay_here(settings, tmp_path):
    job = {"id": "j1", "task": "serve", "spec": {}, "attempt": 1, "settings": settings.model_dump(mode="json")}
    with pytest.raises(UsageError, match="serve answers on the machine"):
        registry.load("executor", "ray").begin(JobFolder(tmp_path), job, {})
