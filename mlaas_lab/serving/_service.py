"""One server and what it serves: started, looked at, stopped.

The endpoints are announced before the models are there, so that whoever wants them can wait; they are ready when each
has generated a token.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from threading import Event

from mlaas_lab.context import Context, Stopped
from mlaas_lab.environment import keyless, surroundings
from mlaas_lab.errors import JobError, LabError
from mlaas_lab.hardware import accelerators
from mlaas_lab.models import Model, materialize
from mlaas_lab.schema import EndpointState, Parity
from mlaas_lab.serving import Engine, Launch, Place, Weights, Wishes
from mlaas_lab.serving._comparing import shown
from mlaas_lab.serving._health import NotListening, Refused, one_token
from mlaas_lab.serving._memory import check_room, reference_bytes
from mlaas_lab.serving._parity import Gate, Kept, party
from mlaas_lab.serving._plan import HOST, SOCKET, own_socket
from mlaas_lab.serving._process import Server
from mlaas_lab.store.folder import write_json
from mlaas_lab.tasks.serve import Serve
from mlaas_lab.unix_socket import address

POLL_S = 0.2
KNOCK_S = 0.05
"""From one try to the next at a server that does not listen yet."""
TAIL = 50
"""Lines of a dead server's output in the message."""
PATIENCE_S = 3600.0
"""For one answer at the start; the job's own deadline comes first and breaks the connection."""
IN_USE = "address already in use"
"""What uvicorn prints, whatever the system and its error number."""
_PARENT = os.getppid()


class PortTaken(Exception):
    """Somebody else listens there by now."""


