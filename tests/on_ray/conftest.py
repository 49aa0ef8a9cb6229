"""A real Ray cluster on this machine, with a token, whose parts can be killed one by one."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
from toy_base import colour_chats, toy_base

from mlaas_lab.lab import Lab

# Without the extra there is nothing to run here: `make test-ray` sets up an environment that has it.
collect_ignore_glob = [] if find_spec("ray") else ["test_*.py"]

MARK = "MLAAS_TEST_CLUSTER"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--deaths", type=int, default=1, help="how often each part of the cluster is killed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("ray")


class LocalCluster:
    """`ray start --head` with two CPUs, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.gcs = _free(), _free()
        self.token, self.mark = secrets.token_hex(32), secrets.token_hex(8)
        self.address = f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        tools = str(Path(sys.executable).parent)
        mine = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, MARK: self.mark, "RAY_USAGE_STATS_ENABLED": "0"}
        return {**os.environ, **mine, "PATH": f"{tools}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}

    def start(self, *, token: bool = True) -> None:
        command = ["ray", "start", "--head", "--num-cpus=2", "--disable-usage-stats", f"--temp-dir={self.folder}"]
        command += [f"--port={self.gcs}", "--dashboard-host=127.0.0.1", f"--dashboard-port={self.port}"]
        command += [
            "--node-ip-address=127.0.0.1",
            f"--ray-client-server-port={_free()}",
            "--object-store-memory=100000000",
        ]
        environment = self.environment if token else {**self.environment, "RAY_AUTH_MODE": "disabled"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def members(self, part: str = "") -> list[psutil.Process]:
        """Its processes, by what their command line says."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and part in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    @property
    def whole(self) -> bool:
        """Both of its main parts run."""
        return bool(self.members("/raylet/raylet ") and self.members("/gcs/gcs_server "))

    def kill(self, part: str) -> None:
        """SIGKILL `raylet`, `gcs_server` or `driver`; `stop` is `ray stop --force`, for this cluster's processes."""
        if part == "stop":
            self.stop()
            return
        binaries = {"raylet": "/raylet/raylet ", "gcs_server": "/gcs/gcs_server ", "driver": "-m mlaas_lab.remote"}
        found = self.members(binaries[part])
        assert found, f"no {part}"
        for process in found:
            process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """What `ray stop --force` does, but to this cluster alone: SIGKILL to all at once."""
        left = self.members()
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=10)


@pytest.fixture(scope="session")
def ray_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Short, because sockets lie in it."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_cluster(ray_folder: Path) -> Iterator[LocalCluster]:
    made = LocalCluster(ray_folder)
    yield made
    made.stop()


@pytest.fixture
def cluster(shared_cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch, home: Path) -> LocalCluster:
    """The cluster, running, and known to the settings."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", shared_cluster.token)
    monkeypatch.setenv("MLAAS_RAY_ADDRESS", shared_cluster.address)
    monkeypatch.setenv("MLAAS_THREADS", "1")
    if not shared_cluster.whole:
        shared_cluster.stop()
        shared_cluster.start()
    return shared_cluster


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a toy base."""
    return toy_base(tmp_path_factory.mktemp("bases"))


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    """Forty chats with two answers of unlike length."""
    return colour_chats(tmp_path / "chats.jsonl", {"red": "red", "blue": "it is blue , very blue"})


@pytest.fixture
def long_eventually() -> Callable[..., float]:
    """Wait for something that becomes true; how long it took."""

    def wait(true: Callable[[], object], within_s: float) -> float:
        began = time.monotonic()
        while not true():
            assert time.monotonic() - began < within_s, f"not true within {within_s} s"
            time.sleep(0.05)
        return time.monotonic() - began

    return wait


@pytest.fixture
def ray_lab(cluster: LocalCluster, home: Path) -> Iterator[Lab]:
    """A lab whose jobs are on the cluster where they say so."""
    lab = Lab()
    yield lab
    lab.store.close()


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
