"""What a Spec refers to: whether it is there, and its content, by which two Specs are the same.

A file, a model or an endpoint counts by what is in it and not by where it lies; a job's `name` does not count at all.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from mlaas_lab import data, models, registry, variants
from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON, Target
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec, options
from mlaas_lab.store import Store

NOT_HASHED = frozenset({"name", "cache", "folder"})
"""A job's name, whether its answers may be earlier ones, where its files lie: none changes what it finds out."""


def spec_hash(task: str, spec: Spec, settings: Settings, store: Store) -> str:
    """SHA-256 over the task, every field but those of NOT_HASHED, and the content of what the fields refer to.

    Raises:
        UsageError: for the first thing that is not there, before any job exists.
        DataError: if a file cannot be read.
    """
    folder = getattr(spec, "folder", None) or Path.cwd()
    content = spec.model_dump(mode="json", exclude=set(NOT_HASHED))
    for option in options(type(spec)):
        value = getattr(spec, option.name)
        if option.refers is not None and value not in (None, ""):
            several = isinstance(value, tuple)
            found = [
                _named(option.refers, one, folder, store)
                if option.refers in ("target", "metric")
                else _content(option.refers, one, settings)
                for one in (value if several else (value,))
            ]
            content[option.name] = found if several else found[0]
    return hashlib.sha256(json.dumps([task, content], sort_keys=True).encode()).hexdigest()


def _content(kind: str, value: Any, settings: Settings) -> JSON:
    match kind:
        case "data":
            return data.sha256(value)
        case "model":
            return models.locate(value, settings).fingerprint
        case "engine" | "executor" if value not in registry.names(kind):
            raise registry.unknown(kind, value)
        case _:
            return str(value)


def _named(kind: str, text: str, folder: Path, store: Store) -> str:
    return _target(text, folder, store) if kind == "target" else _metric(text, folder, store)


def _metric(text: str, folder: Path, store: Store) -> str:
    """Its name with its options, and the content of what those name; of a judge who that is."""
    found = registry.configured("metric", text)
    judge = _target(found.judge.target, folder, store) if found.judge is not None else ""
    return " ".join(filter(None, [text, found.content, judge]))


def _target(text: str, folder: Path, store: Store) -> str:
    """What `text` asks: where and how in its own words, and its variant by the content of its files."""
    try:
        target = Target.parse(text)
    except ValueError as error:
        raise UsageError(f"{error}.") from None
    if target.provider is not None:
        if target.provider not in registry.names("provider"):
            raise registry.unknown("provider", target.provider)
        return variants.named(target, folder)
    endpoint = store.endpoint(target.model)
    if endpoint is None:
        known = ", ".join(sorted(e.name for e in store.endpoints()))
        running = f"running are {known}" if known else "none is running"
        raise UsageError(f"no endpoint {target.model!r}: {running}.", next=f"Start it: serve {target.model}")
    return f"{endpoint.job_id}:{variants.named(target, folder)}"
