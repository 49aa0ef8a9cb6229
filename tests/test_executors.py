"""What every executor keeps to, seen without a cluster: handles of what is gone do no harm."""

import subprocess
import sys

import pytest

from mlaas_lab import registry
from mlaas_lab.processes import identity
from mlaas_lab.store.folder import JobFolder

NAMES = registry.names("executor")


@pytest.fixture(params=NAMES)
def executor(request):
    return registry.load("executor", request.param)


@pytest.fixture
def gone():
    """The handle of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    handle = identity(child.pid)
    child.kill()
    child.wait()
    return handle


def test_what_is_gone_is_not_alive(executor, gone):
    assert executor.is_alive(gone) is False


def test_cancelling_what_is_gone_does_nothing(executor, gone):
    executor.cancel(gone)
    executor.cancel({**gone, "entry": gone})


def test_a_recycled_pid_is_not_ours(executor):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    other = {**identity(child.pid), "started": 1.0, "birth": "another boot/1"}
    assert executor.is_alive(other) is False
    executor.cancel(other)
    assert child.poll() is None
    child.kill()
    child.wait()


def test_there_is_nothing_to_come_back_to(executor, tmp_path, gone):
    assert executor.again(JobFolder(tmp_path), gone) is None
    assert isinstance(executor.outlives, bool)
