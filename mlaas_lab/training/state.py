"""A training under way, and how it comes back after its process ended.

What is fixed is made again from the Spec; what changed is in the checkpoint. The order of chats follows from the step,
the learning rate too, so a resumed training takes the very steps that an unbroken one takes.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from mlaas_lab.context import Context, Dataset
from mlaas_lab.models import Model
from mlaas_lab.schema import JSON
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import checkpoint
from mlaas_lab.training.checkpoint import Checkpoint
from mlaas_lab.training.group import Group
from mlaas_lab.training.loading import Loaded
from mlaas_lab.training.packing import Batches

Weights = dict[str, Tensor]


@dataclass(kw_only=True)
class Run:
    """What is fixed, then what changes."""

    spec: Finetune
    context: Context
    group: Group
    base: Model
    loaded: Loaded
    batches: Batches
    validation: Batches | None
    datasets: tuple[Dataset, ...]
    optimizer: torch.optim.Optimizer
    peak_lr: float
    steps: int
    key: str
    """Hash of all that must be the same for a checkpoint to be continued."""

    step: int = 0
    """Steps taken."""
    loss: float = math.nan
    """Of the last step."""
    best_loss: float | None = None
    best: Weights = field(default_factory=dict)
    """The adapter with that validation loss; empty before the first."""
    tokens: int = 0
    trained_s: float = 0.0


def adapter(model: Any) -> Weights:
    """A copy of the update matrices."""
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: weight.detach().cpu().clone() for name, weight in state.items()}


def put(model: Any, weights: Weights) -> None:
    """Give the model these update matrices."""
    set_peft_model_state_dict(model, weights)


def save(run: Run) -> None:
    """Write all that the rest of the training depends on; one of a group does."""
    if not run.group.leads:
        return
    tensors = {f"adapter.{name}": weight for name, weight in adapter(run.loaded.model).items()}
    tensors |= {f"best.{name}": weight for name, weight in run.best.items()}
    for index, state in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if run.loaded.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    facts = {
        "key": run.key,
        "best_loss": run.best_loss,
        "loss": run.loss,
        "tokens": run.tokens,
        "s": run.trained_s,
        "made_by": made_by(run.loaded.device),
    }
    run.context.settle()
    checkpoint.write(run.context.folder.checkpoints, Checkpoint(step=run.step, tensors=tensors, facts=facts))


def resume(run: Run) -> None:
    """Go on from the newest checkpoint that verifies, if it belongs to the same training."""
    found = checkpoint.latest(run.context.folder.checkpoints)
    if found is None:
        return
    if found.facts["key"] != run.key:
        run.context.note("the checkpoint here is of another training: starting anew")
        if run.group.leads:
            checkpoint.clear(run.context.folder.checkpoints)
        return
    put(run.loaded.model, _under("adapter", found))
    run.best = _under("best", found)
    moments: dict[int, Weights] = {}
    for name, value in _under("optimizer", found).items():
        index, _, key = name.partition(".")
        moments.setdefault(int(index), {})[key] = value
    run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": moments})
    torch.set_rng_state(found.tensors["random.cpu"])
    if run.loaded.device.type == "cuda":
        torch.cuda.set_rng_state(found.tensors["random.cuda"])
    run.step, run.loss, run.best_loss = found.step, found.facts["loss"], found.facts["best_loss"]
    run.tokens, run.trained_s = found.facts["tokens"], found.facts["s"]
    run.context.note(f"going on from step {run.step} of {run.steps}")
    now = made_by(run.loaded.device)
    then = found.facts.get("made_by", now)
    for what in (key for key in now if now[key] != then.get(key)):
        run.context.note(f"{what} was {then.get(what)} and is {now[what]}: the rest is not equal to the last bit")


def made_by(device: torch.device) -> dict[str, JSON]:
    """What must be the same for the rest of a training to be equal to the last bit."""
    return {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": device.type}


def _under(prefix: str, found: Checkpoint) -> Weights:
    length = len(prefix) + 1
    return {name[length:]: weight for name, weight in found.tensors.items() if name.startswith(f"{prefix}.")}
