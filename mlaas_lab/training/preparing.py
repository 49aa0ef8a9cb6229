"""Everything a training needs before its first step: base, chats, defaults that depend on the base."""

import hashlib
import json
from pathlib import Path

import torch

from mlaas_lab import data, models
from mlaas_lab.context import Context, Dataset
from mlaas_lab.data import Chat
from mlaas_lab.errors import DataError
from mlaas_lab.models import Model
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import packing
from mlaas_lab.training.group import Group
from mlaas_lab.training.loading import Loaded, load
from mlaas_lab.training.packing import Batches
from mlaas_lab.training.state import Run

FEW = 20
"""With fewer chats than this none is held out for validation."""
SMALL_LR, SMALL_EPOCHS = 2e-3, 8
LR, EPOCHS = 2e-4, 3


def prepare(spec: Finetune, context: Context, group: Group) -> Run:
    """The training as it stands before its first step, in one of the processes of `group`.

    Raises:
        DataError: for data or a base that cannot be trained on.
        UsageError: for a base that nobody knows.
    """
    torch.set_num_threads(context.settings.threads)
    base = models.locate(spec.base, context.settings)
    if base.base is not None:
        raise DataError(
            f"{spec.base!r} is an adapter; a fine-tune starts from its base.", next=f"--base {base.base.name}"
        )
    chats, held, datasets = _chats(spec, context)
    loaded = _base(spec, base, context)
    batches = _batches(spec, context, loaded, chats)
    lr = spec.lr or (SMALL_LR if loaded.small else LR)
    epochs = spec.epochs or (SMALL_EPOCHS if loaded.small else EPOCHS)
    steps = max(1, round(epochs * batches.per_epoch))
    context.note(
        f"{base.name}, {loaded.parameters / 1e6:.1f} M parameters, on {loaded.device}: {len(batches.rows)} chats, "
        f"{epochs:g} epochs, {steps} steps of {spec.batch_size}, peak learning rate {lr:g}"
    )
    loaded.model.train()
    return Run(
        spec=spec,
        context=context,
        group=group,
        base=base,
        loaded=loaded,
        batches=batches,
        validation=_batches(spec, context, loaded, held) if held else None,
        datasets=datasets,
        optimizer=torch.optim.AdamW(loaded.trained, lr=lr, weight_decay=spec.weight_decay, fused=True),
        peak_lr=lr,
        steps=steps,
        key=_key(spec, base, datasets),
    )


def _base(spec: Finetune, base: Model, context: Context) -> Loaded:
    def shown(n: int, total: int | None, phase: str) -> None:
        context.check()
        context.progress(n, total, phase=phase)

    folder = models.materialize(base, shown)
    context.progress(0, None, phase="loading the base")
    return load(spec, base, folder)


def _chats(spec: Finetune, context: Context) -> tuple[list[Chat], list[Chat], tuple[Dataset, ...]]:
    """Chats to train on, chats to validate on, and where both come from."""
    chats, held = data.load(spec.data, mapping=spec.map, answered=True), []
    if spec.eval_data is not None:
        held = data.load(spec.eval_data, mapping=spec.map, answered=True)
    elif spec.validation and len(chats) >= FEW:
        parts = data.split(chats, test=spec.validation, seed=spec.seed)
        chats, held = list(parts.train), list(parts.test)
    elif spec.validation:
        context.note(f"{len(chats)} chats are too few to hold some out: the last adapter is kept, not the best")
    sources = [(spec.data, "train", len(chats)), (spec.eval_data or spec.data, "validation", len(held))]
    return chats, held, tuple(_dataset(path, role, rows) for path, role, rows in sources if rows)


def _dataset(path: Path, role: str, rows: int) -> Dataset:
    return Dataset(name=path.stem, path=str(path.absolute()), sha256=data.sha256(path), rows=rows, context=role)


def _batches(spec: Finetune, context: Context, loaded: Loaded, chats: list[Chat]) -> Batches:
    length = min(spec.max_length, loaded.context)
    rows = packing.encode(chats, loaded.tokenizer, max_length=length)
    if left_out := len(chats) - len(rows):
        context.note(f"{left_out} of {len(chats)} chats are left out: no answer within {length} tokens")
    return Batches(rows=rows, size=spec.batch_size, seed=spec.seed)


def _key(spec: Finetune, base: Model, datasets: tuple[Dataset, ...]) -> str:
    # Data counts by its content, not by where it lies; how a step is divided changes nothing but rounding.
    options = spec.model_dump(mode="json", exclude={"name", "save_every", "pass_size", "workers", "data", "eval_data"})
    content = [(dataset.context, dataset.sha256) for dataset in datasets]
    text = json.dumps([options, base.fingerprint, content], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
