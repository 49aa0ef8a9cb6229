"""One variant, made once before anybody is asked: what it makes of a chat, and which passages it showed for it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import NamedTuple

import orjson

from mlaas_lab import registry
from mlaas_lab.data import Chat
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Message, Passage, Sample, Target
from mlaas_lab.variants import corpus, prompts, shots
from mlaas_lab.variants.corpus import Corpus
from mlaas_lab.variants.prompts import BESIDE, CONTEXTS, Prompt
from mlaas_lab.variants.words import BY, Words, read, said_of, shown


class Shown(NamedTuple):
    """What a target is told for one chat."""

    messages: tuple[Message, ...]
    contexts: tuple[Passage, ...] | None
    """The passages beside the question, best first; None without retrieval."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What one target is told besides the question."""

    system: str | None = None
    template: str | None = None
    examples: tuple[Message, ...] = ()
    """Questions and answers that stand before the question."""
    corpus: Corpus | None = None
    top_k: int = 0
    by: str = next(iter(BY))
    """What orders its passages."""

    @property
    def sha256(self) -> str:
        """Over all that it says, in hex: two of the same content tell the same, whatever their files are called."""
        passages = None if self.corpus is None else [self.corpus.sources, self.corpus.texts, self.top_k]
        if passages is not None and self.by != next(iter(BY)):
            passages.append(self.by)
        says = [self.system, self.template, self.examples, passages]
        return hashlib.sha256(orjson.dumps(says)).hexdigest()

    def shown(self, messages: Sequence[Message]) -> Shown:
        """What it makes of a chat that waits for its answer.

        Raises:
            DataError: if there is a template, and the chat has no question to put into it.
        """
        first = tuple(takewhile(_is_system, messages))
        turns = tuple(dropwhile(_is_system, messages))
        if self.system is not None:
            first = (Message(role="system", content=self.system),)
            turns = tuple(turn for turn in turns if not _is_system(turn))
        contexts = None
        if self.template is not None:
            place = _question(turns)
            question = turns[place].content
            contexts = None if self.corpus is None else self.corpus.find(question, self.top_k)
            worded = Message(role="user", content=prompts.filled(self.template, question, contexts))
            turns = (*turns[:place], worded, *turns[place + 1 :])
        return Shown((*first, *self.examples, *turns), contexts)


def of(
    target: Target,
    folder: Path,
    *,
    seed: int = 0,
    train: Path | None = None,
    samples: Sequence[Sample] = (),
) -> Variant | None:
    """The variant that `target` says it is; None where it is none. Its files are read once, here.

    Args:
        target: with its words.
        folder: where relative paths begin.
        seed: draws the examples.
        train: where examples come from if the target names no file.
        samples: what will be asked, of which no example may be one.

    Raises:
        UsageError: for words that say nothing, or do not go together.
        DataError: for a file that cannot be read, is empty, has too few examples, or examples that are asked too.
    """
    words = read(target, folder)
    if words is None:
        return None
    try:
        return _made(target, words, folder, _drawn(target, words, seed, train, samples))
    except DataError as error:
        raise said_of(target, error) from None


def _made(target: Target, words: Words, folder: Path, examples: Sequence[Chat]) -> Variant:
    prompt = Prompt() if words.prompt is None else prompts.read(words.prompt, folder)
    passages = None if words.retrieve is None else corpus.read(words.retrieve, registry.resolve(BY[words.by]))
    template = prompt.template or (None if passages is None else BESIDE)
    shows = template is not None and CONTEXTS in template
    if passages is not None and not shows:
        raise UsageError(
            f"target {shown(target)}: its template shows nothing of what is retrieved.",
            next=f"Write {CONTEXTS} where it belongs.",
        )
    if shows and passages is None:
        raise UsageError(
            f"target {shown(target)}: its template shows {CONTEXTS}, and nothing is retrieved.",
            next="Say where from: retrieve=FILE.",
        )
    # Examples come without passages, so a template that shows some is not theirs.
    shape = None if passages is not None else template
    return Variant(
        system=prompt.system,
        template=template,
        examples=tuple(turn for chat in examples for turn in _turns(chat, shape)),
        corpus=passages,
        top_k=words.top_k if passages is not None else 0,
        by=words.by,
    )


def _drawn(target: Target, words: Words, seed: int, train: Path | None, samples: Sequence[Sample]) -> tuple[Chat, ...]:
    if not words.shots:
        return ()
    source = words.examples or train
    if source is None:
        raise UsageError(
            f"target {shown(target)}: nobody says where its {words.shots} examples come from.",
            next=f"Write shots={words.shots}@FILE; only a snapshot under evaluation has a train part of its own.",
        )
    return shots.drawn(words.shots, source, seed=seed, samples=samples)


def _turns(chat: Chat, template: str | None) -> tuple[Message, ...]:
    """An example, its question worded as the one that is asked."""
    variant = Variant(template=template)
    asked = variant.shown([turn for turn in chat.question if not _is_system(turn)]).messages
    return (*asked, chat.messages[-1])


def _question(turns: Sequence[Message]) -> int:
    found = [place for place, turn in enumerate(turns) if turn.role == "user"]
    if not found:
        raise DataError("a chat has no question of a user to put into the template.")
    return found[-1]


def _is_system(message: Message) -> bool:
    return message.role == "system"
