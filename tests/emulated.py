"""An emulator of one vendor on this machine, and the target that leads to it, for tests.

with emulated("openai") as server:
    ...                            # prompt target(server)
"""

from contextlib import contextmanager
from pathlib import Path

from mlaas_lab import registry
from mlaas_lab.emulators import Emulator, Mind
from mlaas_lab.emulators._certificate import loopback_certificate
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Scene, Server


@contextmanager
def emulated(name: str, *, mind: Mind = echo, tls: Path | None = None, **scene):
    """A running server of emulator `name`, over TLS with `ca.pem` in folder `tls`; `scene` are fields of a Scene."""
    context = None if tls is None else loopback_certificate(tls)
    with Server(registry.load("emulator", name), mind=mind, scene=Scene(**scene), tls=context) as server:
        yield server


def target(server: Server, provider: str, *, model: str = "", query: str = "") -> str:
    """A target of `provider` that leads to `server`, with the parameters that the vendor needs."""
    found: Emulator = server.emulator
    words = [f"emulated={server.base_url}", found.target, query]
    return f"{provider}/{model or found.model}?{'&'.join(word for word in words if word)}"
