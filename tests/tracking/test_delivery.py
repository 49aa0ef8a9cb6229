"""Delivery to a real server that dies, is sick, loses answers, refuses: nothing lost, nothing doubled."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import pytest
from faults.proxy import Sick
from mlflow_loopback import refusal

from mlaas_lab import tracking
from mlaas_lab.errors import TrackingError
from mlaas_lab.schema import JobState
from mlaas_lab.tracking import outbox
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect, experiment


def _patiently(act, *, tries=8):
    """What a supervisor does: again after each failure."""
    for _ in range(tries):
        try:
            return act()
        except TrackingError:
            time.sleep(0.1)
    return act()


def _runs(settings, job_id):
    client = connect(settings)
    return client.search_runs([experiment(client, settings)], f"tags.`mlaas.job_id` = '{job_id}'")


def _exactly(found, said):
    """Set equality, and no row twice."""
    rows = Counter(found)
    assert set(rows) == said
    assert set(rows.values()) <= {1}


class TestServerDies:
    def test_killed_in_mid_stream_and_restarted(self, server, job, log, remote, stored):
        folder = job("dies")
        said = log(folder, 0, 1500)
        delivery = Delivery(folder, remote)
        delivery.start()
        sent, send = [], delivery._send

        def killing(run_id, points):
            if len(sent) == 1:
                server.kill()
            sent.append(len(points))
            return send(run_id, points)

        delivery._send = killing
        began = time.monotonic()
        with pytest.raises(TrackingError):
            delivery.drain()
        assert time.monotonic() - began < 10
        kept = tracking.delivered(folder)
        assert (kept.sent, tracking.undelivered(folder)) == (1000, 2000)
        said |= log(folder, 1500, 2000)  # the job goes on
        server.start()
        done = _patiently(lambda: delivery.finish(JobState.SUCCEEDED))
        assert (done.sent, done.finished, tracking.undelivered(folder)) == (4000, True, 0)
        _exactly(stored(done.run_id, remote), said)

    def test_the_deliverer_is_killed_again_and_again(self, job, log, remote, stored):
        folder = job("killed")
        said = log(folder, 0, 3000)
        code = (
            "import sys; from pathlib import Path; from mlaas_lab.settings import Settings\n"
            "from mlaas_lab.store.folder import JobFolder\n"
            "from mlaas_lab.tracking import delivery\n"
            "delivery.BATCH = 100\n"
            "d = delivery.Delivery(JobFolder(sys.argv[1]), Settings.model_validate_json(sys.argv[2]))\n"
            "d.start(); print('go', flush=True); d.drain()"
        )
        words = [sys.executable, "-c", code, str(folder.path), remote.model_dump_json()]
        killed = 0
        for wait_s in (0.11, 0.31, 0.23):
            process = subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ)
            process.stdout.readline()
            time.sleep(wait_s)
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert killed
        run_id = tracking.delivered(folder).run_id
        done = Delivery(folder, remote).finish(JobState.SUCCEEDED)
        assert done.run_id == run_id
        _exactly(stored(run_id, remote), said)


LOST_REPLY = Sick(lost=True)


class TestServerIsSick:
    @pytest.mark.parametrize(
        "sick",
        [
            Sick(status=500, body="boom"),
            Sick(status=429, body="later"),
            Sick(status=401, body="who?"),
            Sick(status=503),
            Sick(status=404, body="<html>nginx</html>"),
            Sick(status=200, body="<html>please log in</html>"),
            LOST_REPLY,
            Sick(half=True),
            refusal("(sqlite3.OperationalError) database or disk is full", "TEMPORARILY_UNAVAILABLE", status=503),
            refusal("QueuePool limit of size 5 overflow 10 reached, connection timed out", "BAD_REQUEST"),
            Sick(delay_s=2.5),
        ],
        ids=[
            *("500", "429", "401", "503", "wrong address", "login page"),
            *("lost reply", "half a reply", "its disk is full", "its pool is empty", "slow"),
        ],
    )
    def test_heals_without_loss(self, sick, proxy, job, log, remote, stored, request):
        folder = job(request.node.callspec.id.replace(" ", "-"))
        said = log(folder, 0, 300)
        delivery = Delivery(folder, remote)
        delivery.start()
        proxy.sick = lambda _method, path: sick if "log-batch" in path else None
        for _ in range(2 if sick.delay_s == 0 else 1):
            began = time.monotonic()
            with pytest.raises(TrackingError) as caught:
                delivery.drain()
            assert time.monotonic() - began < 20
            assert "\n" not in str(caught.value)
            assert tracking.undelivered(folder) == 600
        if sick.delay_s == 0:
            proxy.sick = lambda _method, _path: None
        said |= log(folder, 300, 310)
        done = _patiently(lambda: delivery.finish(JobState.SUCCEEDED))
        assert (done.sent, done.parked, done.finished) == (620, (), True)
        _exactly(stored(done.run_id, remote), said)

    def test_without_keeping_what_failed_it_would_be_lost(self, proxy, job, log, remote, stored):
        folder = job("fire-and-forget")
        said = log(folder, 0, 300)
        delivery = Delivery(folder, remote)
        delivery.start()
        send = delivery._send

        def forgetful(run_id, points):
            try:
                return send(run_id, points)
            except TrackingError:
                return []

        delivery._send = forgetful
        proxy.sick = lambda _method, path: Sick(status=500) if "log-batch" in path else None
        delivery.drain()
        proxy.sick = lambda _method, _path: None
        said |= log(folder, 300, 310)
        done = delivery.finish(JobState.SUCCEEDED)
        assert done.finished
        assert len(said - set(stored(done.run_id, remote))) == 600

    def test_a_server_that_fails_gets_smaller_requests(self, proxy, job, log, remote):
        folder = job("smaller")
        log(folder, 0, 600)
        delivery = Delivery(folder, remote)
        delivery.start()
        proxy.sick = lambda _method, path: Sick(status=413) if "log-batch" in path else None
        for _ in range(2):
            with pytest.raises(TrackingError):
                delivery.drain()
        proxy.sick = lambda _method, _path: None
        proxy.ledger.clear()
        delivery.drain()
        assert sum("log-batch" in line for line in proxy.ledger) == 5  # 1,200 metrics in batches of 250


class TestOneRun:
    def test_a_crash_before_the_id_is_noted(self, job, log, remote):
        folder = job("crash")
        log(folder, 0, 3)
        dying = Delivery(folder, remote)

        def crash(_state):
            raise KeyboardInterrupt

        dying._keep = crash
        with pytest.raises(KeyboardInterrupt):
            dying.start()
        assert tracking.delivered(folder).run_id is None
        run_id = Delivery(folder, remote).finish(JobState.SUCCEEDED).run_id
        assert [run.info.run_id for run in _runs(remote, "crash")] == [run_id]

    def test_without_looking_for_the_tag_it_would_be_two(self, job, remote, monkeypatch):
        folder = job("blind")
        dying = Delivery(folder, remote)
        dying._keep = lambda _state: 1 / 0
        with pytest.raises(ZeroDivisionError):
            dying.start()
        monkeypatch.setattr("mlaas_lab.tracking.opening.find", lambda *_words: [])
        Delivery(folder, remote).start()
        monkeypatch.undo()
        assert len(_runs(remote, "blind")) == 2

    def test_the_answer_is_lost(self, proxy, job, remote):
        folder = job("lost")
        proxy.sick = lambda _method, path: LOST_REPLY if path.endswith("runs/create") else None
        delivery = Delivery(folder, remote)
        with pytest.raises(TrackingError):
            delivery.start()
        delivery.start()
        assert len(_runs(remote, "lost")) == 1

    def test_a_run_that_came_late_is_removed(self, proxy, job, log, remote, stored):
        folder = job("late")
        said = log(folder, 0, 5)
        late = [Sick(delay_s=4)]
        proxy.sick = lambda _method, path: late.pop() if path.endswith("runs/create") and late else None
        delivery = Delivery(folder, remote)
        with pytest.raises(TrackingError):
            delivery.start()
        delivery.start()
        time.sleep(2.5)
        assert len(_runs(remote, "late")) == 2
        run_id = delivery.finish(JobState.SUCCEEDED).run_id
        assert [run.info.run_id for run in _runs(remote, "late")] == [run_id]
        _exactly(stored(run_id, remote), said)


class TestRefusals:
    def test_one_bad_metric_is_parked_and_the_rest_arrives(self, job, log, remote, stored):
        folder = job("bad")
        said = log(folder, 0, 200)
        with folder.events.open("a") as file:
            for key in ("k" * 300, "what?!"):
                file.write(json.dumps({"at": 1.0, "event": "metrics", "step": 1, "values": {key: 1.0}}) + "\n")
        said |= log(folder, 200, 210)
        done = Delivery(folder, remote).finish(JobState.SUCCEEDED)
        assert [one.what[:5] for one in done.parked] == ["kkkkk", "what?"]
        assert all(one.reason and one.offset for one in done.parked)
        assert (done.sent, done.finished, tracking.undelivered(folder)) == (420, True, 0)
        _exactly(stored(done.run_id, remote), said)
        assert "what?!" in tracking.run_info(done.run_id, remote).tags["mlaas.parked"]

    def test_what_was_parked_is_not_tried_again(self, proxy, job, log, remote):
        folder = job("parked")
        log(folder, 0, 1)
        delivery = Delivery(folder, remote)
        delivery.start()
        proxy.sick = lambda _method, path: refusal("never") if "log-batch" in path else None
        assert [one.reason.partition("never")[1] for one in delivery.drain().parked] == ["never"] * 2
        proxy.ledger.clear()
        delivery.drain()
        assert proxy.ledger == []

    def test_a_deleted_run_stops_the_sending_and_loses_nothing(self, proxy, job, log, remote, stored):
        folder = job("deleted")
        said = log(folder, 0, 10)
        delivery = Delivery(folder, remote)
        run_id = delivery.drain().run_id
        connect(remote).delete_run(run_id)
        said |= log(folder, 10, 20)
        with pytest.raises(TrackingError, match="was deleted"):
            delivery.drain()
        proxy.ledger.clear()
        assert "was deleted" in delivery.drain().refused
        assert proxy.ledger == []
        assert tracking.undelivered(folder) == 20
        connect(remote).restore_run(run_id)
        assert Delivery(folder, remote).finish(JobState.SUCCEEDED).refused is None
        _exactly(stored(run_id, remote), said)

    def test_a_deleted_run_can_be_sent_to_a_new_one(self, job, log, remote, stored):
        folder = job("anew")
        said = log(folder, 0, 10)
        first = Delivery(folder, remote).finish(JobState.SUCCEEDED).run_id
        connect(remote).delete_run(first)
        tracking.forget(folder)
        second = Delivery(folder, remote).finish(JobState.SUCCEEDED).run_id
        assert second != first
        _exactly(stored(second, remote), said)


class TestRepeats:
    """The offset is a convenience; what makes repeats harmless is that a line keeps its time."""

    def _twice(self, folder, settings):
        done = Delivery(folder, settings).drain()
        replace(done, offset=0).write(folder)
        return Delivery(folder, settings).drain().run_id

    def test_a_forgotten_offset_doubles_nothing(self, job, log, remote, stored):
        folder = job("forgetful")
        said = log(folder, 0, 100)
        _exactly(stored(self._twice(folder, remote), remote), said)

    def test_with_the_time_of_sending_it_would(self, job, log, remote, stored, monkeypatch):
        real = outbox.point
        monkeypatch.setattr(outbox, "point", lambda *words, at_s, **more: real(*words, at_s=time.time(), **more))
        folder = job("sabotaged")
        said = log(folder, 0, 100)
        found = stored(self._twice(folder, remote), remote)
        assert len(found) > len(said)


def test_what_is_not_finite(job, log, remote):
    folder = job("nan")
    log(folder, 0, 3, norm=float("inf"), other=float("nan"))
    done = Delivery(folder, remote).finish(JobState.FAILED)
    rows = connect(remote).get_metric_history(done.run_id, "norm")
    assert [row.value != row.value for row in rows] == [True] * 3
    info = tracking.run_info(done.run_id, remote)
    assert info.tags["mlaas.not_finite"] == "norm at step 0, other at step 0"
    assert info.status == "FAILED"


@pytest.mark.parametrize("sabotaged", [False, True], ids=["", "sabotaged"])
def test_no_secret_arrives(server, job, log, remote, monkeypatch, sabotaged):
    if sabotaged:
        for module in ("params", "delivery"):
            monkeypatch.setattr(f"mlaas_lab.tracking.{module}.redacted", lambda text: text)
        monkeypatch.setattr("mlaas_lab.tracking.params.is_secret", lambda _name: False)
    canary = "sk-CANARY1234567890abcdef"
    folder = job(
        f"secret-{sabotaged}", targets=[f"openai/m?api_key={canary}"], api_key=canary, system=f"my key is {canary}"
    )
    (folder.path / "error.json").write_text(json.dumps({"message": f"401 for {canary}"}))
    log(folder, 0, 1)
    run_id = Delivery(folder, remote).finish(JobState.FAILED).run_id
    info = tracking.run_info(run_id, remote)
    kept = (server.folder / "mlflow.db").read_bytes().decode("latin-1")
    assert ("CANARY" in str(info)) is ("CANARY" in kept) is sabotaged
    assert sabotaged or info.params["targets"] == "openai/m?api_key=***"
