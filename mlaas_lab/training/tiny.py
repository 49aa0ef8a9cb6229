"""`tiny`: a small Llama, its tokenizer and chat template, trained from scratch on talk that talk.py writes.

It exists because weights can neither be shipped nor always downloaded. It names what a customer's question is about and
promises to care for it; that is all it knows, and enough for an adapter to build on. The result is an ordinary Hugging
Face folder. The same recipe, thread count and machine give the same bytes.
"""

import json
import math
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.utils import logging

from mlaas_lab.errors import DataError
from mlaas_lab.models import Progress
from mlaas_lab.training import talk
from mlaas_lab.training.recipe import Recipe

PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"
ROLES = ("system", "user", "assistant", "tool")
TEMPLATE = (
    "{{- bos_token -}}"
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + eos_token -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
POOL = 16
"""Batches that are drawn together and sorted by length, so that little is padded."""
WORDS_FROM = 8_000
"""Chats that the tokenizer is trained on."""

Batch = tuple[Tensor, Tensor]
"""Tokens (B, T), and what each position should predict (B, T), -100 where nothing."""


def build(path: Path, progress: Progress, recipe: Recipe | None = None, *, again: bool = False) -> Path:
    """Make the folder `path`; who comes while another process builds it waits for that one.

    Args:
        path: appears whole or not at all.
        progress: called before each step.
        recipe: by default the one of `tiny`.
        again: build it also if it is there.

    Raises:
        DataError: if the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path, progress):
            if again or not path.exists():
                _put(path, recipe or Recipe(), progress)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}.", next="Set cache_dir elsewhere."
        ) from None
    return path


def _alone(path: Path, progress: Progress) -> FileLock:
    """The lock on `path`, taken; freed by the system if its holder dies."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    while True:
        try:
            lock.acquire(timeout=0.5)
            return lock
        except Timeout:
            progress(0, None, "another process is building tiny")


def _put(path: Path, recipe: Recipe, progress: Progress) -> None:
    for left in path.parent.glob(f".{path.name}.tmp*"):
        shutil.rmtree(left)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.tmp", dir=path.parent))
    try:
        _make(beside, recipe, progress)
        beside.chmod(0o755)
        if path.exists():
            path.rename(beside.with_name(f"{beside.name}.old"))
        beside.rename(path)
    finally:
        for left in path.parent.glob(f".{path.name}.tmp*"):
            shutil.rmtree(left, ignore_errors=True)


def _make(folder: Path, recipe: Recipe, progress: Progress) -> None:
    logging.disable_progress_bar()
    progress(0, recipe.steps, "writing text for tiny")
    chats = list(islice(talk.chats(recipe.seed), recipe.steps * recipe.batch))
    turns = [[asdict(message) for message in chat] for chat in chats]
    tokenizer = _tokenizer([turn["content"] for chat in turns[:WORDS_FROM] for turn in chat], recipe)
    texts = tokenizer.apply_chat_template(turns, tokenize=False)
    rows: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = LlamaForCausalLM(_config(recipe, tokenizer))
        _train(model, rows, recipe, progress)
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")


def _train(model: Any, rows: list[list[int]], recipe: Recipe, progress: Progress) -> None:
    """Next-token prediction, with warm-up and cosine."""
    embeddings = model.get_input_embeddings().weight
    layers = [weight for weight in model.parameters() if weight is not embeddings]
    groups = [{"params": [embeddings], "peak": recipe.embedding_lr}, {"params": layers, "peak": recipe.lr}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    model.train()
    for step, (tokens, wanted) in enumerate(_batches(rows, recipe)):
        progress(step, recipe.steps, "building tiny")
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _share(step, recipe)
        logits = model(input_ids=tokens, use_cache=False).logits  # (B, T, V)
        loss = cross_entropy(logits.flatten(0, 1), wanted.flatten())  # ()
        torch.autograd.backward(loss)
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    progress(recipe.steps, recipe.steps, "building tiny")


def _share(step: int, recipe: Recipe) -> float:
    """Of the peak learning rate, at `step`."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return cosine * min(1.0, (step + 1) / recipe.warmup)


def _batches(rows: list[list[int]], recipe: Recipe) -> Iterator[Batch]:
    chance = random.Random(recipe.seed)  # noqa: S311 - an order, not a secret
    size = recipe.batch
    for start in range(0, len(rows), size * POOL):
        pool = sorted(rows[start : start + size * POOL], key=len)
        batches = [pool[at : at + size] for at in range(0, len(pool), size)]
        chance.shuffle(batches)
        yield from map(_padded, batches)


def _padded(rows: list[list[int]]) -> Batch:
    """Rows filled up on the right, where a causal model needs no mask."""
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
    wanted = torch.tensor([row[1:] + [-100] * (longest - len(row) + 1) for row in rows])
    return tokens, wanted


def _tokenizer(texts: list[str], recipe: Recipe) -> Any:
    """Byte-level BPE; a word is the same token at the start of a turn and within."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    special = [PAD, BEGIN, END, *(f"<|{role}|>" for role in ROLES)]
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        extra_special_tokens=special[3:],
        chat_template=TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=recipe.context,
    )


def _config(recipe: Recipe, tokenizer: Any) -> Any:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        intermediate_size=recipe.inner,
        max_position_embeddings=recipe.context,
        initializer_range=recipe.spread,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
