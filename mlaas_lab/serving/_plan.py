"""What shall be served, under which names, and where: said before anything starts."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.models import TINY, Model, locate
from mlaas_lab.settings import Settings
from mlaas_lab.tasks.serve import Serve, names
from mlaas_lab.unix_socket import LONGEST

HOST = "127.0.0.1"
SOCKET = "socket/v1"
"""In a job's folder."""


def named(spec: Serve, settings: Settings) -> dict[str, Model]:
    """Endpoint's name → model.

    Raises:
        UsageError: for an unknown model, or two of one name; for a port beside a socket.
        DataError: for an adapter beside another base.
    """
    if spec.name and len(spec.models) > 1:
        raise UsageError(f"--name {spec.name!r} fits one model, not {len(spec.models)}.")
    if spec.socket and spec.port:
        raise UsageError("--port and --socket: a server listens on one of them.")
    if spec.sleep_level and not spec.socket:
        raise UsageError(
            "--sleep-level needs --socket: nobody else shall reach what sends a server to sleep.",
            next="Add --socket.",
        )
    models = [locate(word, settings) for word in spec.models]
    _check_bases(models)
    wanted = names(spec)
    for name in wanted:
        if wanted.count(name) > 1:
            raise UsageError(f"two models would be endpoint {name!r}.", next="Serve one of them with --name.")
    return dict(zip(wanted, models, strict=True))


def check_joins(model: Model, served: Mapping[str, Model]) -> None:
    """Return when `model` is an adapter of a base that is served.

    Raises:
        UsageError: if it is a whole model.
        DataError: if its base is another.
    """
    if model.base is None:
        raise UsageError(f"{model.name!r} is a whole model, no adapter.", next=f"Serve it: serve {model.name}")
    bases = {(one.base or one).fingerprint: _short(one.base or one) for one in served.values()}
    if model.base.fingerprint not in bases:
        raise _other_base(model, model.base, " and ".join(dict.fromkeys(bases.values())))


def _check_bases(models: Sequence[Model]) -> None:
    """Whole models beside an adapter are there to be compared with it, so one of them must be its base."""
    whole = [model for model in models if model.base is None]
    for model in models:
        if model.base and whole and model.base.fingerprint not in {one.fingerprint for one in whole}:
            raise _other_base(model, model.base, " and ".join(_short(one) for one in whole))


def _other_base(model: Model, base: Model, others: str) -> DataError:
    return DataError(
        f"adapter {model.name!r} was trained on {_short(base)}, not on {others}.",
        next=f"Serve it with its own base: serve {_short(base)} {model.name}",
    )


def _short(model: Model) -> str:
    name = model.name.partition("@")[0]
    return f"{name}@{model.fingerprint[:8]}" if name == TINY else model.name


def free_port(wanted: int) -> int:
    """`wanted`, or a free one for 0.

    Raises:
        UsageError: if it cannot be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError as error:
            raise taken(wanted, error) from None
        port: int = probe.getsockname()[1]
        return port


def taken(port: int, error: OSError | None = None) -> UsageError:
    """What to say of a port that somebody else has."""
    why = f": {error.strerror.lower()}" if error and error.strerror else ""
    return UsageError(f"port {port} on {HOST} cannot be used{why}.", next="Leave out --port for a free one.")


def own_socket(folder: Path) -> Path:
    """A place for a socket below `folder` that nobody but this user can reach; what a server left there is removed.

    Raises:
        UsageError: if its path is longer than the system allows.
    """
    path = folder / SOCKET
    if (length := len(str(path).encode())) > LONGEST:
        raise UsageError(
            f"--socket: {path} has {length} bytes, and a socket's path at most {LONGEST}.",
            next="Leave out --socket, or have the data in a folder of a shorter name: MLAAS_DATA_DIR.",
        )
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.unlink(missing_ok=True)
    return path
