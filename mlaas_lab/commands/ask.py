"""`ask`: the same prompt to several targets at once, their answers growing side by side."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mlaas_lab import pricing, view
from mlaas_lab.commands import Command
from mlaas_lab.errors import CallError, snake
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Completion, Cost, Message, Usage
from mlaas_lab.spec import Arg, Spec, TargetName
from mlaas_lab.view import Shown, View
from mlaas_lab.view.formats import count, seconds, usd

if TYPE_CHECKING:
    from mlaas_lab.inference import Client, Params, Route


class Ask(Spec):
    """Send one prompt to several targets and see their answers side by side."""

    prompt: str = Arg(min_length=1)
    """What to ask; in `%%mlaas ask` the cell."""
    targets: tuple[TargetName, ...] = Field(min_length=1)
    """`provider/model?key=value`, or names of endpoints."""
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


@dataclass(kw_only=True)
class Asked:
    """One answer, from the moment it is asked for."""

    target: str
    repeat: int
    pieces: list[str] = field(default_factory=list)
    completion: Completion | None = None
    cost: Cost = pricing.UNPRICED
    prices: pricing.Lists = pricing.NONE
    """The user's own price lists."""
    error: CallError | None = None

    @property
    def text(self) -> str:
        """As far as it has come."""
        return self.completion.text if self.completion else "".join(self.pieces)

    @property
    def over(self) -> bool:
        """Answered or failed."""
        return self.completion is not None or self.error is not None


class Answers(Shown):
    """Answers of several targets to one prompt; it grows while they arrive."""

    def __init__(self, prompt: str, rows: Sequence[Asked]) -> None:
        """`rows` may still be growing."""
        self.prompt = prompt
        self.rows = rows

    @property
    def exit_code(self) -> int:
        """1 if any target failed: a script must notice."""
        return int(any(row.error for row in self.rows))

    def line(self) -> str:
        """How many have answered."""
        return f"{sum(row.over for row in self.rows)}/{len(self.rows)} answered"

    def view(self) -> View:
        """The answers side by side, and what each took."""
        marks = [view.Answers(prompt=self.prompt, answers=[_answer(row) for row in self.rows])]
        columns: list[view.Column | str] = [
            view.Column(title="Target"),
            view.Column(title="Input", align="right", format=count, unit="tokens"),
            view.Column(title="Output", align="right", format=count, unit="tokens"),
            view.Column(title="First token", align="right", format=seconds),
            view.Column(title="Latency", align="right", format=seconds),
            view.Column(title="Cost", align="right", format=usd),
            "Error",
        ]
        table = view.Table(columns=columns, rows=[_row(row) for row in self.rows])
        failed = [str(row.error) for row in self.rows if row.error]
        trouble = {row.prices.trouble: None for row in self.rows if row.prices.trouble}
        return View(title="Answers", marks=marks, table=table, notes=[*failed, *trouble])

    def as_json(self) -> JSON:
        """`{completions: [{target, repeat, text, ttft_s, latency_s, usage, cost_usd, error, …}]}`."""
        return {"completions": [_as_json(row) for row in self.rows]}


def _answer(row: Asked) -> view.Answer:
    error = _name(row.error)
    if row.completion is None:
        return view.Answer(target=row.target, text=row.text or None, error=error, note="" if error else "…")
    done = row.completion
    said = [seconds(done.latency_s), *([f"stopped by {done.finish_reason}"] if done.finish_reason != "stop" else [])]
    return view.Answer(target=row.target, text=row.text, note=", ".join(said))


def _name(error: CallError | None) -> str:
    return snake(type(error).__name__) if error else ""


def _row(row: Asked) -> tuple[Any, ...]:
    done, usage = row.completion, row.completion.usage if row.completion else Usage()
    return (
        row.target,
        usage.input_tokens,
        usage.output_tokens,
        done.ttft_s if done else None,
        done.latency_s if done else None,
        row.cost.usd,
        _name(row.error),
    )


def _as_json(row: Asked) -> dict[str, JSON]:
    done = row.completion
    return {
        "target": row.target,
        "repeat": row.repeat,
        "text": row.text if done else None,
        "finish_reason": done.finish_reason if done else None,
        "model": done.model if done else None,
        "ttft_s": done.ttft_s if done else None,
        "latency_s": done.latency_s if done else None,
        "attempts": len(done.attempts if done else row.error.attempts if row.error else ()),
        "usage": asdict(done.usage) if done else None,
        "cost_usd": None if row.cost.usd is None else float(row.cost.usd),
        "error": row.error.as_json() if row.error else None,
    }


def _run(args: Ask, lab: Lab) -> Answers:
    from mlaas_lab import inference

    routes = [inference.resolve(target, lab.settings) for target in args.targets]
    prices = pricing.lists(lab.settings)
    rows = [Asked(target=route.name, repeat=n, prices=prices) for n in range(args.repeat) for route in routes]
    answers = Answers(args.prompt, rows)
    system = (Message(role="system", content=args.system),) if args.system else ()
    messages = (*system, Message(role="user", content=args.prompt))
    params = inference.Params(max_tokens=args.max_tokens, temperature=args.temperature)
    limits = inference.Limits(timeout_s=args.timeout_s)

    async def ask() -> None:
        async with inference.Client(limits) as client:
            pairs = zip(rows, routes * args.repeat, strict=True)
            await asyncio.gather(*(_ask(client, row, route, messages, params) for row, route in pairs))

    inference.on_loop(ask(), meanwhile=lambda: lab.live(answers))
    lab.live(answers)
    if len(rows) == 1 and rows[0].error is not None:
        raise rows[0].error
    return answers


async def _ask(client: "Client", row: Asked, route: "Route", messages: tuple[Message, ...], params: "Params") -> None:
    try:
        done = await client.complete(route, messages, params, stream=True, on_delta=row.pieces.append)
    except CallError as error:
        row.error = error
        if error.usage and error.attempts:
            # What a filter withheld is billed all the same.
            row.cost = pricing.cost(route.place, error.usage, at=error.attempts[-1].started_at, book=row.prices)
        return
    at = done.attempts[-1].started_at
    row.cost = pricing.cost(route.place, done.usage, at=at, book=row.prices, answered=done.model)
    row.completion = done


command = Command(
    args=Ask,
    run=_run,
    body="prompt",
    examples=("ask 'Where is my card?' --targets tiny,support", "ask hello --targets echo/any --repeat 3"),
)