class Service:
    """What one job serves."""

    def __init__(
        self, engine_name: str, engine: Engine, models: Mapping[str, Model], spec: Serve, context: Context
    ) -> None:
        """Nothing is started yet; `models` are named as their endpoints."""
        self.engine_name, self.engine = engine_name, engine
        self.models = dict(models)
        self.spec, self.context = spec, context
        self.weights: dict[str, Weights] = {}
        """Of each endpoint, on this disk."""
        self.served: dict[str, str] = {}
        """Endpoint → what requests name as its model."""
        self.parity: dict[str, Parity] = {}
        """How each endpoint compares with the model that was trained."""
        self._kept = Kept(context.folder)
        self._key = secrets.token_urlsafe(32)
        self._server: Server | None = None
        self._place: Place | None = None
        self._starts = 0
        self.asleep = False
        """It has let go of its accelerator, and answers when it is woken."""

    @property
    def place(self) -> Place:
        """The server that runs.

        Raises:
            JobError: if none was started.
        """
        if self._place is None:
            raise JobError("no server was started yet.")
        return self._place

    def start(self, port: int) -> None:
        """Start the server, and return when every model has generated a token.

        Raises:
            PortTaken: if somebody took the port since it was looked at.
            JobError: if the server dies, or does not answer in time; with the tail of its output.
            DataError: for a model that cannot be served.
        """
        socket = str(own_socket(self.context.folder.path)) if self.spec.socket else ""
        base_url = f"{address(socket)}/v1" if socket else f"http://{HOST}:{port}/v1"
        self.served = {name: name for name in self.models}
        self.announce(base_url, list(self.models))
        self.context.health(EndpointState.STARTING, list(self.models))
        for name, model in self.models.items():
            if name not in self.weights:
                self.weights[name] = self.on_disk(name, model)
        self.note_models()
        self.context.check()
        self._starts += 1
        self.asleep = False
        folder = self.context.folder.path / "server" / f"{self.context.attempt}-{self._starts}"
        folder.mkdir(parents=True)
        self.parity |= self._kept.of(self.models)
        launch = self.engine.launch(list(self.weights.values()), self._wishes(port, socket), folder)
        self._keep_key(launch)
        more = keyless(**launch.environment) if launch.isolated else surroundings(**launch.environment)
        self._server = Server(launch.command, folder=folder, log=self.context.folder.log, environment=more)
        self._place = Place(base_url=base_url, folder=folder, launch=launch)
        self.served = dict(launch.models)
        self._compare_while(folder)
        self.announce(base_url, list(self.models), ready=True)
        self.tell(EndpointState.READY)

    def stop(self) -> None:
        """Stop the server and all that it started; returns when nothing is left."""
        if self._server is not None:
            self._server.stop()
        (self.context.folder.path / SOCKET).unlink(missing_ok=True)

    def look(self) -> None:
        """Return when nothing has ended.

        Raises:
            Stopped: when nobody is left who could end it.
            PortTaken: if the server found its port taken.
            JobError: if the server died.
        """
        if os.getppid() != _PARENT:
            raise Stopped  # the supervisor is gone, and with it whoever could stop us
        code = self._server.exit_code if self._server is not None else None
        if code is not None and IN_USE in self._printed().lower():
            raise PortTaken
        if code is not None:
            raise self.dead(f"the server ended with status {code}.")

    def tell(self, state: EndpointState) -> None:
        """Say how all endpoints are doing."""
        n = len(self.models)
        self.context.health(state, list(self.models))
        self.context.progress(n, n, unit="models", phase=str(state))

    def announce(self, base_url: str, names: Sequence[str], *, ready: bool = False) -> None:
        """Say where those endpoints are."""
        for name in names:
            self.context.endpoint(
                name=name,
                base_url=base_url,
                model=self.served[name],
                engine=self.engine_name,
                source=self.models[name].name,
                ready=ready,
                parity=asdict(self.parity[name]) if name in self.parity else None,
            )

    def note_models(self) -> None:
        """Leave word which weights are behind each name."""
        write_json(self.context.folder.models, {name: model.fingerprint for name, model in self.models.items()})

    def on_disk(self, name: str, model: Model) -> Weights:
        """The files of `model`, built or fetched first if they are not here."""

        def shown(n: int, total: int | None, phase: str) -> None:
            self.context.check()
            self.context.progress(n, total, phase=phase)

        path = materialize(model, shown)
        if model.base is None:
            return Weights(name=name, source=model.name, base=path)
        return Weights(name=name, source=model.name, base=materialize(model.base, shown), adapter=path)

    def dead(self, what: str) -> JobError:
        """The error that says `what`, with what the server printed last."""
        lines = [line for line in self._printed().splitlines() if line.strip()]
        return JobError("\n".join([what, *lines[-TAIL:]]))

    def _printed(self) -> str:
        return self._server.printed() if self._server is not None else ""

    def _wishes(self, port: int, socket: str) -> Wishes:
        settings = self.context.settings
        same = ("device", "batch", "dtype", "max_length", "tensor_parallel", "quantization", "prefix_cache")
        more = ("cache_gib", "max_adapters", "max_rank", "sleep_level", "engine_args")
        asked = {field: getattr(self.spec, field) for field in (*same, *more)}
        return Wishes(
            port=port,
            socket=socket,
            threads=settings.threads,
            key=self._key,
            python=settings.vllm_python,
            on_host=self.spec.device == "cpu" or (self.spec.device == "auto" and not accelerators(settings)),
            beside_bytes=reference_bytes(self._uncompared(self.weights), self.spec.dtype),
            **asked,
        )

    def _keep_key(self, launch: Launch) -> None:
        """Have the key where the clients of this user find it, and nobody else does."""
        path = self.context.folder.key
        path.unlink(missing_ok=True)
        if launch.key:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(launch.key)

    def gate(self, names: Sequence[str], folder: Path) -> Gate | None:
        """The comparison of those endpoints that nobody compared yet, begun; None where there is none to be made."""
        if not self.spec.parity:
            self.parity |= dict.fromkeys(party(self.weights), Parity(checked=False))
        wanted = self._uncompared({name: self.weights[name] for name in names})
        if not wanted or self.engine.telling is None:
            return None
        threads = max(1, self.context.settings.threads // 2)  # the server loads meanwhile
        return Gate(wanted, self.spec, self.engine.telling, folder=folder, threads=threads)

    def check_room(self, name: str) -> None:
        """Return when there is memory to compare endpoint `name` with what was trained.

        Raises:
            JobError: if there is not.
        """
        wanted = self._uncompared({name: self.weights[name]})
        check_room(wanted, 0, beside_bytes=reference_bytes(wanted, self.spec.dtype), next="Stop another server.")

    def _uncompared(self, weights: Mapping[str, Weights]) -> list[Weights]:
        """Those of `weights` that have something to be compared with, and were not."""
        if not self.spec.parity or self.engine.telling is None:
            return []
        return [weights[name] for name in party(weights) if name not in self.parity]

    def keep_parity(self, found: Mapping[str, Parity]) -> None:
        """Remember what was found, for the next start too."""
        self.parity |= found
        self._kept.add(found, self.models)
        for name, one in found.items():
            self.context.note(f"{name}: {shown(one)}")

    def _compare_while(self, folder: Path) -> None:
        """Return when every model has generated a token, and is what was trained."""
        deadline = time.monotonic() + self.spec.ready_within_s
        gate = self.gate(list(self.weights), folder)
        if gate is None:
            self._wait([self._probe], deadline)
            return
        found: dict[str, Parity] = {}
        try:
            self._wait([self._probe, lambda _over: gate.local()], deadline, gate)
            self.context.progress(len(self.models), len(self.models), unit="models", phase="comparing")
            self._wait([lambda _over: found.update(gate.compare(self.served, self.place))], deadline, gate)
        finally:
            gate.close()
        self.keep_parity(found)

    def _wait(self, works: Sequence[Callable[[Event], None]], deadline: float, gate: Gate | None = None) -> None:
        """Return when all `works` are done, each in a thread of its own."""
        over = Event()
        with ThreadPoolExecutor(len(works)) as pool:
            running = [pool.submit(work, over) for work in works]
            try:
                while not all(one.done() for one in running) and not any(_error(one) for one in running):
                    self.context.check()
                    self.look()
                    if time.monotonic() > deadline:
                        raise self.dead(f"no answer within {self.spec.ready_within_s:g} s.")
                    wait(running, timeout=POLL_S, return_when=FIRST_EXCEPTION)
            finally:
                over.set()
                if not all(one.done() for one in running):
                    self.stop()  # breaks the connections that they wait on
                    if gate is not None:
                        gate.close()
        for error in filter(None, map(_error, running)):
            raise error if isinstance(error, LabError) else self.dead(str(error)) from error

    def _probe(self, over: Event) -> None:
        models = list(self.served.values())
        for n, model in enumerate(models):
            self.context.progress(n, len(models), unit="models", phase="loading")
            while not over.is_set():
                try:
                    one_token(self.place.base_url, model, timeout_s=PATIENCE_S, key=self.place.launch.key)
                    break
                except NotListening:
                    over.wait(KNOCK_S)
                except Refused as error:
                    raise Refused(f"{model!r} does not answer: {error}.") from None
        self.context.progress(len(models), len(models), unit="models", phase="loading")


def _error(running: Future[None]) -> BaseException | None:
    return running.exception() if running.done() else None
