"""Servers that nobody wants for a while: the front has them rest, and work again for the next request.

How deep they rest is their own word: their job ends, or it goes on and lets go of the accelerator.

Wanted is a server while a request of the front's is under way, and while anybody else on this machine is connected to
it; only its own job, which asks it for a token now and then, does not count. Who is connected to a Unix socket cannot
be seen; there, wanted is what its job says is busy.
"""

import os
from collections.abc import Callable, Iterable, Mapping

import psutil

from mlaas_lab.errors import LabError
from mlaas_lab.fronting.directory import Directory
from mlaas_lab.fronting.doors import Door, DoorState
from mlaas_lab.store.front import Kept


class Sleep:
    """Puts servers to sleep that were not wanted for long: for as long as they say, or else for `idle_s` seconds."""

    def __init__(
        self, kept: Kept, *, idle_s: float | None, stop: Callable[[str], None], rest: Callable[[str], None]
    ) -> None:
        """`stop` ends a job, `rest` has its server let go of the accelerator; both take their time, on a thread."""
        self._kept = kept
        self._idle_s = idle_s
        self._stop, self._rest = stop, rest
        self._wanted: dict[str, float] = {}

    def idle_s(self, door: Door) -> float | None:
        """After how long `door` may rest, in seconds; None: never."""
        return self._idle_s if door.idle_s is None else door.idle_s

    def due(self, doors: Iterable[Door], wanted: Mapping[str, float], now: float) -> list[Door]:
        """Those whose jobs may be stopped; `wanted` says when requests last went to a job, by the clock of `now`."""
        ready = [door for door in doors if door.answers and self.idle_s(door) is not None]
        elsewhere = _connected({door.address[1]: door.watcher for door in ready if not isinstance(door.address, str)})
        found: dict[str, Door] = {}
        for door in ready:
            since = max(wanted.get(door.job_id, 0.0), self._wanted.setdefault(door.job_id, now))
            busy = door.state is DoorState.BUSY if isinstance(door.address, str) else door.address[1] in elsewhere
            since = now if busy else since
            self._wanted[door.job_id] = since
            if now - since > (self.idle_s(door) or 0.0):
                found[door.job_id] = door
        return list(found.values())

    def put(self, door: Door) -> None:
        """Stop the job of `door`, or have it rest; called on a thread, after the directory was told."""
        self._wanted.pop(door.job_id, None)
        try:
            (self._rest if door.sleep_level else self._stop)(door.job_id)
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
