"""An emulator of one vendor on this machine, and the target that leads to it, for tests.

with emulated("openai") as server:
    ...                            # prompt target(server)
"""

from contextlib import contextmanager

from mlaas_lab import registry
from mlaas_lab.emulators import Emulator, Mind
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Scene, Server


@contextmanager
def emulated(name: str, *, mind: Mind = echo, **scene):
    """A running server of emulator `name`; `scene` are the fields of a Scene."""
    with Server(registry.load("emulator", name), mind=mind, scene=Scene(**scene)) as server:
        yield server


def target(server: Server, provider: str, *, model: str = "", query: str = "") -> str:
    """A target of `provider` that leads to `server`, with the parameters that the vendor needs."""
    found: Emulator = server.emulator
    words = [f"emulated={server.base_url}", found.target, query]
    return f"{provider}/{model or found.model}?{'&'.join(word for word in words if word)}"
