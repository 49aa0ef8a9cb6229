"""The entry of `serve`: from names to endpoints that answer, and back to nothing.

One server process answers for all models of the job. The endpoints are announced before the models are there, so that
whoever wants them can wait; they are ready when each has generated a token.
"""

import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from mlaas_lab import registry
from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.environment import surroundings
from mlaas_lab.errors import DataError, JobError, UsageError
from mlaas_lab.models import TINY, Model, locate, materialize
from mlaas_lab.serving import Engine, Weights, Wishes
from mlaas_lab.serving._health import NotListening, Refused, one_token
from mlaas_lab.serving._process import Server
from mlaas_lab.store.folder import write_json
from mlaas_lab.tasks.serve import Serve

HOST = "127.0.0.1"
POLL_S = 0.2
TRIES = 3
"""Free ports tried; somebody else may take one between our look and the server's start."""
TAIL = 12
"""Lines of a dead server's output in the message."""
PATIENCE_S = 3600.0
"""For one answer; the job's own deadline comes first and breaks the connection."""
IN_USE = "address already in use"
"""What uvicorn prints, whatever the system and its error number."""
_PARENT = os.getppid()


class _PortTaken(Exception):
    """Somebody else listens there by now."""


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What is served, and as what."""

    engine_name: str
    engine: Engine
    models: tuple[tuple[str, Model], ...]
    """Endpoint's name and model."""


def serve(spec: Serve, context: Context) -> Outcome:
    """Serve `spec.models` until somebody stops the job.

    Raises:
        JobError: if the server dies, or does not answer in time; with the tail of its output.
        UsageError: for an unknown engine or model, or a port that is taken.
        DataError: for a model that cannot be served.
    """
    name = spec.engine or context.settings.engine
    plan = _Plan(engine_name=name, engine=registry.load("engine", name), models=_named(spec, context))
    for attempt in range(TRIES):
        port = _port(spec.port)
        try:
            return _serve_on(port, plan, spec, context)
        except _PortTaken:
            if spec.port:
                break
            context.note(f"port {port} was taken meanwhile (try {attempt + 1} of {TRIES})")
    raise _taken(port)


def _named(spec: Serve, context: Context) -> tuple[tuple[str, Model], ...]:
    if spec.name and len(spec.models) > 1:
        raise UsageError(f"--name {spec.name!r} fits one model, not {len(spec.models)}.")
    models = [(spec.name or endpoint_name(word), locate(word, context.settings)) for word in spec.models]
    _check_bases([model for _, model in models])
    names = [name for name, _ in models]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two models would be endpoint {name!r}.", next="Serve one of them with --name.")
    return tuple(models)


def _check_bases(models: Sequence[Model]) -> None:
    """Whole models beside an adapter are there to be compared with it, so one of them must be its base."""
    whole = [model for model in models if model.base is None]
    for model in models:
        if model.base and whole and model.base.fingerprint not in {one.fingerprint for one in whole}:
            base, others = _short(model.base), " and ".join(_short(one) for one in whole)
            raise DataError(
                f"adapter {model.name!r} was trained on {base}, not on {others}.",
                next=f"Serve it with its own base: serve {base} {model.name}",
            )


def _short(model: Model) -> str:
    name = model.name.partition("@")[0]
    return f"{name}@{model.fingerprint[:8]}" if name == TINY else model.name


def endpoint_name(word: str) -> str:
    """The name of an endpoint for a model: the word, or the last part of a path or hub id."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "-", Path(word).name).lstrip(".-@") or "model"


def _port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise _taken(wanted, error) from None
        port: int = probe.getsockname()[1]
        return port


def _taken(port: int, error: OSError | None = None) -> UsageError:
    why = f": {error.strerror.lower()}" if error and error.strerror else ""
    return UsageError(f"port {port} on {HOST} cannot be used{why}.", next="Leave out --port for a free one.")


def _serve_on(port: int, plan: _Plan, spec: Serve, context: Context) -> Outcome:
    base_url = f"http://{HOST}:{port}/v1"
    _announce(plan, context, base_url, models={name: name for name, _ in plan.models})
    weights = [_weights(name, model, context) for name, model in plan.models]
    write_json(context.folder.models, {name: model.fingerprint for name, model in plan.models})
    context.check()
    wishes = Wishes(port=port, threads=context.settings.threads, device=spec.device, batch=spec.batch)
    folder = context.folder.path / "server" / str(port)
    folder.mkdir(parents=True)
    launch = plan.engine.launch(weights, wishes, folder)
    server = Server(
        launch.command,
        folder=folder,
        log=context.folder.log,
        environment=surroundings(**launch.environment),
    )
    try:
        _wait(server, base_url, list(launch.models.values()), context, within_s=spec.ready_within_s)
        _announce(plan, context, base_url, models=launch.models, ready=True)
        context.ready()
        _stay(server, context)
    finally:
        server.stop()
    ends = [{"name": name, "base_url": base_url, "model": launch.models[name]} for name, _ in plan.models]
    return Outcome(result={"endpoints": ends})


def _announce(plan: _Plan, context: Context, base_url: str, *, models: Mapping[str, str], ready: bool = False) -> None:
    for name, model in plan.models:
        context.endpoint(
            name=name,
            base_url=base_url,
            model=models[name],
            engine=plan.engine_name,
            source=model.name,
            ready=ready,
        )


def _weights(name: str, model: Model, context: Context) -> Weights:
    def shown(n: int, total: int | None, phase: str) -> None:
        context.check()
        context.progress(n, total, phase=phase)

    path = materialize(model, shown)
    if model.base is None:
        return Weights(name=name, source=model.name, base=path)
    return Weights(name=name, source=model.name, base=materialize(model.base, shown), adapter=path)


def _wait(server: Server, base_url: str, models: Sequence[str], context: Context, *, within_s: float) -> None:
    """Return when every model has generated a token; the first one asks for is when the server loads it."""
    deadline = time.monotonic() + within_s
    over = Event()
    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(_probe, base_url, models, context, over)
        try:
            while not probing.done():
                _look(server, context)
                if time.monotonic() > deadline:
                    raise _dead(server, f"no answer within {within_s:g} s.")
                wait([probing], timeout=POLL_S)
        finally:
            over.set()
            if not probing.done():
                server.stop()  # breaks the connection that the probe waits on
    if error := probing.exception():
        raise _dead(server, str(error)) from error


def _probe(base_url: str, models: Sequence[str], context: Context, over: Event) -> None:
    for n, model in enumerate(models):
        context.progress(n, len(models), unit="models", phase="loading")
        while not over.is_set():
            try:
                one_token(base_url, model, timeout_s=PATIENCE_S)
                break
            except NotListening:
                over.wait(POLL_S)
            except Refused as error:
                raise Refused(f"{model!r} does not answer: {error}.") from None
    context.progress(len(models), len(models), unit="models", phase="loading")


def _stay(server: Server, context: Context) -> None:
    while not context.stopping:
        try:
            _look(server, context)
        except Stopped:
            return
        time.sleep(POLL_S)


def _look(server: Server, context: Context) -> None:
    context.check()
    if os.getppid() != _PARENT:
        raise Stopped  # the supervisor is gone, and with it whoever could stop us
    code = server.exit_code
    if code is not None and IN_USE in server.printed().lower():
        raise _PortTaken
    if code is not None:
        raise _dead(server, f"the server ended with status {code}.")


def _dead(server: Server, what: str) -> JobError:
    lines = [line for line in server.printed().splitlines() if line.strip()]
    return JobError("\n".join([what, *lines[-TAIL:]]))
