"""The entry of `serve`: from names to endpoints that answer, and back to nothing.

One server process answers for all models of the job. It is asked for a token again and again; when it dies, or hangs
for long, it is started anew, a few times.
"""

import time
from dataclasses import asdict

from mlaas_lab import registry
from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.schema import EndpointState
from mlaas_lab.serving._adapters import Adapters
from mlaas_lab.serving._plan import free_port, named, taken
from mlaas_lab.serving._pulse import Pulse
from mlaas_lab.serving._resting import rest, wake
from mlaas_lab.serving._service import POLL_S, PortTaken, Service
from mlaas_lab.store.wishes import Change, answered, wanted
from mlaas_lab.tasks.serve import Serve

TRIES = 3
"""Free ports tried; somebody else may take one between our look and the server's start."""
RESTARTS = 5
"""How often a server that died is started anew; counted again after it was well for `CALM_S`."""
CALM_S = 600.0
HANGS = 6
"""Looks in a row without a token and without work, after which a server is taken for dead."""


def serve(spec: Serve, context: Context) -> Outcome:
    """Serve `spec.models` until somebody stops the job.

    Raises:
        JobError: if the server does not start, or dies again and again; with the tail of its output.
        UsageError: for an unknown engine or model, or a port that is taken.
        DataError: for a model that cannot be served.
    """
    name = spec.engine or context.settings.engine
    service = Service(name, registry.load("engine", name), named(spec, context.settings), spec, context)
    try:
        _begin(service, spec.port)
        context.ready()
        _stay(service)
    finally:
        service.stop()
    place = service.place.base_url
    ends = [
        {"name": name, "base_url": place, "model": model, "parity": asdict(found) if found else None}
        for name, model in service.served.items()
        for found in [service.parity.get(name)]
    ]
    return Outcome(result={"endpoints": ends})


def _begin(service: Service, wanted_port: int) -> None:
    """Start the server on the port that is wanted, or on a free one that stays free; or on its socket."""
    if service.spec.socket:
        return service.start(0)
    for attempt in range(TRIES):
        port = free_port(wanted_port)
        try:
            service.start(port)
        except PortTaken:
            service.stop()
            if wanted_port:
                break
            service.context.note(f"port {port} was taken meanwhile (try {attempt + 1} of {TRIES})")
        else:
            return None
    raise taken(port)


def _stay(service: Service) -> None:
    """Look after the server until the job shall end."""
    restarts: list[float] = []
    while not service.context.stopping:
        try:
            _tend(service)
        except Stopped:
            return
        except (JobError, PortTaken) as died:
            _again(service, restarts, died)


def _tend(service: Service) -> None:
    """Look after one server until the job shall end.

    Raises:
        Stopped: when nobody is left who could end it.
        JobError: when the server died, or hangs.
    """
    adapters, state, silent = Adapters(service), EndpointState.READY, 0
    with Pulse(service.place, service.spec.probe_s) as pulse:
        while not service.context.stopping:
            service.look()
            for answer, change in wanted(service.context.folder):
                answered(answer, lambda change=change: _change(service, adapters, change))  # type: ignore[misc]
                pulse.postpone()
            found = None if service.asleep else pulse.found(list(service.served.values()))
            if found is not None:
                silent = silent + 1 if found is EndpointState.SICK else 0
                if found is not state:
                    service.tell(found)
                state = found
                if pulse.work is not None:
                    service.context.work(pulse.work)
            if silent >= HANGS:
                raise service.dead(f"the server has given no token for {silent * service.spec.probe_s:g} s.")
            time.sleep(POLL_S)


def _change(service: Service, adapters: Adapters, change: Change) -> None:
    """Do what was wished; adapters come and go while the server is awake.

    Raises:
        LabError: if that is not possible.
    """
    if change.asleep:
        rest(service)
        return
    wake(service)
    if change.asleep is None:
        adapters.do(change)


def _again(service: Service, restarts: list[float], died: JobError | PortTaken) -> None:
    """Start the server anew, where it was if that is possible.

    Raises:
        JobError: if it was started anew too often.
        Stopped: when the job shall end meanwhile.
    """
    while True:
        restarts[:] = [at for at in restarts if time.monotonic() - at < CALM_S]
        if len(restarts) >= RESTARTS:
            raise JobError(f"the server was started anew {RESTARTS} times, and died again: {died}")
        restarts.append(time.monotonic())
        first = str(died).partition("\n")[0] or "its port was taken"
        service.context.note(f"{first} Starting it anew ({len(restarts)} of {RESTARTS}).")
        service.tell(EndpointState.SICK)
        service.stop()
        try:
            return _begin(service, service.spec.port or _same(service))
        except JobError as error:
            died = error


def _same(service: Service) -> int:
    """The port it had, as clients know it; 0 if somebody else has it by now, or it had none."""
    if service.spec.socket:
        return 0
    port = int(service.place.base_url.split(":")[2].split("/")[0])
    try:
        return free_port(port)
    except UsageError:
        return 0
