"""What `ask` shows: the answers side by side, and under each what it took. It grows while they arrive."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlaas_lab import pricing, view
from mlaas_lab.errors import CallError, snake
from mlaas_lab.schema import JSON, Attempt, Completion, Cost, Passage, Target, Usage
from mlaas_lab.view import Shown, View
from mlaas_lab.view.diff import against
from mlaas_lab.view.formats import count, seconds, usd

MOST_MARKED = 0.5
"""Share of an answer beyond which marking what differs hides more than it shows."""

NATURAL = frozenset({"stop", "STOP", "end_turn", "stop_sequence", "eos_token", "succeeded"})
"""How vendors say that an answer was over; anything else cut it."""


@dataclass(kw_only=True)
class Asked:
    """One answer, from the moment it is asked for."""

    target: str
    repeat: int
    model: str = ""
    """As it was asked for."""
    emulated: bool = False
    """A loopback emulator answers, not the vendor."""
    unchecked: bool = False
    """An endpoint of ours answers that nobody compared with the model that was trained."""
    contexts: tuple[Passage, ...] | None = None
    """What was retrieved and shown beside the question; None where nothing is retrieved."""
    pieces: list[str] = field(default_factory=list)
    completion: Completion | None = None
    cost: Cost = pricing.UNPRICED
    error: CallError | None = None

    @property
    def text(self) -> str:
        """As far as it has come."""
        return self.completion.text if self.completion else "".join(self.pieces)

    @property
    def over(self) -> bool:
        """Answered or failed."""
        return self.completion is not None or self.error is not None

    @property
    def usage(self) -> Usage:
        """What was counted; an answer that a filter withheld is billed all the same."""
        if self.completion is not None:
            return self.completion.usage
        return self.error.usage if self.error is not None and self.error.usage else Usage()

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Requests on the wire."""
        if self.completion is not None:
            return self.completion.attempts
        return self.error.attempts if self.error is not None else ()

    @property
    def other_model(self) -> str | None:
        """The model that says it answered, where it is not the one that was asked."""
        said = self.completion.model if self.completion else None
        return said if said and said != self.model else None

    @property
    def failure(self) -> str:
        """Class of the error in snake case; empty without one."""
        return snake(type(self.error).__name__) if self.error else ""


class Answers(Shown):
    """Answers of several targets to one prompt; it grows while they arrive."""

    def __init__(self, prompt: str, rows: Sequence[Asked]) -> None:
        """`rows` may still be growing."""
        self.prompt = prompt
        self.rows = rows
        self.notes: list[str] = []
        """What else went wrong on the way."""

    @property
    def exit_code(self) -> int:
        """1 if any target failed: a script must notice."""
        return int(any(row.error for row in self.rows))

    def line(self) -> str:
        """How many have answered."""
        return f"{sum(row.over for row in self.rows)}/{len(self.rows)} answered"

    def view(self) -> View:
        """The answers side by side, what each took under it, and the numbers once more as a table."""
        names = _names([row.target for row in self.rows])
        answers = [_answer(row, name) for row, name in zip(self.rows, names, strict=True)]
        columns = [column for column in _COLUMNS if column.always or any(column.of(row) for row in self.rows)]
        table = view.Table(
            columns=[view.Column(title="Target"), *(column.head for column in columns)],
            rows=[(name, *(c.of(row) for c in columns)) for row, name in zip(self.rows, names, strict=True)],
            caption=_priced(self.rows),
        )
        failed = [str(row.error) for row in self.rows if row.error]
        return View(
            title="Answers",
            marks=[view.Answers(prompt=self.prompt, answers=answers, differences=_alike(self.rows))],
            table=table,
            notes=[*dict.fromkeys(failed), *self.notes],
            folded=True,
        )

    def as_json(self) -> JSON:
        """`{completions: [{target, repeat, text, ttft_s, latency_s, usage, cost_usd, error, …}]}`."""
        return {"completions": [_as_json(row) for row in self.rows], **({"notes": self.notes} if self.notes else {})}


@dataclass(frozen=True, kw_only=True)
class _Numbers:
    """One column of the table."""

    head: view.Column
    of: Any
    """From a row to its value."""
    always: bool = True
    """Also where no row has anything to say."""


def _right(title: str, of: Any, form: Any = count, *, unit: str = "", always: bool = True) -> _Numbers:
    return _Numbers(head=view.Column(title=title, align="right", format=form, unit=unit), of=of, always=always)


def _several(row: Asked) -> int | None:
    return len(row.attempts) if len(row.attempts) > 1 else None


