"""`ask`: the same prompt to several targets at once, their answers growing side by side."""

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from mlaas_lab import pricing, telemetry, variants
from mlaas_lab.commands import Command
from mlaas_lab.commands._answers import Answers, Asked
from mlaas_lab.errors import (
    CallError,
    ContentFiltered,
    DataError,
    InvalidRequest,
    NotFound,
    Overloaded,
    ProviderBug,
    QuotaExceeded,
    RateLimited,
    TimedOut,
    Truncated,
    Unreachable,
    UsageError,
)
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Message, Target, Usage
from mlaas_lab.spec import Arg, Spec, TargetName

if TYPE_CHECKING:
    from mlaas_lab.commands._paid import Paying
    from mlaas_lab.inference import Client, Params, Route

__all__ = ["Answers", "Ask", "Asked", "command"]

EVERY_S = 0.1
"""Answers that grow are drawn no more often, however fast they come."""
STANDARD_INPUT = "-"
NEXT: Mapping[type[CallError], str] = {
    ContentFiltered: "Word it differently, or ask another target.",
    InvalidRequest: "Change what it names: an option, a parameter of the target, a shorter prompt.",
    NotFound: "Check the model's name, and the region if the target has one.",
    Overloaded: "The vendor's side failed: ask again later.",
    ProviderBug: "See whether the address is the vendor's own, and no proxy's.",
    QuotaExceeded: "Look at the account's quota and bills.",
    RateLimited: "Ask again later, or say what is allowed in the target: rpm=60.",
    TimedOut: "Give it more time: --timeout-s.",
    Truncated: "Ask again; if it stays so, look at what stands between here and there.",
    Unreachable: "Check the address and the network.",
}
"""What to do about an error that does not say so itself."""


class Ask(Spec):
    """Send one prompt to several targets and see their answers side by side."""

    prompt: str = Arg("")
    """What to ask; in `%%mlaas ask` the cell."""
    targets: tuple[TargetName, ...] = Field(min_length=1)
    """`provider/model?key=value`, or names of endpoints."""
    file: str | None = None
    """The prompt is the text of this file; `-` is standard input."""
    system: str = ""
    """System prompt."""
    max_tokens: int = Field(256, ge=1)
    """Most tokens of an answer."""
    temperature: float | None = Field(0.0, ge=0)
    """Sampling temperature; 0 takes the likeliest token."""
    repeat: int = Field(1, ge=1, le=100)
    """Ask each target so many times."""
    timeout_s: float = Field(60.0, gt=0)
    """Seconds after which an answer is given up, retries included."""
    output: str | None = Field(None, json_schema_extra={"short": "-o"})
    """In a cell, the variable that gets the list of answers; in the shell, the file that gets the JSON."""


def _run(args: Ask, lab: Lab) -> Answers:
    from mlaas_lab import inference

    prompt = _prompt(args)
    keep = None if args.output is None else lab.keeper(args.output)
    system = (Message(role="system", content=args.system),) if args.system else ()
    turns = (*system, Message(role="user", content=prompt))
    told = [_told(target, turns) for target in args.targets]
    routes = [_route(target, lab, alone=len(args.targets) == 1) for target in args.targets]
    each = list(zip(args.targets, routes, told, strict=True))
    rows = [_row(*found, repeat) for repeat in range(args.repeat) for found in each]
    answers = Answers(prompt, rows)
    question = _Question(
        params=inference.Params(max_tokens=args.max_tokens, temperature=args.temperature),
        book=pricing.lists(lab.settings),
    )

    for to in routes:
        if not isinstance(to, CallError):
            # Price lists are read before anybody's clock runs.
            pricing.cost(to.place, Usage(input_tokens=0, output_tokens=0), at=time.time(), book=question.book)

    limits = inference.Limits(timeout_s=args.timeout_s)
    paying = _paying(lab, question, limits.retries, list(zip(rows, each * args.repeat, strict=True)))

    async def ask() -> None:
        async with inference.Client(limits) as client:
            calls = (
                _ask(client, row, to, replace(question, messages=shown.messages))
                for row, (_, to, shown) in zip(rows, each * args.repeat, strict=True)
                if not isinstance(to, CallError)
            )
            await asyncio.gather(*calls)

    try:
        inference.on_loop(ask(), meanwhile=lambda: lab.live(answers), every_s=EVERY_S)
    finally:
        unwritten = paying.settle()
    lab.live(answers)
    notes = [telemetry.flush(), question.book.trouble, unwritten]
    if len(rows) == 1 and rows[0].error is not None:
        raise rows[0].error
    notes += [keep(list(rows), answers.as_json())] if keep else []
    answers.notes = [note for note in notes if note]
    return answers


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What a target is asked."""

    messages: tuple[Message, ...] = ()
    params: "Params"
    book: pricing.Lists
    """The user's own price lists."""


