"""`front`: one address for all endpoints; started by the first call, shown by every one."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlaas_lab.commands import Command
from mlaas_lab.errors import UsageError
from mlaas_lab.fronting.doors import Door, doors, listed
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.store import ALIVE
from mlaas_lab.store.front import HOST, Kept
from mlaas_lab.store.known import KnownEndpoints
from mlaas_lab.tasks.front import Front
from mlaas_lab.view import Facts, Shown, Table, View

NAME = "front"
SERVE = "serve"


class Fronted(Front):
    """Answer for all endpoints at one address, `http://127.0.0.1:PORT/v1`, where a model's name is the endpoint's."""

    token: bool = False
    """Show the token itself; without it, the file that holds it."""


FIRST = ("First token, cold", "First token, warm")
"""Where the server slept, and where it ran."""


@dataclass(kw_only=True)
class Address(Shown):
    """Where the front is, what opens it, and who answers there."""

    job_id: str
    base_url: str
    token_file: str
    token: str | None
    endpoints: Sequence[Door]

    def view(self) -> View:
        """The address, and a row for each endpoint."""
        shown = ("Token", self.token) if self.token else ("Token", f"in {self.token_file}")
        rows = [
            (
                door.called,
                str(door.state),
                door.engine,
                _seconds(door.cold_first_token_s),
                _seconds(door.warm_first_token_s),
            )
            for door in self.endpoints
        ]
        table = Table(columns=["Model", "State", "Engine", *FIRST], rows=rows) if rows else None
        notes = [] if rows else ["No endpoint yet; `serve MODEL` starts one, and it is seen here at once."]
        if unchecked := [door.called for door in self.endpoints if door.unchecked]:
            notes.append(f"Not compared with what was trained (--no-parity): {', '.join(unchecked)}.")
        facts = Facts(rows=[("Address", self.base_url), shown, ("Job", self.job_id)])
        return View(title="Front", marks=[facts], table=table, notes=notes)

    def as_json(self) -> JSON:
        """`{job_id, base_url, token_file, endpoints: [{name, state, engine, …}]}`, and `token` if it was asked for."""
        rows: list[JSON] = [
            {"name": door.called, "state": str(door.state), "engine": door.engine}
            | {name: getattr(door, name) for name in ("unchecked", "cold_first_token_s", "warm_first_token_s")}
            for door in self.endpoints
        ]
        token = {"token": self.token} if self.token else {}
        place: dict[str, JSON] = {"job_id": self.job_id, "base_url": self.base_url, "token_file": self.token_file}
        return {**place, "endpoints": rows, **token}


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} s"


def _run(args: Fronted, lab: Lab) -> Address:
    spec = Front(**args.model_dump(exclude={"token"}, exclude_unset=True))
    kept = Kept(lab.settings)
    handle = lab.wait(running(spec, lab))
    return Address(
        job_id=handle.id,
        base_url=f"http://{HOST}:{kept.port}/v1",
        token_file=str(kept.token_file),
        token=kept.token() if args.token else None,
        endpoints=_endpoints(lab),
    )


def running(spec: Front, lab: Lab) -> JobHandle:
    """The front of this user, started if there is none.

    Raises:
        UsageError: if it runs with other options than `spec` asks for.
    """
    kept, alive = Kept(lab.settings), lab.jobs.every(task=NAME, states=ALIVE)
    if not alive:
        return lab.jobs.submit(NAME, spec, force=True)
    said = spec.model_dump(exclude_unset=True)
    differs = {name: value for name, value in said.items() if alive[0].spec.get(name) != value}
    if differs.get("port") in (0, kept.port):
        del differs["port"]
    if differs:
        words = ", ".join(f"{name} {alive[0].spec.get(name)}" for name in differs)
        raise UsageError(
            f"the front runs with {words} at port {kept.port}.", next=f"Stop it first: cancel {alive[0].id}"
        )
    return lab.jobs.get(alive[0].id)


def _endpoints(lab: Lab) -> list[Door]:
    known = KnownEndpoints(lab.settings.store_path, task=SERVE)
    try:
        return listed(doors(known.read(), lambda _job_id: "", Kept(lab.settings).sleepers()))
    finally:
        known.close()


command = Command(args=Fronted, run=_run, examples=("front", "front --port 8040 --queue-s 0", "front --token"))
