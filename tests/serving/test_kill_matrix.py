"""Nothing is left behind: every part of a server is killed in turn, and what survives is looked for. Prints a table.

It is a user's whole lab: a kernel that submits, the supervisor, the entry, the watcher, and the engine's processes.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlaas_lab.job import JobHandle
from mlaas_lab.serving import _process

KERNEL = """
import json, sys, time
import mlaas_lab as ml
job = ml.serve(**json.loads(sys.argv[1]))
job.wait()
print(job.id, flush=True)
time.sleep(1e6)
"""
GONE_S = 10.0
KIB, MIB = 2**10, 2**20
SPARE = 256 * MIB
"""Of the machine's memory; so much comes and goes by itself."""
NOTICED_S = 20.0
"""For an engine that is dead inside: its API server notices when it is asked for a token, every two seconds here."""
ANEW_S = 600.0
WATCHER, API = "mlaas_lab.serving._process", ("mlaas_lab.serving._transformers_server", "vllm.entrypoints")


class Server:
    """A server of one job, from its supervisor to its last child."""

    def __init__(self, lab, words):
        self.kernel = subprocess.Popen(
            [sys.executable, "-c", KERNEL, json.dumps(words)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        job_id = self.kernel.stdout.readline().strip()
        assert job_id, "it was never ready"
        self.job: JobHandle = lab.jobs.get(job_id)
        (place,) = {one.base_url for one in lab.store.endpoints() if one.job_id == job_id}
        self.port = int(place.split(":")[2].split("/")[0])
        self.look()

    def look(self):
        supervisor = psutil.Process(self.job.job.handle["pid"])
        self.lines = {p: line for p in (supervisor, *supervisor.children(recursive=True)) if (line := words_of(p))}
        self.family = list(self.lines)
        self.shared = _process._segments(self.family)
        self.holds = sum(map(memory, left(self.family)))
        self.held = held()

    def part(self, name):
        """The process that `name` stands for."""
        if name == "kernel":
            return psutil.Process(self.kernel.pid)
        if name == "supervisor":
            return self.family[0]
        if name == "entry":
            return self.family[1]
        watcher = next(process for process, line in self.lines.items() if WATCHER in line)
        if name == "watcher":
            return watcher
        api = next(p for p, line in self.lines.items() if any(word in line for word in API) and WATCHER not in line)
        # The engine's core is what weighs the most of all that the API server started.
        return api if name == "API server" else max(api.children(recursive=True), key=lambda p: p.memory_info().rss)

    @property
    def starts(self):
        return len(list((self.job.folder.path / "server").iterdir()))

    def answers(self):
        with socket.socket() as probe:
            probe.settimeout(5)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def words_of(process):
    """What it was called with; of one that has ended, nothing."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def memory(process):
    """Bytes of memory that nothing else could use now: no pages of files, its part of what it shares (Linux)."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:  # it is gone
        return 0
    return kept(text, "Pss_Anon:", "Pss_Shmem:")


def held():
    """Bytes of the machine's memory that processes hold, however long its kernel takes to call them free (Linux)."""
    return kept(Path("/proc/meminfo").read_text(), "AnonPages:", "Shmem:")


def kept(text, *names):
    return sum(KIB * int(line.split()[1]) for line in text.splitlines() if line.startswith(names))


def left(processes):
    return [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def within(true: Callable[[], object], limit_s: float) -> float:
    """Seconds until it is true."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s
        time.sleep(0.05)
    return time.monotonic() - began


def gone(server, what, then):
    """A line of the table, when nothing of the server is left."""
    took_s = within(lambda: not left(server.family), GONE_S)
    within(lambda: is_free(server.port), GONE_S)
    assert not [path for path in server.shared if path.exists()], "shared memory outlives whoever made it"
    within(lambda: held() < server.held - server.holds + SPARE, GONE_S)
    return what, "none", f"{took_s:.1f} s", "free", f"{server.holds // MIB} MiB, all back", then


def anew(server, part):
    """A line of the table, when the job has started its server anew at the same place."""
    old = [p for p in server.family[2:] if "resource_tracker" not in server.lines[p]]
    n = server.starts
    server.part(part).kill()
    took_s = within(lambda: not left(old), NOTICED_S)
    begun_s = within(lambda: server.starts > n, NOTICED_S)
    time.sleep(1)  # its supervisor has read by then that it is not ready
    ready_s = begun_s + 1 + within(lambda: server.job.job.ready, ANEW_S)
    before = server.holds
    server.look()
    assert server.answers()
    assert server.holds < before + SPARE
    return (
        part,
        "none",
        f"{took_s:.1f} s",
        "its own again",
        f"{before // MIB} MiB, all back",
        f"ready again after {took_s + ready_s:.0f} s",
    )


def matrix(lab, words, engine_parts):
    """All lines, over three starts."""
    rows = []
    server = Server(lab, words)
    server.part("kernel").kill()
    server.kernel.wait()
    time.sleep(2)
    assert left(server.family) == server.family
    assert server.answers()
    rows.append(("kernel", "all, as wanted", "–", "in use", "–", "it serves on; cancel works from any shell"))
    rows += [anew(server, part) for part in engine_parts]
    server.part("supervisor").kill()
    rows.append(gone(server, "supervisor", "the same words start it again"))
    for part in ("entry", "watcher"):
        server = Server(lab, words)
        server.kernel.kill()
        server.kernel.wait()
        if part == "entry":
            server.part(part).kill()
            rows.append(gone(server, part, "the job failed, and says so"))
            assert server.job.wait_end(GONE_S)
    rows.append(anew(server, "watcher"))
    server.job.cancel()
    rows.append(gone(server, "cancel", "the same words start it again"))
    return rows


def show(capsys, engine, rows):
    heads = ("killed", "processes left", "gone after", "port", "their memory", "then")
    widths = [max(len(row[i]) for row in (heads, *rows)) for i in range(len(heads))]
    with capsys.disabled():
        print(f"\n\nengine {engine}")
        for row in (heads, tuple("─" * width for width in widths), *rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


@pytest.mark.long
def test_transformers(lab, toys, capsys):
    words = {"models": [str(toys / "base")], "engine": "transformers", "probe_s": 2, "parity": False}
    rows = matrix(lab, words, ["API server"])
    assert [row[1] for row in rows] == ["all, as wanted", *["none"] * 5]
    show(capsys, "transformers", rows)


@pytest.mark.vllm
@pytest.mark.timeout(1200)
def test_vllm(lab, large_toys, capsys):
    models = [str(large_toys / name) for name in ("base", "lora")]
    words = {"models": models, "engine": "vllm", "probe_s": 2, "parity": False}
    rows = matrix(lab, words, ["API server", "engine core"])
    assert [row[1] for row in rows] == ["all, as wanted", *["none"] * 6]
    show(capsys, "vllm", rows)
