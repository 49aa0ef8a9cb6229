"""A server never outlives its owner, however that one ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from mlaas_lab.environment import surroundings
from mlaas_lab.serving._process import Server

SLEEP = "import time; time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
FAMILY = (  # a child, and a grandchild whose parent is gone
    "import subprocess, sys, time;"
    f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}, MARK]);"
    "subprocess.run([sys.executable, '-c', 'import subprocess, sys;"
    f'subprocess.Popen([sys.executable, "-c", "{SLEEP}", sys.argv[1]])\', MARK]);'
    "print('up', flush=True); time.sleep(600)"
)
OWNER = """
import sys, time
from pathlib import Path
from mlaas_lab.serving._process import Server
from mlaas_lab.environment import surroundings
server = Server(sys.argv[2:], folder=Path(sys.argv[1]), log=Path(sys.argv[1]) / "log", environment=surroundings())
print("started", flush=True)
time.sleep(600)
"""
CARELESS = """
import subprocess, sys, time
subprocess.Popen(sys.argv[2:], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""


def marked(mark: str) -> list[psutil.Process]:
    """Living processes with `mark` on their command line."""
    found = []
    for process in psutil.process_iter():
        try:
            if mark in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def wait_for(condition, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def mark(tmp_path: Path):
    """A word for the command lines of this test; what still carries it afterwards is killed."""
    word = f"mark-{tmp_path.name}-{time.time_ns()}"
    yield word
    for process in marked(word):
        process.kill()


def start(tmp_path: Path, code: str, mark: str) -> Server:
    command = [sys.executable, "-c", code.replace("MARK", repr(mark)), mark]
    return Server(command, folder=tmp_path, log=tmp_path / "log", environment=surroundings())


def test_stop_ends_the_whole_family(tmp_path, mark):
    server = start(tmp_path, FAMILY, mark)
    assert wait_for(lambda: "up" in server.printed(), 30)
    assert len(marked(mark)) >= 4  # watcher, server, child, orphan
    server.stop()
    assert marked(mark) == []
    server.stop()


def test_stop_kills_what_ignores_the_request(tmp_path, mark):
    server = start(tmp_path, STUBBORN, mark)
    assert wait_for(lambda: "up" in server.printed(), 30)
    begun = time.monotonic()
    server.stop()
    assert marked(mark) == []
    assert time.monotonic() - begun < 8


@pytest.mark.parametrize(("owner_code", "survivors"), [(OWNER, False), (CARELESS, True)], ids=["ours", "sabotaged"])
def test_kill_of_the_owner(tmp_path, mark, owner_code, survivors):
    command = [sys.executable, "-c", FAMILY.replace("MARK", repr(mark)), mark]
    owner = subprocess.Popen([sys.executable, "-c", owner_code, str(tmp_path), *command], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"started\n"
    assert wait_for(lambda: len(marked(mark)) >= 4, 30)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    gone = wait_for(lambda: not marked(mark), 3 if survivors else 10)
    assert gone is not survivors


def test_kill_of_the_watcher(tmp_path, mark):
    server = start(tmp_path, FAMILY, mark)
    assert wait_for(lambda: "up" in server.printed(), 30)
    server._watcher.kill()
    assert wait_for(lambda: server.exit_code is not None, 5)
    server.stop()
    assert marked(mark) == []


def test_a_dead_server_says_how_it_ended_and_leaves_no_child(tmp_path, mark):
    code = FAMILY.replace("print('up', flush=True); time.sleep(600)", "print('boom', flush=True); sys.exit(3)")
    server = start(tmp_path, code, mark)
    assert wait_for(lambda: server.exit_code is not None, 30)
    assert server.exit_code == 3
    assert "boom" in server.printed()
    assert marked(mark) == []


def test_printed_leaves_out_what_stood_in_the_log_before(tmp_path, mark):
    (tmp_path / "log").write_text("address already in use\n")
    server = start(tmp_path, "print('mine')", mark)
    assert wait_for(lambda: server.exit_code == 0, 30)
    assert server.printed() == "mine\n"


SHARING = (  # as vLLM does: a segment that nobody who is killed takes away
    "import time;"
    "from multiprocessing import resource_tracker, shared_memory;"
    "one = shared_memory.SharedMemory(create=True, size=4096);"
    "resource_tracker.unregister(one._name, 'shared_memory');"
    "print('shares', one.name, flush=True); time.sleep(600)"
)


def segment(printed: str) -> Path:
    return Path("/dev/shm") / printed.split()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="named in /proc")
def test_shared_memory_is_given_back_and_only_that_of_the_server(tmp_path, mark):
    other = subprocess.Popen([sys.executable, "-c", SHARING, mark], stdout=subprocess.PIPE, text=True)
    try:
        kept = segment(other.stdout.readline())
        server = start(tmp_path, SHARING.replace("time.sleep(600)", STUBBORN), mark)
        assert wait_for(lambda: "up" in server.printed(), 30)
        shared = segment(server.printed())
        assert shared.exists()
        server.stop()
        assert not shared.exists()
        other.kill()
        other.wait()
        assert kept.exists(), "the control: who is killed by anybody else leaves it behind"
    finally:
        other.kill()
        other.stdout.close()
        kept.unlink(missing_ok=True)


@pytest.mark.skipif(sys.platform != "linux", reason="named in /proc")
def test_so_is_it_after_the_watcher_was_killed(tmp_path, mark):
    server = start(tmp_path, SHARING, mark)
    assert wait_for(lambda: "shares" in server.printed(), 30)
    shared = segment(server.printed())
    server._watcher.kill()
    assert wait_for(lambda: server.exit_code is not None, 5)
    assert shared.exists()
    server.stop()
    assert not shared.exists()


SEMAPHORE = (  # one that is known by its name, as processes that are spawned share it
    "import multiprocessing, os, time;"
    "lock = multiprocessing.get_context('spawn').Lock();"
    "print('shares', 'sem.' + lock._semlock.name.lstrip('/'), flush=True); time.sleep(600)"
)


@pytest.mark.skipif(sys.platform != "linux", reason="named in /proc")
def test_a_semaphore_is_given_back(tmp_path, mark):
    server = start(tmp_path, SEMAPHORE.replace("time.sleep(600)", STUBBORN), mark)
    assert wait_for(lambda: "up" in server.printed(), 30)
    shared = segment(server.printed())
    assert shared.exists()
    server.stop()
    assert not shared.exists()


BOUND = (  # as vLLM's processes do, who talk to each other
    "import socket, tempfile, time;"
    "one = socket.socket(socket.AF_UNIX); one.bind(tempfile.gettempdir() + '/' + 36 * 'x');"
    "print('up', one.getsockname(), flush=True); time.sleep(600)"
)


@pytest.mark.parametrize("dies", ["nobody", "watcher", "server"])
def test_its_files_go_with_it(tmp_path, mark, dies):
    server = start(tmp_path, BOUND, mark)
    assert wait_for(lambda: "up" in server.printed(), 30)
    bound = Path(server.printed().split()[1])
    assert bound.is_socket()
    if dies == "watcher":
        server._watcher.kill()
    if dies == "server":
        psutil.Process(server._watcher.pid).children()[0].kill()
        assert wait_for(lambda: not bound.parent.exists(), 10)
    server.stop()
    assert not bound.parent.exists()
