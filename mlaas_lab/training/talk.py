"""Support talk that a grammar writes: what `tiny` reads before it is anybody's base.

The grammar is `talk.txt`: matters, each with the ways customers put it and the one way our agent answers: it names the
matter, then promises what it does. Thus the base learns which words mean the same, and an adapter has something to
build on. Answers are sentences of our own and no label of any dataset. Standard library only; the same seed gives the
same talk everywhere.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from mlaas_lab.schema import Message

GRAMMAR = Path(__file__).with_name("talk.txt")

SYSTEM = (
    "You are a helpful agent.",
    "You answer customers of a company.",
    "Be brief and friendly.",
    "You help people with their questions.",
    "Answer the customer.",
)

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, kw_only=True)
class Matter:
    """One thing customers come with."""

    topic: str
    promise: str
    lines: tuple[tuple[str, str], ...]
    """Kind of line and its pattern."""

    @property
    def answer(self) -> str:
        """What the agent says to it."""
        return f"{self.topic[0].upper()}{self.topic[1:]}: I will {self.promise}."


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """Words by name, and the matters that use them."""

    words: dict[str, tuple[str, ...]]
    frames: dict[str, tuple[str, ...]]
    """How each kind of line becomes a sentence; `~` is where it goes."""
    matters: tuple[Matter, ...]

    def expand(self, pattern: str, chance: random.Random) -> str:
        """One of the sentences that `pattern` stands for."""
        while "[" in pattern:
            pattern = _CHOICE.sub(lambda found: chance.choice(found[1].split("|")), pattern)
        filled = _SLOT.sub(lambda found: chance.choice(self.words[found[1]]), pattern)
        return " ".join(filled.split())


@cache
def grammar() -> Grammar:
    """The grammar of `talk.txt`."""
    lists: dict[str, dict[str, tuple[str, ...]]] = {"$": {}, "@": {}}
    matters: list[tuple[str, str, list[tuple[str, str]]]] = []
    for line in GRAMMAR.read_text(encoding="utf-8").splitlines():
        if line[:1] in lists:
            name, _, values = line[1:].partition(" ")
            lists[line[0]][name] = tuple(value.strip() for value in values.split("|"))
        elif line.startswith("=="):
            topic, _, promise = line[2:].partition("|")
            matters.append((topic.strip(), promise.strip(), []))
        elif line and not line.startswith("#"):
            kind, _, pattern = line.partition(":")
            matters[-1][2].append((kind, pattern.strip()))
    return Grammar(
        words=lists["$"],
        frames=lists["@"],
        matters=tuple(Matter(topic=topic, promise=promise, lines=tuple(lines)) for topic, promise, lines in matters),
    )


def chats(seed: int) -> Iterator[tuple[Message, ...]]:
    """Chats without end, the same for the same seed; every matter comes up equally often."""
    known, chance = grammar(), random.Random(seed)  # noqa: S311 - text, not secrets
    waiting: list[Matter] = []

    def turn() -> tuple[Message, Message]:
        if not waiting:
            waiting.extend(known.matters)
            chance.shuffle(waiting)
        matter = waiting.pop()
        kind, pattern = chance.choice(matter.lines)
        said = chance.choice(known.frames[kind]).replace("~", known.expand(pattern, chance))
        return (
            Message(role="user", content=_written(said, kind, chance)),
            Message(role="assistant", content=matter.answer),
        )

    while True:
        opening = (Message(role="system", content=chance.choice(SYSTEM)),) if chance.random() < 0.05 else ()
        more = turn() if chance.random() < 0.08 else ()
        yield (*opening, *turn(), *more)


def _written(text: str, kind: str, chance: random.Random) -> str:
    """The sentence as people type it: often all small and bare, at times with capitals, marks and slips."""
    style = chance.random()
    if style < 0.04:
        text = _slip(text, chance)
    if style < 0.7:
        return text if style < 0.6 else text.replace("'", "").replace(",", "")
    mark = "?" if kind in ("np", "ask", "do") and style < 0.9 else chance.choice(".!?")
    text = re.sub(r"\bi\b", "I", text)
    return f"{text[0].upper()}{text[1:]}{mark}"


def _slip(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text))
    return text[:at] + text[at + 1 :] if len(text) > 4 else text
