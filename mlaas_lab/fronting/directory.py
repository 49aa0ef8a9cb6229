"""Which endpoints there are, as of now: read from the store by a thread, asked by the loop without waiting.

A name that is not found, or does not answer yet, is looked up anew before anybody is told so.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from mlaas_lab.errors import LabError, StoreError, did_you_mean
from mlaas_lab.fronting.refusals import Refused
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.known import Known, KnownEndpoints

LOOK_S = 0.2
"""How long a change may stay unseen by requests that need not wait for it."""
SOON_S = 5
"""When to ask again for what is starting, in seconds."""
MOST_WAITING = 256
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
        if place.scheme == "unix":
            return place.path
        return place.hostname or "", place.port or 80

    @cached_property
    def _below(self) -> bytes:
        return urlsplit(self.base_url).path.rstrip("/").encode("ascii") if not self.base_url.startswith("unix:") else V1

    def path(self, asked: bytes) -> bytes:
        """Where its server has what the front has at `asked`."""
        return self._below + asked.removeprefix(V1)

    @cached_property
    def lines(self) -> bytes:
        """What every request to its server says: Host, and the server's own key."""
        place = urlsplit(self.base_url)
        host = "localhost" if place.scheme == "unix" else place.netloc
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        return f"host: {host}\r\n{key}".encode("ascii")


Doors = dict[str, list[Door]]
"""What is known of each name, the newest first."""


def doors(known: Iterable[Known], key: Callable[[str], str]) -> Doors:
    """The doors of these endpoints; `key` gives the key of a job's server."""
    found: Doors = {}
    for one in known:
        state = _state(one)
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
        )
        found.setdefault(name, []).append(door)
    return found


def _state(known: Known) -> DoorState:
    match known.job_state:
        case JobState.RUNNING if known.health is not None:
            return DoorState(known.health)
        case JobState.RUNNING:
            return DoorState.READY if known.ready else DoorState.STARTING
        case JobState.QUEUED | JobState.PREEMPTED:
            return DoorState.STARTING
        case JobState.SUCCEEDED if known.idle_s is not None:
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


class Directory:
    """The endpoints of the user, for requests on this loop."""

    def __init__(self, known: KnownEndpoints, *, key: Callable[[str], str], wake: Callable[[str], None]) -> None:
        """`wake` has a sleeping job go on; it may take its time, on a thread."""
        self._known = known
        self._key = key
        self._wake = wake
        self._doors: Doors = {}
        self._plain: dict[str, Door] = {}
        """Names that answer at once."""
        self._changed = asyncio.Event()
        self._waiting = 0
        self._woken: set[str] = set()
        self._turn = asyncio.Lock()

    def open(self, name: str) -> Door | None:
        """The endpoint of that name, if it is one and answers."""
        return self._plain.get(name)

    def listed(self) -> list[Door]:
        """Those that answer, will, or can be woken; the rest is gone."""
        return listed(self._doors)

    async def look(self, *, anew: bool = False) -> None:
        """Read the store if somebody wrote to it; with `anew` in any case."""
        async with self._turn:
            found = await asyncio.to_thread(self._read, anew)
            if found is not None and found != self._doors:
                self._doors = found
                self._plain = {name: door for name, door in _all_called(found).items() if door.answers}
                self._changed.set()
                self._changed = asyncio.Event()

    async def keep(self) -> None:
        """Look again and again."""
        while True:
            try:
                await self.look()
            except StoreError:  # busy or away: what is known stays, and the next look tells
                await asyncio.sleep(LOOK_S)
            await asyncio.sleep(LOOK_S)

    async def ready(self, name: str, *, within_s: float) -> Door:
        """The endpoint of that name, once it answers; a sleeping one is woken.

        Raises:
            Refused: if there is none, or two, or it does not answer within that time.
        """
        await self.look(anew=True)
        if within_s and self._waiting >= MOST_WAITING:
            raise Refused(503, f"{MOST_WAITING} requests wait already.", code="queue_full", retry_after_s=SOON_S)
        deadline = asyncio.get_running_loop().time() + within_s
        self._waiting += 1
        try:
            while True:
                changed, door = self._changed, self._one(name)
                if door.answers:
                    return door
                await self._see_to(door)
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0:
                    raise _not_yet(door)
                try:
                    await asyncio.wait_for(changed.wait(), left_s)
                except TimeoutError:
                    raise _not_yet(door) from None
        finally:
            self._waiting -= 1

    def _read(self, anew: bool) -> Doors | None:
        changed = self._known.changed()
        return doors(self._known.read(), self._key) if changed or anew else None

    def _one(self, name: str) -> Door:
        called = _all_called(self._doors)
        if name in called:
            return called[name]
        same = self._doors.get(name, [])
        if len([door for door in same if door.state.alive]) > 1:
            ids = " and ".join(f"{name}@{door.job_id}" for door in same if door.state.alive)
            words = f"{name!r} is more than one endpoint. Ask for {ids}, or cancel one of them."
            raise Refused(409, words, code="ambiguous_model")
        if not same:
            near = did_you_mean(name, called) or ("`mlaas serve` starts one." if not called else "GET /v1/models.")
            raise Refused(404, f"there is no endpoint {name!r}. {near}", code="model_not_found")
        return same[0]

    async def _see_to(self, door: Door) -> None:
        """Wake what sleeps, once; say no where waiting does not help."""
        if door.state in (DoorState.STOPPED, DoorState.FAILED):
            again = f"It goes on with: mlaas resume {door.job_id}"
            raise Refused(503, f"endpoint {door.name!r} is {door.state}. {again}", code="stopped", state=door.state)
        if door.state is DoorState.SICK:
            raise Refused(
                503,
                f"endpoint {door.name!r} is sick: it generates nothing. See why: mlaas logs {door.job_id}",
                code="sick",
                state=door.state,
                retry_after_s=SOON_S,
            )
        if door.state is DoorState.SLEEPING and door.job_id not in self._woken:
            self._woken.add(door.job_id)
            try:
                await asyncio.to_thread(self._wake, door.job_id)
                await self.look(anew=True)
            except LabError as error:
                raise Refused(503, f"endpoint {door.name!r} cannot be woken: {error}", code="stopped") from None
            finally:
                self._woken.discard(door.job_id)


def listed(known: Doors) -> list[Door]:
    """Those that answer, will, or can be woken, by name."""
    return sorted(_all_called(known).values(), key=lambda door: door.called)


def _all_called(known: Doors) -> dict[str, Door]:
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


def _not_yet(door: Door) -> Refused:
    return Refused(
        503,
        f"endpoint {door.name!r} is {door.state}; ask again soon.",
        code="starting",
        state=door.state,
        retry_after_s=SOON_S,
    )
