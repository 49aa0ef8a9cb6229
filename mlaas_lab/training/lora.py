"""LoRA (Hu et al. 2021) in one loop: what `finetune` runs. It knows of its job only what Context tells."""

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from mlaas_lab import registry
from mlaas_lab.context import Context, Outcome, Stopped
from mlaas_lab.errors import UsageError
from mlaas_lab.store.folder import read_json
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.training import card, state
from mlaas_lab.training.group import Group
from mlaas_lab.training.loading import Loaded
from mlaas_lab.training.packing import IGNORED, Batch
from mlaas_lab.training.preparing import prepare
from mlaas_lab.training.state import Run


def train(spec: Finetune, context: Context) -> Outcome:
    """Fine-tune `spec.base` on `spec.data`; the best adapter by validation loss is kept.

    Raises:
        DataError: for data or a base that cannot be trained on.
        UsageError: for a base that nobody knows, and for workers where there is no cluster.
        Stopped: when the job was asked to stop; started again in the same folder, it goes on from its checkpoint.
    """
    if spec.workers > 1:
        return _shared(spec, context)
    return learn(prepare(spec, context, Group()))


def learn(run: Run) -> Outcome:
    """Take the steps that are left, in one of the processes that share them; all but the first only do their part."""
    spec = run.spec
    state.resume(run)
    for batch in _left(run):
        started_at, lr = time.perf_counter(), _lr(run)
        for group in run.optimizer.param_groups:
            group["lr"] = lr
        loss = 0.0
        for part in run.group.share(batch, step=run.step, seed=spec.seed).parts(spec.pass_size):
            piece = loss_of(run.loaded, part)  # ()
            torch.autograd.backward(piece)
            loss += piece.item()
        loss = run.group.gathered(loss, run.loaded.trained)
        norm = clip_grad_norm_(run.loaded.trained, spec.max_grad_norm)
        run.optimizer.step()
        run.optimizer.zero_grad()
        took_s = time.perf_counter() - started_at
        run.step, run.loss = run.step + 1, loss
        run.tokens, run.trained_s = run.tokens + batch.size, run.trained_s + took_s
        run.context.log(run.step, loss=loss, grad_norm=norm.item(), lr=lr, tokens_per_s=batch.size / took_s)
        ends = run.step % run.batches.per_epoch == 0 or run.step == run.steps
        if ends:
            _validate(run)
        if ends or run.step % spec.save_every == 0:
            state.save(run)
    return _outcome(run) if run.group.leads else Outcome()


def _shared(spec: Finetune, context: Context) -> Outcome:
    if "remote" not in read_json(context.folder.job):
        raise UsageError(f"--workers {spec.workers} needs a cluster.", next="Add --executor ray.")
    outcome: Outcome = registry.resolve("mlaas_lab.training.parallel:train")(spec, context)
    return outcome


def loss_of(loaded: Loaded, batch: Batch) -> Tensor:
    """The part that `batch` has in the mean negative log-likelihood of its step's learnt tokens; ()."""
    wanted = batch.wanted.to(loaded.device)  # (B, T)
    # Only columns in which something is learnt go through the output layer, the widest of all.
    columns = (wanted != IGNORED).any(0).nonzero().flatten()  # (K,)
    tokens = batch.tokens.to(loaded.device)  # (B, T)
    logits = loaded.model(input_ids=tokens, use_cache=False, logits_to_keep=columns).logits  # (B, K, V)
    total = cross_entropy(
        logits.float().flatten(0, 1), wanted[:, columns].flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / batch.learnt


def _left(run: Run) -> Iterator[Batch]:
    """The batches that are left, with progress before each; a wish to stop is granted between two."""
    batches = run.batches.after(run.step)
    while run.step < run.steps:
        if run.group.any(run.context.stopping):
            state.save(run)
            raise Stopped
        run.context.progress(run.step, run.steps, phase="training")
        yield next(batches)
    run.context.progress(run.steps, run.steps, phase="training")


def _lr(run: Run) -> float:
    """Warm-up, then a cosine down to zero."""
    rising = max(1, round(run.spec.warmup * run.steps))
    if run.step < rising:
        return run.peak_lr * (run.step + 1) / rising
    return run.peak_lr * 0.5 * (1 + math.cos(math.pi * (run.step - rising) / max(1, run.steps - rising)))


def _validate(run: Run) -> None:
    """Measure the loss on held-out chats, and remember the adapter with the lowest."""
    if run.validation is None or not run.group.leads:
        return
    run.loaded.model.eval()
    with torch.no_grad():
        sums = [(loss_of(run.loaded, batch).item() * batch.learnt, batch.learnt) for batch in run.validation.in_turn]
    run.loaded.model.train()
    loss = sum(total for total, _ in sums) / sum(learnt for _, learnt in sums)
    run.context.log(run.step, validation_loss=loss, epoch=run.step / run.batches.per_epoch)
    run.context.note(f"step {run.step}/{run.steps}: loss {run.loss:.4f}, validation loss {loss:.4f}")
    if run.best_loss is None or loss < run.best_loss:
        run.best_loss, run.best = loss, state.adapter(run.loaded.model)


def _outcome(run: Run) -> Outcome:
    if run.best:
        state.put(run.loaded.model, run.best)
    rate = run.tokens / run.trained_s if run.trained_s else None
    numbers = {"loss": run.loss, "validation_loss": run.best_loss, "steps": run.steps, "tokens_per_s": rate}
    facts = card.facts(run.spec, run.base, run.datasets, numbers)
    adapter = card.keep(run.loaded, facts, run.context)
    return Outcome(result={"adapter": adapter, **numbers}, metrics=numbers, datasets=run.datasets, adapter=adapter)
