"""Endpoints as requests find them: where each is, how it is doing, and by which name one asks for it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from mlaas_lab.schema import JobState
from mlaas_lab.spec import seconds
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.known import Known
from mlaas_lab.unix_socket import over_http, socket_of

V1 = b"/v1"
Address = tuple[str, int] | str
"""Host and port, or the path of a Unix socket."""


class DoorState(StrEnum):
    """What a request for an endpoint meets."""

    READY = "ready"
    BUSY = "busy"
    STARTING = "starting"
    SLEEPING = "sleeping"
    SICK = "sick"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def alive(self) -> bool:
        """Something of it runs."""
        return self not in (DoorState.SLEEPING, DoorState.STOPPED, DoorState.FAILED)


@dataclass(frozen=True, kw_only=True)
class Door:
    """An endpoint, as requests find it."""

    name: str
    called: str
    """Its name here: its own, or with its job's id where two have that one."""
    job_id: str
    model: str
    """What its server calls it."""
    engine: str
    state: DoorState
    since: float
    """When its job was made, UTC seconds."""
    base_url: str
    key: str
    """What its server asks for; empty where it asks for none."""
    attempt: int
    watcher: int | None
    """Process of its job."""
    idle_s: float | None = None
    """Nobody asks for it so long, and it may rest; None where its job says nothing of it."""
    sleep_level: int = 0
    """How deep; from 1 on its job goes on."""
    unchecked: bool = False
    """Nobody compared it with the model that was trained."""
    cold_first_token_s: float | None = None
    """From the last request that woke its server to the first token; None where none did."""
    warm_first_token_s: float | None = None
    """The median of its last streams while its server ran."""

    @property
    def since_iso(self) -> str:
        """The same, as RFC 3339 has it."""
        return datetime.fromtimestamp(int(self.since), tz=UTC).isoformat().replace("+00:00", "Z")

    @property
    def answers(self) -> bool:
        """Whether asking it makes sense now."""
        return self.state in (DoorState.READY, DoorState.BUSY)

    @cached_property
    def address(self) -> Address:
        """Where its server listens."""
        place = urlsplit(self.base_url)
        return socket_of(self.base_url) or (place.hostname or "", place.port or 80)

    @cached_property
    def _below(self) -> bytes:
        return urlsplit(self.base_url).path.rstrip("/").encode("ascii")

    def path(self, asked: bytes) -> bytes:
        """Where its server has what the front has at `asked`."""
        return self._below + asked.removeprefix(V1)

    @cached_property
    def lines(self) -> bytes:
        """What every request to its server says: Host, and the server's own key."""
        host = urlsplit(over_http(self.base_url)).netloc
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        return f"host: {host}\r\n{key}".encode("ascii")


Doors = dict[str, list[Door]]
"""What is known of each name, the newest first."""


def doors(known: Iterable[Known], key: Callable[[str], str], sleepers: Mapping[str, int]) -> Doors:
    """The doors of these endpoints; `key` gives the key of a job's server, `sleepers` are attempts that rest."""
    found: Doors = {}
    for one in known:
        state = _state(one, asleep=sleepers.get(one.job_id) == one.attempt)
        name = one.name
        door = Door(
            name=name,
            called=name,
            job_id=one.job_id,
            model=one.model,
            engine=one.engine,
            state=state,
            since=one.created_at,
            base_url=one.base_url,
            key=key(one.job_id) if state.alive else "",
            attempt=one.attempt,
            watcher=one.watcher,
            idle_s=seconds(one.idle),
            sleep_level=one.sleep_level,
            unchecked=one.unchecked,
            cold_first_token_s=one.cold_first_token_s,
            warm_first_token_s=one.warm_first_token_s,
        )
        found.setdefault(name, []).append(door)
    return found


def _state(known: Known, *, asleep: bool) -> DoorState:
    match known.job_state:
        case JobState.RUNNING if asleep and known.sleep_level:
            return DoorState.SLEEPING
        case JobState.RUNNING if asleep:  # not for long
            return DoorState.STARTING
        case JobState.RUNNING if known.health is not None:
            return DoorState(known.health)
        case JobState.RUNNING:
            return DoorState.READY if known.ready else DoorState.STARTING
        case JobState.QUEUED | JobState.PREEMPTED:
            return DoorState.STARTING
        case JobState.CANCELLED if asleep:
            return DoorState.SLEEPING
        case JobState.FAILED:
            return DoorState.FAILED
        case _:
            return DoorState.STOPPED


def server_key(jobs_dir: Path, job_id: str) -> str:
    """What the server of a job asks for; empty where it asks for none."""
    try:
        return JobFolder(jobs_dir / job_id).key.read_text().strip()
    except OSError:
        return ""


def listed(known: Doors) -> list[Door]:
    """Those that answer, will, or can be woken, by name."""
    return sorted(all_called(known).values(), key=lambda door: door.called)


def all_called(known: Doors) -> dict[str, Door]:
    """What can be asked for by which name: of two endpoints with one name, each by its job's id too."""
    found: dict[str, Door] = {}
    for name, same in known.items():
        alive = [door for door in same if door.state.alive]
        if len(alive) > 1:
            for door in alive:
                called = f"{name}@{door.job_id}"
                found[called] = replace(door, called=called)
        elif alive:
            found[name] = alive[0]
        elif same[0].state is DoorState.SLEEPING:
            found[name] = same[0]
    return found
