"""What is asked: the nth request's words and the longest answer to it. It knows nobody who is asked.

Made-up prompts differ from their first word on and between runs, so that no prefix cache flatters a server. Their words
are frequent English ones, which tokenizers of today know as one token each; how many it were, the target says.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mlaas_lab.schema import Message, Sample

_FREQUENT = (
    "time year people way day man thing woman life child world school state family student group country problem "
    "hand part place case week company system program question work government number night point home water room "
    "mother area money story fact month lot right study book eye job word business issue side kind head house "
    "service friend father power hour game line end member law car city name team minute idea body back parent face "
    "others level office door health person art war history party result change morning reason research girl guy "
    "moment air teacher"
)
WORDS = tuple(_FREQUENT.split())
PHRASE_TOKENS = 8
PHRASES = 4096
"""Of which prompts are made: to draw each word would cost more than to send the request."""
FRAME_TOKENS = 4
"""Of a chat template's marks around one message, at least."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request to be."""

    sample_id: str
    repeat: int
    messages: tuple[Message, ...]
    max_tokens: int
    made: bool = False
    """The words mean nothing and are not worth keeping."""
    group: str | None = None
    reference: str | None = None


class Prompts(Protocol):
    """A source of requests that never ends."""

    def ask(self, n: int) -> Ask:
        """Request `n`, from 0."""


class MadeUp:
    """Phrases at random; the nth prompt has the nth length, and after the last the first again."""

    def __init__(self, *, input_tokens: Sequence[int], output_tokens: Sequence[int], salt: str) -> None:
        """`salt` makes them others than those of any other run."""
        self._input, self._output, self._salt = input_tokens, output_tokens, salt
        self._drawn = random.Random(salt)  # noqa: S311 - no secret
        self._phrases = [" ".join(self._drawn.choices(WORDS, k=PHRASE_TOKENS)) for _ in range(PHRASES)]

    def ask(self, n: int) -> Ask:
        """Request `n`, from 0; other words each time."""
        at = n % len(self._input)
        phrases, rest = divmod(max(1, self._input[at] - FRAME_TOKENS), PHRASE_TOKENS)
        words = self._drawn.choices(self._phrases, k=phrases) + self._drawn.choices(WORDS, k=rest)
        message = Message(role="user", content=" ".join(words))
        return Ask(sample_id=str(n), repeat=0, messages=(message,), max_tokens=self._output[at], made=True)


@dataclass(frozen=True, kw_only=True)
class Questions:
    """The questions of a dataset, each once in a random order, then all of them again."""

    samples: Sequence[Sample]
    output_tokens: Sequence[int]
    order: Sequence[int]

    def ask(self, n: int) -> Ask:
        """Request `n`, from 0."""
        sample = self.samples[self.order[n % len(self.order)]]
        return Ask(
            sample_id=sample.id,
            repeat=n // len(self.order),
            messages=sample.messages,
            max_tokens=int(self.output_tokens[n % len(self.output_tokens)]),
            group=sample.group,
            reference=sample.reference,
        )


def shuffled(n: int, seed: int) -> list[int]:
    """0 … n - 1 in a random order."""
    order = list(range(n))
    random.Random(seed).shuffle(order)  # noqa: S311 - no secret
    return order


def turn(n: int, parties: int, seed: int) -> int:
    """Which of `parties` request `n` goes to: each once in every round, in a random order."""
    if parties == 1:
        return 0
    return shuffled(parties, hash((seed, n // parties)))[n % parties]
