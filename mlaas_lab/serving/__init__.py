"""Servers for our own models: what an engine is.

An engine is a program that answers OpenAI's chat completions below `/v1`. A file here says how it is started for some
models, and nothing else: starting, probing and stopping are the same for all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One model to serve, all of it on this disk."""

    name: str
    """Of the endpoint."""
    source: str
    """The model as the user named it."""
    base: Path
    """A Hugging Face folder."""
    adapter: Path | None = None
    """A LoRA folder trained on that base."""


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a server shall be like."""

    port: int
    threads: int
    """CPU threads for all of its models together."""
    device: str
    batch: bool
    """Answer requests together where the engine can."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a server is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """What differs from ours."""
    models: Mapping[str, str]
    """Endpoint's name → what a request names as its model."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A program that serves models."""

    launch: Callable[[Sequence[Weights], Wishes, Path], Launch]
    """Called with a folder for its files, which is also where the server runs.

    Raises DataError for a model it cannot serve, MissingExtra when it is not installed.
    """
