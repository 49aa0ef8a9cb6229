"""Which endpoints there are, as of now: read from the store by a thread, asked by the loop without waiting.

A name that is not found, or does not answer yet, is looked up anew before anybody is told so.
"""

import asyncio
from collections.abc import Callable, Mapping

from mlaas_lab.errors import LabError, StoreError, did_you_mean
from mlaas_lab.fronting.doors import Door, Doors, DoorState, all_called, doors, listed
from mlaas_lab.fronting.refusals import Refused
from mlaas_lab.store.known import KnownEndpoints

LOOK_S = 0.2
"""How long a change may stay unseen by requests that need not wait for it."""
SOON_S = 5
"""When to ask again for what is starting, in seconds."""
MOST_WAITING = 256


class Directory:
    """The endpoints of the user, for requests on this loop."""

    def __init__(
        self,
        known: KnownEndpoints,
        *,
        key: Callable[[str], str],
        sleepers: Callable[[], Mapping[str, int]],
        wake: Callable[[str], None],
    ) -> None:
        """`wake` has a sleeping job go on; it may take its time, on a thread."""
        self._known = known
        self._key = key
        self._sleepers = sleepers
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

    def hide(self, job_id: str) -> None:
        """Have requests for the endpoints of a job wait until the store says more."""
        self._plain = {name: door for name, door in self._plain.items() if door.job_id != job_id}

    async def look(self, *, anew: bool = False) -> None:
        """Read the store if somebody wrote to it; with `anew` in any case."""
        async with self._turn:
            found = await asyncio.to_thread(self._read, anew)
            if found is not None and found != self._doors:
                self._doors = found
                self._plain = {name: door for name, door in all_called(found).items() if door.answers}
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

    async def ready(self, name: str, *, within_s: float, woke: Callable[[str], None]) -> Door:
        """The endpoint of that name, once it answers; a sleeping one is woken, and `woke` called with its job.

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
                await self._see_to(door, woke)
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0:
                    raise _not_yet(door)
                try:
                    async with asyncio.timeout(left_s):
                        await changed.wait()
                except TimeoutError:
                    raise _not_yet(door) from None
        finally:
            self._waiting -= 1

    def _read(self, anew: bool) -> Doors | None:
        changed = self._known.changed()
        return doors(self._known.read(), self._key, self._sleepers()) if changed or anew else None

    def _one(self, name: str) -> Door:
        called = all_called(self._doors)
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

    def _left(self, door: Door) -> bool:
        """Whether its server goes on without it."""
        return any(one.job_id == door.job_id and one.state.alive for same in self._doors.values() for one in same)

    async def _see_to(self, door: Door, woke: Callable[[str], None]) -> None:
        """Wake what sleeps, once; say no where waiting does not help."""
        if door.state in (DoorState.STOPPED, DoorState.FAILED):
            again = (
                f"mlaas serve --add ADAPTER --to {door.job_id}" if self._left(door) else f"mlaas resume {door.job_id}"
            )
            again = f"It goes on with: {again}"
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
            woke(door.job_id)
            try:
                await asyncio.to_thread(self._wake, door.job_id)
                await self.look(anew=True)
            except LabError as error:
                raise Refused(503, f"endpoint {door.name!r} cannot be woken: {error}", code="stopped") from None
            finally:
                self._woken.discard(door.job_id)


def _not_yet(door: Door) -> Refused:
    return Refused(
        503,
        f"endpoint {door.name!r} is {door.state}; ask again soon.",
        code="starting",
        state=door.state,
        retry_after_s=SOON_S,
    )
