"""The entry of `emulate`: a server for each vendor, until somebody stops the job."""

import os
import ssl
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from mlaas_lab import registry
from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.emulators import Emulator, Mind
from mlaas_lab.emulators._certificate import loopback_certificate
from mlaas_lab.emulators._minds import asking, echo, script
from mlaas_lab.emulators._server import FAULTS, Scene, Server
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.settings import Settings
from mlaas_lab.tasks.emulate import SCRIPTS, Emulate

EVERYBODY = "all"
LOOK_S = 0.2
_PARENT = os.getppid()


def serve(spec: Emulate, context: Context) -> Outcome:
    """Stand in for `spec.providers` until somebody stops the job.

    Raises:
        UsageError: for an unknown vendor or fault, or shares that are more than all.
        DataError: for a script that cannot be read.
    """
    names = _names(spec.providers)
    scene = _scene(spec)
    mind = _mind(spec.answers, context.settings)
    tls = loopback_certificate(context.folder.path) if spec.tls else None
    ends = []
    with ExitStack() as running:
        for name in names:
            emulator: Emulator = registry.load("emulator", name)
            server = running.enter_context(_server(emulator, mind, scene, tls, slow=mind is not echo))
            end = {"name": f"emulated-{name}", "base_url": server.base_url, "model": emulator.model}
            context.endpoint(**end, engine="emulator", source=name, ready=True)
            words = f"?{emulator.target}&emulated=yes" if emulator.target else "?emulated=yes"
            context.note(f"{name} at {server.base_url}: {name}/{emulator.model}{words}")
            ends.append({**end, "provider": name})
        context.ready()
        _stay(context)
    return Outcome(result={"endpoints": ends})


def _names(words: Iterable[str]) -> list[str]:
    known = registry.names("emulator")
    for word in words:
        if word != EVERYBODY and word not in known:
            raise registry.unknown("emulator", word)
    return list(known) if EVERYBODY in words else list(dict.fromkeys(words))


def _scene(spec: Emulate) -> Scene:
    for name, share in spec.faults.items():
        if name not in FAULTS:
            raise UsageError(
                f"unknown fault {name!r}.", next=did_you_mean(name, FAULTS) or f"Known: {', '.join(FAULTS)}."
            )
        if not 0 <= share <= 1:
            raise UsageError(f"{name}={share:g} is no share of the requests.", next="Write one from 0 to 1.")
    if sum(spec.faults.values()) > 1:
        raise UsageError("the shares of the faults are more than 1 together.")
    return Scene(
        ttft_s=spec.ttft_s,
        tokens_per_s=spec.tokens_per_s,
        chunk_bytes=spec.chunk_bytes,
        faults=spec.faults,
        retry_after=spec.retry_after,
        seed=spec.seed,
    )


def _mind(word: str, settings: Settings) -> Mind:
    if word == "echo":
        return echo
    if word.endswith(SCRIPTS) or Path(word).expanduser().is_file():
        return script(Path(word))
    return asking(word, settings)


def _server(emulator: Emulator, mind: Mind, scene: Scene, tls: ssl.SSLContext | None, *, slow: bool) -> Server:
    return Server(emulator, mind=mind, scene=scene, tls=tls, blocking=slow)


def _stay(context: Context) -> None:
    while not context.stopping:
        try:
            context.check()
        except Stopped:
            return
        if os.getppid() != _PARENT:
            return  # the supervisor is gone, and with it whoever could stop us
        time.sleep(LOOK_S)
