"""The job `tiny`: build the base model unless it is there, and say what came out.

Torch is imported only to build.
"""

import hashlib
import time
from math import prod

from mlaas_lab import registry
from mlaas_lab.context import Context, Outcome
from mlaas_lab.models import tiny_path
from mlaas_lab.schema import JSON
from mlaas_lab.tasks.tiny import Tiny
from mlaas_lab.training.recipe import Recipe
from mlaas_lab.weights import shapes


def make(spec: Tiny, context: Context) -> Outcome:
    """Build `tiny` from `spec.seed`, unless it is there.

    Raises:
        DataError: if it cannot be written.
        Stopped: when the job was asked to stop; nothing half-made is left.
    """
    started_at, recipe = time.monotonic(), Recipe(seed=spec.seed)

    def shown(n: int, total: int | None, phase: str) -> None:
        context.check()
        context.progress(n, total, phase=phase)

    path = tiny_path(context.settings, recipe.fingerprint)
    if spec.rebuild or not path.exists():
        registry.resolve("mlaas_lab.training.tiny:build")(path, shown, recipe, again=spec.rebuild)
    wall_s = time.monotonic() - started_at
    result: dict[str, JSON] = {
        "path": str(path),
        "name": f"tiny@{recipe.fingerprint[:8]}" if spec.seed else "tiny",
        "parameters": sum(map(prod, shapes([path / "model.safetensors"]).values())),
        "sha256": hashlib.sha256((path / "model.safetensors").read_bytes()).hexdigest(),
        "wall_s": wall_s,
    }
    return Outcome(result=result, metrics={"parameters": float(result["parameters"]), "wall_s": wall_s})
