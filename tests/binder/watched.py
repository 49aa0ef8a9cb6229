"""Processes under a limit of memory, as a Binder pod has one: all that carry the mark, wherever they forked to.

Memory is the proportional set size: a page that several processes share counts once.
"""

import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import IO, Self

MARK = "BINDER_RUN"
EVERY_S = 0.2


class Watched:
    """A watch over everything that is started with `environment`; what exceeds `limit_bytes` is killed, all of it."""

    def __init__(self, limit_bytes: int, **environment: str) -> None:
        self.limit_bytes, self.peak_bytes, self.exceeded = limit_bytes, 0, False
        self._outside: int | None = None
        mark = uuid.uuid4().hex
        self.environment = {**environment, MARK: mark}
        self._mark = f"{MARK}={mark}".encode()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.kill()

    def run(self, words: list[str], folder: Path, within_s: float) -> tuple[int, str, float]:
        """Exit status, all that was printed, and seconds; whoever is run counts by what it starts alone.

        It stands for a browser, which is not in the pod.
        """
        started = time.monotonic()
        with subprocess.Popen(
            words, cwd=folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as outside:
            self._outside = outside.pid
            try:
                said, _ = outside.communicate(timeout=within_s)
            except subprocess.TimeoutExpired:
                outside.kill()
                raise
        return outside.returncode, said, time.monotonic() - started

    def start(self, words: list[str], folder: Path, log: IO[str]) -> None:
        """Let a server run until the watch ends."""
        subprocess.Popen(words, cwd=folder, env=self.environment, stdout=log, stderr=log)

    def processes(self) -> list[int]:
        """Whoever carries the mark."""
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and self._ours(entry)]

    def kill(self) -> None:
        """All of them, until none is left."""
        while found := self.processes():
            for pid in found:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)

    def since(self) -> None:
        """Forget the peak until now."""
        self.peak_bytes = 0

    def _ours(self, entry: Path) -> bool:
        try:
            return self._mark in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _watch(self) -> None:
        while not self._done.wait(EVERY_S):
            used = sum(resident(pid) for pid in self.processes() if pid != self._outside)
            self.peak_bytes = max(self.peak_bytes, used)
            if used > self.limit_bytes:
                self.exceeded = True
                self.kill()


def resident(pid: int) -> int:
    """Bytes in memory, shared pages divided among who shares them; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
