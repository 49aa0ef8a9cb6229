"""The commands in Python: `ml.finetune(base="tiny", data="rows.jsonl")`.

Their types stand in `api.pyi`, which is made from the Specs. `scorer` alone is no command.
"""

import functools
from collections.abc import Callable
from typing import Any

from mlaas_lab import fronts, registry
from mlaas_lab.commands import _dispatch, _help
from mlaas_lab.environment import silence
from mlaas_lab.lab import Lab


def scorer(name: str) -> Any:
    """Metric `name` of ours, options included, as a scorer for `mlflow.genai.evaluate`."""
    silence()
    return registry.resolve("mlaas_lab.evaluation.metrics.mlflow:scorer")(name)


def __getattr__(name: str) -> Callable[..., Any]:
    words = name.replace("_", " ")
    if words not in _dispatch.names():
        raise AttributeError(f"module 'mlaas_lab' has no attribute {name!r}")
    return _function(words)


def __dir__() -> list[str]:
    return ["scorer", *(name.replace(" ", "_") for name in _dispatch.names())]


@functools.cache
def _function(name: str) -> Callable[..., Any]:
    def run(*loose: Any, **named: Any) -> Any:
        silence()
        front = fronts.Notebook() if fronts.in_notebook() else None
        lab = Lab(live=front.live) if front else Lab()
        return _dispatch.call(name, lab, loose, named)

    run.__name__ = name.replace(" ", "_")
    run.__doc__ = _help.usage(name)
    return run
