"""How many tokens will go in and come out, and what that costs each target: before anybody is asked.

What is not known yet has a low and a high end: an answer has between one token and `max_tokens`, and tokens that are
guessed from bytes are within a stated range.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from mlaas_lab import pricing
from mlaas_lab.commands._pricing import Reason, reason
from mlaas_lab.schema import Cost, Message, Sample, Target, Usage

BYTES = 4
FRAME = 4
"""Tokens around a message, for its role and its ends."""
FEWER, MORE = 0.8, 1.55
"""Ends of what bytes / 4 stands for."""
GUESSED = (
    "Input tokens are bytes / 4, and 4 a message. Against OpenAI's cl100k and o200k that is within 5 % on English text"
    " and code; short German and Chinese samples had from 20 % fewer to 52 % more tokens, which low and high allow for."
    " --base NAME counts with a tokenizer."
)


@dataclass(frozen=True, kw_only=True)
class Calls:
    """So many calls of one size."""

    n: int
    input_tokens: int
    """Of each, as counted or guessed."""
    low: Usage
    likely: Usage | None
    """None where nobody says how long answers will be."""
    high: Usage


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one target will cost, in dollars."""

    target: str
    low: Decimal | None
    likely: Decimal | None
    high: Decimal | None
    source: str | None = None
    date: str | None = None
    reason: Reason | None = None
    """Why it has no price."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """GPUs that serve the traffic instead."""

    name: str
    price: pricing.Price
    gpus: int
    hours: Decimal
    """All together."""

    @property
    def usd(self) -> Decimal | None:
        """For all those hours; None without an exchange rate."""
        each = self.price.usd
        return None if each is None else each * self.gpus * self.hours


def guessed(messages: Sequence[Message]) -> int:
    """Tokens of a chat, from its bytes."""
    return sum(-(-len(message.content.encode()) // BYTES) + FRAME for message in messages)


def calls(
    samples: Iterable[Sample],
    *,
    repeats: int,
    max_tokens: int,
    output_tokens: int | None,
    count: Callable[[Sequence[Message]], int] | None,
) -> list[Calls]:
    """The calls of an evaluation, those of one size together.

    Args:
        samples: what is asked.
        repeats: how often each.
        max_tokens: the longest answer.
        output_tokens: how long an answer is likely to be; else as long as the sample's reference.
        count: counts the tokens of a chat; None guesses them.
    """
    sizes: Counter[tuple[int, int | None]] = Counter()
    for sample in samples:
        n_input = count(sample.messages) if count else guessed(sample.messages)
        answer = _answer(sample, count) if output_tokens is None else output_tokens
        sizes[n_input, None if answer is None else max(1, min(answer, max_tokens))] += repeats
    fewer, more = (1.0, 1.0) if count else (FEWER, MORE)
    return [
        Calls(
            n=n,
            input_tokens=n_input,
            low=Usage(input_tokens=int(n_input * fewer), output_tokens=1),
            likely=None if answer is None else Usage(input_tokens=n_input, output_tokens=answer),
            high=Usage(input_tokens=-int(-n_input * more // 1), output_tokens=max_tokens),
        )
        for (n_input, answer), n in sorted(sizes.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    ]


def line(name: str, target: Target, sizes: Sequence[Calls], at: float, lists: pricing.Lists) -> Line:
    """What `target` will cost for all calls of `sizes`, each rounded as a real one."""
    why = reason(target, at, lists)
    if why is not None:
        return Line(target=name, low=None, likely=None, high=None, reason=why)

    def total(which: Callable[[Calls], Usage | None]) -> tuple[Decimal | None, Cost]:
        usd: Decimal | None = Decimal(0)
        last = pricing.UNPRICED
        for size in sizes:
            usage = which(size)
            last = pricing.cost(target, usage, at=at, book=lists) if usage else pricing.UNPRICED
            usd = None if usd is None or last.usd is None else usd + size.n * last.usd
        return usd, last

    low, _ = total(lambda size: size.low)
    likely, _ = total(lambda size: size.likely)
    high, priced = total(lambda size: size.high)
    return Line(target=name, low=low, likely=likely, high=high, source=priced.source, date=priced.date)


def total(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum of those that are known; None if none is."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def _answer(sample: Sample, count: Callable[[Sequence[Message]], int] | None) -> int | None:
    """Tokens of the reference answer."""
    if sample.reference is None:
        return None
    if count is None:
        return -(-len(sample.reference.encode()) // BYTES)
    # The template's frame is counted once more with the answer than without.
    turn = Message(role="assistant", content=sample.reference)
    return max(1, count([*sample.messages, turn]) - count(sample.messages))
