"""What an entry writes: whole lines, each step once, also on a full disk and after a death."""

import errno
import io
import json

import pytest
import torch

from mlaas_lab import context as module
from mlaas_lab.context import Context, _starved
from mlaas_lab.store.folder import JobFolder


@pytest.fixture
def job(tmp_path, settings):
    made = []

    def make(attempt: int = 1) -> Context:
        made.append(Context(JobFolder(tmp_path), settings, job_id="j1", name="n", attempt=attempt))
        return made[-1]

    yield make
    for one in made:
        one._events.close()


def lines(context: Context) -> list[dict[str, object]]:
    return [line for _, line in context.folder.events_from()]


def test_a_later_attempt_logs_no_step_twice(job):
    first = job()
    for step in range(5):
        first.log(step, loss=1.0)
    first.log(4, accuracy=0.5)
    second = job(attempt=2)
    for step in range(3, 8):
        second.log(step, loss=2.0)
    second.log(4, accuracy=0.7)
    second.log(8, accuracy=0.9)
    logged = [(line["step"], *line["values"].items()) for line in lines(second)]
    assert [step for step, (key, _) in logged if key == "loss"] == list(range(8))
    assert [(step, value) for step, (key, value) in logged if key == "accuracy"] == [(4, 0.5), (8, 0.9)]


def test_control_an_attempt_that_does_not_look_back_doubles(job, monkeypatch):
    first = job()
    first.log(0, loss=1.0)
    monkeypatch.setattr(module, "_last_steps", lambda folder: {})
    job(attempt=2).log(0, loss=1.0)
    assert len(lines(first)) == 2


class Disk(io.RawIOBase):
    """A file on a disk that is full for a while, and takes half a line before it says so."""

    def __init__(self, refusals: int) -> None:
        self.content, self.refusals, self.tries = b"", refusals, 0

    def write(self, data: bytes) -> int:
        self.tries += 1
        if self.tries == 1:
            self.content += bytes(data[:10])
            return 10
        if self.tries <= 1 + self.refusals:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data)
        return len(data)


def test_full_disk_is_waited_out_and_the_line_is_whole(job, monkeypatch):
    monkeypatch.setattr(module, "ROOM_EVERY_S", 0.001)
    context = job()
    context._events.close()
    context._events = disk = Disk(refusals=3)
    context.log(1, loss=0.5)
    assert disk.tries == 5
    assert json.loads(disk.content)["values"] == {"loss": 0.5}


def test_full_disk_is_not_waited_out_once_the_job_must_stop(job):
    context = job()
    context._events.close()
    context._events, context.stopping = Disk(refusals=3), True
    with pytest.raises(OSError, match="No space left"):
        context.log(1, loss=0.5)


def test_allocators_are_understood_by_what_they_say():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    assert _starved(refused.value)
    with pytest.raises(MemoryError) as refused_too:
        bytearray(1 << 60)
    assert _starved(refused_too.value)
    assert _starved(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert not _starved(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