_COLUMNS = (
    _right("Input", lambda row: row.usage.input_tokens, unit="tokens"),
    _right("cached", lambda row: row.usage.cached_tokens, always=False),
    _right("Output", lambda row: row.usage.output_tokens, unit="tokens"),
    _right("reasoning", lambda row: row.usage.reasoning_tokens, always=False),
    _right("First token", lambda row: row.completion.ttft_s if row.completion else None, seconds),
    _right("Latency", lambda row: row.completion.latency_s if row.completion else None, seconds),
    _right("Attempts", _several, always=False),
    _right("Cost", lambda row: row.cost.usd, usd),
    _Numbers(head=view.Column(title="Answered by"), of=lambda row: row.other_model, always=False),
    _Numbers(head=view.Column(title="Error"), of=lambda row: row.failure or None, always=False),
)


def _answer(row: Asked, name: str) -> view.Answer:
    done = row.completion
    flag = "emulated" if row.emulated else "unchecked" if row.unchecked else ""
    badge = view.Badge(text=flag) if flag else None
    shown = view.Answer(target=name, text=row.text or None, error=row.failure, badge=badge)
    if done is None:
        return replace(shown, note="" if row.error else "…", facts=_facts(row) if row.error else ())
    note = "" if done.finish_reason is None or done.finish_reason in NATURAL else f"stopped by {done.finish_reason}"
    return replace(shown, text=done.text, note=note, facts=_facts(row))


def _facts(row: Asked) -> tuple[str, ...]:
    """What an answer took, in the order in which one asks."""
    done = row.completion
    found = [_tokens(row.usage)] if done or row.usage.input_tokens is not None else []
    if done is not None:
        found += [f"first token {seconds(done.ttft_s)}"] if done.ttft_s is not None else []
        found += [f"latency {seconds(done.latency_s)}"]
    if done is not None or row.cost.usd is not None:
        source = _source(row.cost)
        found.append(f"{usd(row.cost.usd)} ({source})" if source else usd(row.cost.usd))
    if _several(row):
        found.append(f"{len(row.attempts)} attempts")
    if row.other_model:
        found.append(f"answered by {row.other_model}")
    return tuple(found)


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None and usage.output_tokens is None:
        return "tokens not counted"
    cached = f" ({count(usage.cached_tokens)} cached)" if usage.cached_tokens else ""
    thought = f" ({count(usage.reasoning_tokens)} reasoning)" if usage.reasoning_tokens else ""
    word = "token" if usage.input_tokens == 1 else "tokens"
    return f"{count(usage.input_tokens)} {word} in{cached}, {count(usage.output_tokens)} out{thought}"


def _alike(rows: Sequence[Asked]) -> bool:
    """Whether the answers, all there, have so much in common that their differences are worth marking."""
    texts = [row.text for row in rows if row.text]
    if len(texts) < 2 or not all(row.over for row in rows):
        return False
    shares = (sum(len(p.text) for p in against(text, texts[0]) if p.differs) / len(text) for text in texts[1:])
    return max(shares) <= MOST_MARKED


def _priced(rows: Sequence[Asked]) -> str:
    """Where the prices come from."""
    sources = dict.fromkeys(source for row in rows if (source := _source(row.cost)))
    return f"Prices: {'; '.join(sources)}" if sources else ""


def _source(cost: Cost) -> str:
    """`genai-prices 0.2.3, 2026-11-22`; empty where there is no price."""
    if cost.usd is None or not cost.source:
        return ""
    return f"{cost.source}, {cost.date}" if cost.date and cost.usd else cost.source


def _names(targets: Sequence[str]) -> list[str]:
    """Each target as short as it stays different from every other one; where it is may go first."""
    short = {target: _short(target) for target in targets}
    taken = Counter(short.values())
    return [short[target] if taken[short[target]] == 1 else target for target in targets]


def _short(target: str) -> str:
    from mlaas_lab.inference.words import PLACE

    whole = Target.parse(target)
    return whole.get("as") or str(
        replace(whole, params=tuple((key, value) for key, value in whole.params if key not in PLACE))
    )


def _as_json(row: Asked) -> dict[str, JSON]:
    done = row.completion
    return {
        "target": row.target,
        "repeat": row.repeat,
        "emulated": row.emulated,
        "unchecked": row.unchecked,
        "text": row.text if done else None,
        "finish_reason": done.finish_reason if done else None,
        "model": done.model if done else None,
        "ttft_s": done.ttft_s if done else None,
        "latency_s": done.latency_s if done else None,
        "attempts": len(row.attempts),
        "usage": asdict(row.usage) if done or row.usage.input_tokens is not None else None,
        "cost_usd": None if row.cost.usd is None else float(row.cost.usd),
        "price_source": row.cost.source,
        "price_date": row.cost.date,
        "error": row.error.as_json() if row.error else None,
        **({} if row.contexts is None else {"contexts": [asdict(passage) for passage in row.contexts]}),
    }
