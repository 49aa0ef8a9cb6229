"""Servers for our own models: what an engine is.

An engine is a program that answers OpenAI's chat completions below `/v1`. A file here says how it is started for some
models and how adapters come and go while it runs, and nothing else: starting, probing, restarting and stopping are the
same for all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mlaas_lab.schema import JSON


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
    """What a server shall be like; what is None or empty is left to the engine."""

    port: int
    """On the loopback address; 0 where it listens on a socket."""
    threads: int
    """CPU threads for all of its models together."""
    device: str
    batch: bool
    """Answer requests together where the engine can."""
    key: str = field(default="", repr=False)
    """What requests must bring, where the engine can ask for it."""
    dtype: str = "auto"
    max_length: int | None = None
    """Tokens of prompt and answer together."""
    tensor_parallel: int = 1
    quantization: str = ""
    prefix_cache: bool = True
    cache_gib: float | None = None
    """Memory for the keys and values of requests under way."""
    max_adapters: int | None = None
    """Places for adapters."""
    max_rank: int | None = None
    """Of any of them."""
    engine_args: str = ""
    """Further flags, in the engine's own words."""
    on_host: bool = True
    """Its weights come to lie in this machine's own memory, and not in an accelerator's."""
    beside_bytes: int = 0
    """Memory of this machine that the comparison with what was trained takes, while the server loads."""
    socket: str = ""
    """Path of the Unix socket to listen on, instead of a port."""
    sleep_level: int = 0
    """What it shall be able to let go of while its process stays; 0: nothing."""
    python: str = ""
    """Interpreter that has the engine, as the settings say."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """Where a server tells what it does, in Prometheus' text format."""

    path: str
    """From the root of its address."""
    running: tuple[str, ...]
    """Metrics whose sum is how many requests are under way."""
    done: tuple[str, ...]
    """Metrics whose sum grows whenever the model computes."""
    waiting: tuple[str, ...] = ()
    """Of those that run, the ones that the engine has not begun; empty: it does not tell."""
    read: tuple[str, ...] = ()
    """Tokens of prompts, since it started."""
    written: tuple[str, ...] = ()
    """Tokens of answers, since then."""
    cache: tuple[str, ...] = ()
    """Share of the memory for keys and values that is in use."""
    model: str = ""
    """Label of `read` and `written` that says of which model; empty: they are of all together."""
    asked: str = ""
    """Metric whose newest series has in its labels the adapters that are asked now, with commas; empty: none has."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a server is started."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    """What differs from ours."""
    models: Mapping[str, str]
    """Endpoint's name → what a request names as its model."""
    key: str = field(default="", repr=False)
    """What requests must bring; empty: nothing."""
    activity: Activity | None = None
    places: int | None = 0
    """Adapters that it has room for, those of the start included; None: as many as memory holds."""
    max_rank: int | None = None
    """Of an adapter; None: any."""
    sleep_level: int = 0
    """How deep it sleeps."""
    isolated: bool = False
    """Its interpreter is another one: nothing of our environment but `environment` and what a process needs."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A server that runs."""

    base_url: str
    folder: Path
    """Where it runs, and where its files are."""
    launch: Launch


@dataclass(frozen=True, kw_only=True)
class Telling:
    """How an engine is asked to answer greedily and to tell its tokens: `prompt_token_ids` and `token_ids`."""

    request: Mapping[str, JSON]
    """What a request says for it, besides temperature 0; log-probabilities come where the engine has them."""
    own_tokenizers: bool
    """It reads and writes with the tokenizer and chat template that an adapter brings, not with its base's."""
    narrows: bool
    """With dtype `auto` it computes in 16 bits although the weights have 32."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A program that serves models."""

    launch: Callable[[Sequence[Weights], Wishes, Path], Launch]
    """Called with a folder for its files, which is also where the server runs.

    Raises DataError for a model it cannot serve, UsageError for wishes it cannot fulfil, MissingExtra when it is not
    installed.
    """
    add: Callable[[Weights, Place], str] | None = None
    """Have a running server serve another adapter: what requests name as its model. None: it cannot.

    Raises DataError for an adapter it cannot serve, JobError when the server refuses.
    """
    remove: Callable[[str, Place], None] | None = None
    """Have it let go of what requests name so.

    Raises JobError when the server refuses.
    """
    sleep: Callable[[Place], None] | None = None
    """Have it let go of its accelerator, as deep as it was launched for. None: it cannot.

    Raises JobError when the server refuses.
    """
    wake: Callable[[Place], None] | None = None
    """Have it as before, all adapters included.

    Raises JobError when the server refuses.
    """
    telling: Telling | None = None
    """None: its answers cannot be compared."""
