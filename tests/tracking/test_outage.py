"""MLflow goes away under running jobs: they notice nothing, and afterwards it has exactly what they measured."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from mlaas_lab import registry
from mlaas_lab.cli import main
from mlaas_lab.commands.doctor import command as doctor
from mlaas_lab.commands.sync import command as sync
from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import read
from mlaas_lab.store import ALIVE
from mlaas_lab.tracking import delivered, undelivered

Toy = registry.load("task", "toy_tracked").spec
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def tracked(server, home):
    """A lab whose jobs are tracked by the real server."""
    lab = Lab(Preferences().flag(tracking_uri=server.url))
    yield lab
    for job in lab.store.jobs(states=ALIVE):
        lab.jobs.cancel(job.id).wait_end(20)
    lab.store.close()


def gaps_s(folder):
    """Seconds between two steps, sorted."""
    times = [line["at"] for _, line in folder.events_from() if line["event"] == "metrics"]
    return sorted(b - a for a, b in itertools.pairwise(times))


@pytest.mark.parametrize("outage_s", [3, pytest.param(60, marks=pytest.mark.long)])
def test_server_is_killed_under_running_jobs(tracked, server, curves, measured, eventually, outage_s):
    options = {"steps": 1_000_000, "pause_s": 0.02}
    plain = tracked.submit("toy_tracked", Toy(name="plain", **options))
    hit = tracked.submit("toy_long_tracked", Toy(name="hit", **options))
    for handle in (plain, hit):
        eventually(lambda handle=handle: delivered(handle.folder).sent > 20, 60)
    server.kill()
    try:
        time.sleep(outage_s / 2)
        os.kill(hit.job.handle["pid"], signal.SIGKILL)
        eventually(lambda: hit.job.attempt == 2, 30)
        time.sleep(outage_s / 2)
        waited = [undelivered(handle.folder) for handle in (plain, hit)]
    finally:
        server.start()
    eventually(lambda: all(delivered(handle.folder).last_step > 150 for handle in (plain, hit)), 90)
    for handle in (plain, hit):
        assert handle.cancel().wait_end(60)
    sync.run(read(sync.args, ()), tracked)
    gaps = gaps_s(plain.folder)
    print(f"\n{outage_s} s away: {waited} metrics waited; {len(gaps)} steps of 20 ms, gaps: median", end=" ")
    print(f"{gaps[len(gaps) // 2] * 1000:.0f} ms, 99.9 % {gaps[int(len(gaps) * 0.999)] * 1000:.0f} ms,", end=" ")
    print(f"longest {gaps[-1] * 1000:.0f} ms")
    for handle, waiting in ((plain, waited[0]), (hit, waited[1])):
        assert waiting > 20, "there was an outage"
        said = Counter(measured(handle.folder))
        assert Counter(curves(handle.job.run_id, tracked.settings)) == said
        steps = [row[1] for row in said]
        assert steps == list(range(len(steps)))
    assert gaps[-1] < 1.5, "a step waited for MLflow"
    assert delivered(hit.folder).attempt == 2


def test_shell_is_not_clean_until_everything_is_delivered(home, local, capfd):
    away = ["--set", f"tracking_uri={NOBODY}"]
    assert main([*away, "toy_tracked", "--steps", "7", "--name", "cut", "--json"]) == 1
    out, said = capfd.readouterr()
    shown = json.loads(out)
    assert (shown["state"], shown["counted"], shown["undelivered"]) == ("succeeded", 7, 8)
    (line,) = [line for line in said.splitlines() if "wait for MLflow" in line]
    assert line == f"mlaas: job {shown['job_id']}: 8 metrics and results wait for MLflow; `mlaas sync` delivers."
    for words in (["wait", "cut"], ["attach", "cut"]):
        assert main(words) == 1
        out, said = capfd.readouterr()
        assert "8 metrics and results" in out, "the card says so too"
        assert said.count("wait for MLflow") == 1
    assert main(["jobs", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["jobs"][0]["undelivered"] == 8
    lab = Lab(Preferences().flag(tracking_uri=NOBODY))
    (check,) = [check for check in doctor.run(doctor.args(), lab).checks if check.name == "MLflow outbox"]
    assert (check.ok, check.fix) == (False, "mlaas sync")
    assert check.detail.startswith("8 metrics and results wait for MLflow, of 1 jobs. MLflow at http://127.0.0.1:9")
    back = ["--set", f"data_dir={lab.settings.data_dir}", "--set", f"tracking_uri={local.mlflow_uri}"]
    assert main([*back, "sync"]) == 0
    for words in (["wait", "cut"], ["jobs"], ["doctor"]):
        assert main(words) == 0
        assert "wait for MLflow" not in "".join(capfd.readouterr())


SYNC = """
import sys
from contextlib import nullcontext
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tracking import delivery
from mlaas_lab.errors import TrackingError
delivery.BATCH = 20
if sys.argv[3] == "unlocked":
    delivery.FileLock = lambda *words, **more: nullcontext()
one = delivery.Delivery(JobFolder(sys.argv[1]), Settings.model_validate_json(sys.argv[2]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(60):
    try:
        one.finish(JobState.SUCCEEDED)
        break
    except TrackingError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.parametrize("how", ["locked", "unlocked"])
def test_supervisor_and_sync_deliver_the_same_outbox_at_once(proxy, job, log, remote, stored, how):
    folder = job(how)
    said = log(folder, 0, 200)
    words = [sys.executable, "-c", SYNC, str(folder.path), remote.model_dump_json(), how]
    both = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for _ in range(2)
    ]
    for process in both:
        process.stdout.readline()
    for process in both:
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(120) for process in both] == [0, 0]
    done = delivered(folder)
    assert done.finished
    found = stored(done.run_id, remote)
    assert (len(found), set(found)) == (400, said)
    asked = zip(proxy.ledger, proxy.bodies, strict=True)
    sent = sum(len(json.loads(body).get("metrics", ())) for line, body in asked if line.endswith("log-batch"))
    if how == "locked":
        assert (sent, done.sent) == (400, 400), "nothing was even sent twice"
    else:
        assert sent > 400, "this test would see it"