def _paying(
    lab: Lab,
    question: _Question,
    retries: int,
    asked: "Sequence[tuple[Asked, tuple[str, Route | CallError, variants.Shown]]]",
) -> "Paying":
    """The money of those that can be asked."""
    from mlaas_lab.commands._paid import Call, Paying

    calls = [
        Call(row=row, route=to, messages=shown.messages)
        for row, (_, to, shown) in asked
        if not isinstance(to, CallError)
    ]
    return Paying(calls, question.params, retries=retries, book=question.book, settings=lab.settings)


def _prompt(args: Ask) -> str:
    """What is asked, without the blanks around it, as in a cell.

    Raises:
        UsageError: if there is none, or two.
        DataError: if its file cannot be read.
    """
    if args.file is None:
        if not args.prompt.strip():
            raise UsageError(
                "the prompt is missing.", next="Write it after ask, in the cell of %%mlaas ask, or --file F."
            )
        return args.prompt
    if args.prompt:
        raise UsageError("the prompt is given twice, in words and by --file.")
    name = "standard input" if args.file == STANDARD_INPUT else args.file
    try:
        text = sys.stdin.read() if args.file == STANDARD_INPUT else Path(args.file).expanduser().read_text("utf-8")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not UTF-8: byte {error.start} is none of a character.") from None
    if not text.strip():
        raise UsageError(f"{name} is empty: there is nothing to ask.")
    return text.strip()


def _told(target: str, turns: Sequence[Message]) -> variants.Shown:
    """What `target` is told: `turns`, or what its words make of them; relative paths begin where one stands.

    Raises:
        UsageError: for words that say nothing, or do not go together.
        DataError: for a file that cannot be used.
    """
    from mlaas_lab import inference

    variant = variants.of(inference.parsed(target), Path.cwd())
    return variants.Shown(tuple(turns), None) if variant is None else variant.shown(turns)


def _route(target: str, lab: Lab, *, alone: bool) -> "Route | CallError":
    """The way to `target`, or why there is none for now: the others are asked all the same.

    Raises:
        UsageError: for wrong words, which are mended before anybody is asked.
        CallError: if there are no others.
    """
    from mlaas_lab import inference

    try:
        return inference.resolve(variants.bare(inference.parsed(target)), lab.settings)
    except CallError as error:
        if alone:
            raise
        return error


def _row(target: str, to: "Route | CallError", told: variants.Shown, repeat: int) -> Asked:
    if isinstance(to, CallError):
        return Asked(target=target, repeat=repeat, error=to)
    name = Target.parse(target).name
    row = Asked(target=name, repeat=repeat, model=to.model, contexts=told.contexts)
    row.emulated, row.unchecked = to.emulated, to.unchecked
    return row


async def _ask(client: "Client", row: Asked, route: "Route", question: _Question) -> None:
    try:
        done = await client.complete(route, question.messages, question.params, stream=True, on_delta=row.pieces.append)
    except CallError as error:
        error.next = error.next or NEXT.get(type(error))
        row.error = error
        if error.usage and error.attempts:
            # What a filter withheld is billed all the same.
            at = error.attempts[-1].started_at
            row.cost = pricing.cost(route.place, error.usage, at=at, book=question.book)
        return
    at = done.attempts[-1].started_at
    row.cost = pricing.cost(route.place, done.usage, at=at, book=question.book, answered=done.model)
    row.completion = done


command = Command(
    args=Ask,
    run=_run,
    body="prompt",
    examples=(
        "ask 'Where is my card?' --targets tiny,support",
        "ask hello --targets echo/any --repeat 3",
        "ask --file question.txt --targets tiny,support -o answers.json",
    ),
)
