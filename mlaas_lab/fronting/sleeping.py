"""Servers that nobody wants for a while: the front stops them, and starts them again for the next request.

Wanted is a server while a request of the front's is under way, and while anybody else on this machine is connected to
it; only its own job, which asks it for a token now and then, does not count.
"""

import os
from collections.abc import Callable, Iterable, Mapping

import psutil

from mlaas_lab.errors import LabError
from mlaas_lab.fronting.directory import Directory
from mlaas_lab.fronting.doors import Door
from mlaas_lab.fronting.kept import Kept

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str) -> float | None:
    """`10m` in seconds; None for an empty text."""
    return float(text[:-1]) * SECONDS[text[-1]] if text else None


class Sleep:
    """Puts servers to sleep that were not wanted for `idle_s` seconds."""

    def __init__(self, kept: Kept, *, idle_s: float, stop: Callable[[str], None]) -> None:
        """`stop` ends a job; it may take its time, on a thread."""
        self._kept = kept
        self.idle_s = idle_s
        self._stop = stop
        self._wanted: dict[str, float] = {}

    def due(self, doors: Iterable[Door], wanted: Mapping[str, float], now: float) -> list[Door]:
        """Those whose jobs may be stopped; `wanted` says when requests last went to a job, by the clock of `now`."""
        ready = [door for door in doors if door.answers]
        elsewhere = _connected({door.address[1]: door.watcher for door in ready if not isinstance(door.address, str)})
        found: dict[str, Door] = {}
        for door in ready:
            since = max(wanted.get(door.job_id, 0.0), self._wanted.setdefault(door.job_id, now))
            if not isinstance(door.address, str) and door.address[1] in elsewhere:
                since = now
            self._wanted[door.job_id] = since
            if now - since > self.idle_s:
                found[door.job_id] = door
        return list(found.values())

    def put(self, door: Door) -> None:
        """Stop the job of `door`; called on a thread, after the directory was told."""
        self._wanted.pop(door.job_id, None)
        try:
            self._stop(door.job_id)
        except LabError:  # it ended by itself meanwhile, or the store is away: then it is as it is
            self._kept.woken(door.job_id)

    def rest(self, door: Door, directory: Directory) -> None:
        """Have no request go to `door` from now on."""
        self._kept.asleep(door.job_id, door.attempt)
        directory.hide(door.job_id)


def _connected(ports: Mapping[int, int | None]) -> set[int]:
    """Ports of this machine that somebody is connected to, other than this process and each port's own watcher."""
    found = set[int]()
    for one in psutil.net_connections("tcp"):
        port: int = one.raddr.port if one.raddr else 0
        if port in ports and one.status == psutil.CONN_ESTABLISHED and one.pid not in (os.getpid(), ports[port]):
            found.add(port)
    return found
