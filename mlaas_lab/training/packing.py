"""Chats as batches of tokens: which tokens are learnt, and which chats share a step.

Only what the assistant says is learnt. Where that stands follows from the chat template itself: what rendering one more
turn adds is that turn. Chats of like length share a batch, so little is padded; on a CPU that beats packing several
into one row, whose attention mask costs more than the padding it saves.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor

from mlaas_lab.data import Chat
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message

IGNORED = -100
"""What `cross_entropy` skips."""
POOL = 16
"""Batches that are drawn together and sorted by length."""

Render = Callable[[Sequence[Message], bool], str]
"""A chat as text; the flag asks for the start of an answer at its end."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A chat as tokens."""

    tokens: tuple[int, ...]
    learnt: tuple[bool, ...]
    """Whether the model is to predict this token."""

    def cut(self, length: int) -> "Row":
        """Its first tokens."""
        return Row(tokens=self.tokens[:length], learnt=self.learnt[:length])


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Chats of one step, filled up on the right, where a causal model needs no mask."""

    tokens: Tensor
    """(B, T)"""
    wanted: Tensor
    """(B, T): what each position should predict, or IGNORED."""
    size: int
    """Tokens without padding."""
    learnt: int
    """Tokens that count for the loss."""

    def parts(self, chats: int | None) -> Iterator["Batch"]:
        """The same batch in pieces of so many chats; sizes stay those of the whole."""
        if not len(self.tokens):
            return
        each = chats or len(self.tokens)
        for tokens, wanted in zip(torch.split(self.tokens, each), torch.split(self.wanted, each), strict=True):
            yield Batch(tokens=tokens, wanted=wanted, size=self.size, learnt=self.learnt)


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Rows in an order that follows from seed and epoch alone, so training can start anywhere in it."""

    rows: tuple[Row, ...]
    size: int
    """Chats per batch."""
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches in one pass over the rows."""
        return -(-len(self.rows) // self.size)

    def after(self, step: int) -> Iterator[Batch]:
        """Batches without end, from the one after `step` others."""
        while True:
            epoch, index = divmod(step, self.per_epoch)
            for chosen in self.order(epoch)[index:]:
                yield collate([self.rows[at] for at in chosen])
                step += 1

    def order(self, epoch: int) -> list[list[int]]:
        """Row numbers of each batch: drawn at random, then sorted by length within a pool of batches."""
        chance = random.Random(f"{self.seed} {epoch}")  # noqa: S311 - an order, not a secret
        drawn = list(range(len(self.rows)))
        chance.shuffle(drawn)
        batches: list[list[int]] = []
        for start in range(0, len(drawn), self.size * POOL):
            pool = sorted(drawn[start : start + self.size * POOL], key=lambda at: len(self.rows[at].tokens))
            batches += [pool[at : at + self.size] for at in range(0, len(pool), self.size)]
        chance.shuffle(batches)
        return batches

    @cached_property
    def in_turn(self) -> list[Batch]:
        """Every row once, by length: for a loss that is only measured."""
        rows = sorted(self.rows, key=lambda row: len(row.tokens))
        return [collate(rows[at : at + self.size]) for at in range(0, len(rows), self.size)]


def collate(rows: Sequence[Row]) -> Batch:
    """Rows side by side."""
    longest = max(len(row.tokens) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    wanted = torch.full((len(rows), longest), IGNORED)
    for at, row in enumerate(rows):
        line = torch.tensor(row.tokens)
        tokens[at, : len(line)] = line
        wanted[at, : len(line) - 1] = torch.where(torch.tensor(row.learnt), line, IGNORED)[1:]
    size = sum(len(row.tokens) for row in rows)
    return Batch(tokens=tokens, wanted=wanted, size=size, learnt=int((wanted != IGNORED).sum()))


def encode(chats: Sequence[Chat], tokenizer: Any, *, max_length: int) -> tuple[Row, ...]:
    """Chats as rows; those whose answer lies beyond `max_length` tokens are left out.

    Raises:
        DataError: if the base has no chat template, if it refuses a chat, or if no chat is left.
    """
    if not tokenizer.chat_template:
        raise DataError(
            "the base has no chat template, so it is not known how a chat is written for it.",
            next="Use the instruction-tuned model of that family.",
        )
    render = _renderer(tokenizer)
    rendered = [_rendered(chat, render) for chat in chats]
    texts = [text for text, _ in rendered]
    found = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    marks, end = frozenset(tokenizer.added_tokens_encoder.values()), tokenizer.eos_token_id
    rows = [
        _row(tokens, offsets, spans, marks, end).cut(max_length)
        for tokens, offsets, (_, spans) in zip(found["input_ids"], found["offset_mapping"], rendered, strict=True)
    ]
    kept = tuple(row for row in rows if any(row.learnt[1:]))
    if not kept:
        raise DataError(f"no answer begins within {max_length} tokens in any of {len(chats)} chats.")
    return kept


def answers(messages: Sequence[Message], render: Render) -> tuple[str, list[tuple[int, int]]]:
    """The whole chat as text, and where in it the assistant speaks, end marks included.

    A template may write an earlier turn differently once it is no longer the last; what no longer stands in the text is
    then not learnt.
    """
    text = render(messages, False)
    spans = []
    for at, message in enumerate(messages):
        if message.role == "assistant":
            start = _shared(text, render(messages[:at], True))
            end = _shared(text, render(messages[: at + 1], False))
            # A line feed after the end mark is the template's, not the assistant's.
            spans.append((start, start + len(text[start:end].rstrip())))
    return text, [(start, end) for start, end in spans if end > start]


def _shared(text: str, other: str) -> int:
    """How many characters both begin with."""
    if text.startswith(other):
        return len(other)
    return next((at for at, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), len(text))


def _renderer(tokenizer: Any) -> Render:
    def render(messages: Sequence[Message], answering: bool) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answering))

    return render


def _rendered(chat: Chat, render: Render) -> tuple[str, list[tuple[int, int]]]:
    try:
        return answers(chat.messages, render)
    except TemplateError as error:
        raise DataError(f"line {chat.line}: the base's chat template refuses this chat: {error}.") from None


def _row(
    tokens: list[int],
    offsets: list[tuple[int, int]],
    spans: list[tuple[int, int]],
    marks: frozenset[int],
    end: int | None,
) -> Row:
    learnt = [any(first < stop and last > start for start, stop in spans) for first, last in offsets]
    if any(learnt) and end is not None:
        last = max(at for at, yes in enumerate(learnt) if yes)
        if tokens[last] not in marks:
            # Without an end mark in its template, a model would never learn to stop.
            tokens, learnt = [*tokens[: last + 1], end], [*learnt[: last + 1], True]
    return Row(tokens=tuple(tokens), learnt=tuple(learnt))
