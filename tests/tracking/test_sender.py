"""The sender never makes anybody wait: not the loop that logs, not the end of the job."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

import pytest
from made_evaluation import fill

from mlaas_lab import tracking
from mlaas_lab.context import Context
from mlaas_lab.errors import TrackingError
from mlaas_lab.schema import JobState
from mlaas_lab.tracking.sender import Sender


@pytest.fixture
def silent():
    """A server that accepts and never answers: the worst kind of away."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_delivers_while_the_job_runs_and_when_it_ends(job, log, local):
    folder = job("sent")
    log(folder, 0, 10)
    sender = Sender(folder, local)
    sender.start()
    deadline = time.monotonic() + 60
    while tracking.undelivered(folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert tracking.delivered(folder).sent == 20
    log(folder, 10, 12)
    sender.finish(JobState.SUCCEEDED, within_s=60)
    sender.linger(60)
    assert not sender.is_alive()
    assert (sender.trouble, sender.run_id) == (None, tracking.delivered(folder).run_id)
    assert tracking.delivered(folder).finished
    assert tracking.undelivered(folder) == 0


def test_the_end_does_not_wait_for_what_only_illustrates(job, local, monkeypatch):
    """The numbers are there when `finish` returns; traces may take their time, and `linger` waits for them."""
    folder, held = fill(job("traced")), threading.Event()
    real = tracking.Delivery.illustrate

    def slow(delivery):
        held.wait(60)
        return real(delivery)

    monkeypatch.setattr(tracking.Delivery, "illustrate", slow)
    sender = Sender(folder, local)
    sender.start()
    sender.finish(JobState.SUCCEEDED, within_s=60)
    done = tracking.delivered(folder)
    assert (done.finished, len(done.children), "traces" in done.done) == (True, 2, False)
    assert tracking.run_info(done.run_id, local).status == "FINISHED"
    held.set()
    sender.linger(60)
    assert "traces" in tracking.delivered(folder).done


def _worst_stall(folder, settings, deliver=lambda: None):
    """Longest time that logging a step took, over 3 s; and how many steps."""
    context = Context(folder, settings, job_id="stalled", name="clinc")
    worst, step, end = 0.0, 0, time.monotonic() + 3
    while time.monotonic() < end:
        began = time.monotonic()
        context.log(step, loss=1.0)
        deliver()
        worst, step = max(worst, time.monotonic() - began), step + 1
        time.sleep(0.005)
    return worst, step


def test_an_outage_stalls_neither_the_loop_nor_the_end(job, settings, silent, capsys):
    folder = job("stalled")
    import mlaas_lab.tracking.delivery  # noqa: F401 - its import alone would be the longest stall here

    away = settings.model_copy(update={"tracking_uri": silent})
    sender = Sender(folder, away)
    sender.start()
    worst, steps = _worst_stall(folder, away)
    assert worst < 1, "a request to the deaf server would take 2 s"
    assert sender.trouble is not None
    began = time.monotonic()
    sender.finish(JobState.SUCCEEDED, within_s=1)
    assert time.monotonic() - began < 10
    assert tracking.undelivered(folder) == steps
    sender.join(20)
    assert not sender.is_alive()  # in a kernel it would go on for ever
    assert capsys.readouterr().out.count("does not answer in time") == 1


def test_control_a_loop_that_sends_for_itself_stalls(job, settings, silent):
    folder = job("stalled")
    away = settings.model_copy(update={"tracking_uri": silent})
    delivery = tracking.Delivery(folder, away)

    def deliver():
        with contextlib.suppress(TrackingError):
            delivery.drain()

    assert _worst_stall(folder, away, deliver)[0] > 1.5


def test_a_deleted_run_ends_the_thread(job, log, local):
    from mlaas_lab.tracking.server import connect

    folder = job("deleted")
    log(folder, 0, 1)
    run_id = tracking.Delivery(folder, local).drain().run_id
    connect(local).delete_run(run_id)
    sender = Sender(folder, local)
    sender.start()
    sender.join(30)
    assert not sender.is_alive()
    assert "was deleted" in sender.trouble


def test_nothing_imports_mlflow_before_it_is_needed():
    code = (
        "import sys, mlaas_lab.worker, mlaas_lab.tracking, mlaas_lab.commands.sync;"
        "print([name for name in ('mlflow', 'torch', 'sqlalchemy') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
