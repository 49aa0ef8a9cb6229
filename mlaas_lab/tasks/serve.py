"""`%mlaas serve MODEL…`: servers on this machine for models and adapters; the name of each is then a target."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mlaas_lab.spec import Arg, DataFile, ModelName, Refers, Span, Spec
from mlaas_lab.tasks import Task

LARGEST_RANK = 512
"""Of an adapter that an engine can serve."""


class Serve(Spec):
    """Serve models and adapters on this machine until the job is cancelled."""

    models: tuple[ModelName, ...] = Arg(min_length=1)
    """`tiny`, adapters by name, folders, or hub ids; each becomes an endpoint of that name."""
    engine: Annotated[str | None, Refers("engine")] = None
    """What serves them; by default the setting `engine`."""
    name: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    """Another name for the endpoint of a single model."""
    port: int = Field(0, ge=0, le=65535)
    """Port on 127.0.0.1; 0 takes a free one."""
    socket: bool = False
    """Listen on a Unix socket that nobody but this user can open, instead of a port; `front` answers for it."""
    device: str = "auto"
    """`cpu`, `cuda:0` and so on; `auto` takes a GPU if there is one."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Numbers that the model computes with; `auto` leaves it to the engine."""
    batch: bool = True
    """Answer requests of temperature 0 together, which is faster; with `--no-batch` one after another."""
    max_length: int | None = Field(None, ge=1)
    """Tokens of prompt and answer together; by default as many as the model can (vllm)."""
    tensor_parallel: int = Field(1, ge=1)
    """GPUs that each layer is split over (vllm)."""
    quantization: str = Field("", pattern=r"^[a-z0-9_-]*$")
    """How the weights are quantised, as vLLM calls it; empty: as the model says (vllm)."""
    prefix_cache: bool = True
    """Compute a beginning that prompts share once (vllm)."""
    cache_gib: float | None = Field(None, gt=0)
    """GiB for the keys and values of requests under way; by default 1 on a CPU, and what a GPU has left (vllm)."""
    max_adapters: int | None = Field(None, ge=0)
    """Places for adapters; by default three more than are named, and none if none is (vllm)."""
    max_rank: int | None = Field(None, ge=1, le=LARGEST_RANK)
    """Largest rank of an adapter that may be added later; by default 16, or that of those that are named (vllm)."""
    engine_args: str = ""
    """Further flags in the engine's own words: `--engine-args='--seed 1'` (vllm)."""
    parity: bool = True
    """Compare adapters with what was trained before anybody asks them; where that was not wanted, panels say so."""
    parity_prompts: int = Field(4, ge=1, le=64)
    """Prompts that are compared."""
    parity_data: DataFile | None = None
    """Dataset whose first prompts are compared; by default a few of our own."""
    idle: Span = ""
    """Stop when nobody asked for so long, as in `10m`; the next request, through `front`, starts it again."""
    sleep_level: int = Field(0, ge=0, le=2)
    """What an idle server lets go of: 0 everything; 1 the accelerator, its weights wait in this machine's memory; 2 the
    weights too, and they are read anew. With 1 and 2 its process stays; they need a GPU and `--socket` (vllm)."""
    ready_within_s: float = Field(900, gt=0)
    """Give up when no answer came after so many seconds."""
    probe_s: float = Field(10, gt=0)
    """Seconds from one look at whether a token comes to the next, and within which it must come."""


def endpoint_name(word: str) -> str:
    """The name of an endpoint for a model: the word, or the last part of a path or hub id."""
    return re.sub(r"[^A-Za-z0-9@._-]+", "-", Path(word).name).lstrip(".-@") or "model"


def names(spec: Serve) -> list[str]:
    """Of the endpoints, one for each model."""
    return [spec.name or endpoint_name(word) for word in spec.models]


task = Task(
    spec=Serve,
    entry="mlaas_lab.serving._run:serve",
    tracked=False,
    service=True,
    needs="mlaas_lab.forecast:serving",
    claims=names,
)
