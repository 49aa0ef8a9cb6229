"""A metric is a judged number: what it needs, which way is better, and a pure function. One file per metric.

The file's name is the metric's name; it exposes `metric`. The engine checks `needs` before it asks anybody, and turns
an exception into a status, never into 0. A metric knows no target, no record and no statistics.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mlaas_lab import registry
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.evaluation.judge import Judge
from mlaas_lab.schema import Sample, Score

if TYPE_CHECKING:
    from mlaas_lab.settings import Settings
    from mlaas_lab.stats.facts import Aggregate, Fact

ScoreOne = Callable[[str, Sample], float | Score]
ScoreMany = Callable[[Sequence[str], Sequence[Sample]], Sequence[float | Score | None]]

WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
"""How an option says yes or no."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How good an answer is, as a number; one of `score`, `score_many` and `judge` is given."""

    unit: str
    """`share` for 0 to 1, else what the number counts."""
    higher_is_better: bool | None
    """None for a number that only describes: then no target is better by it."""
    needs: frozenset[str] = frozenset()
    """Fields every sample must have: `reference`, `contexts`, `group`."""
    score: ScoreOne | None = None
    """One answer at a time, while others are still awaited: `score(output, sample)`; fast and pure."""
    score_many: ScoreMany | None = None
    """All answers at once, after the last call: `score_many(outputs, samples)`, one value each, None for no score."""
    judge: Judge | None = None
    """Another target says it: what it is told and how its reply is read; the engine asks it after the last call."""
    options: "Callable[..., Metric] | None" = None
    """Makes it with other options: keyword parameters, each with a default that is text, a number, or yes or no.

    It raises ValueError for a value that does not fit. Unit and direction stay what they are."""
    aggregate: "Callable[[Sequence[Fact]], Aggregate] | None" = None
    """One number of all answers, where that is no mean: of the different scores and reasons that records hold.

    `unit` and `higher_is_better` then are those of that number."""
    check: Callable[[Sequence[Sample]], str] | None = None
    """Why all samples together cannot be judged, in one sentence; empty if they can."""
    settled: "Callable[[Settings], Metric] | None" = None
    """Makes it with the settings of a process, where they decide something."""
    libraries: tuple[str, ...] = ()
    """Modules it needs besides those that are always there; looked for before anybody is asked."""
    content: str = ""
    """Digest of a file that an option names, or of what a judge is told: what decides its scores besides its name."""

    def __post_init__(self) -> None:
        if [self.score, self.score_many, self.judge].count(None) != 2:
            raise ValueError("a Metric gives either score, score_many or judge")
        if self.judge is not None and not self.content:
            object.__setattr__(self, "content", self.judge.version)

    def with_options(self, name: str, given: Mapping[str, str]) -> "Metric":
        """This metric, called `name`, with the options `given` as text.

        Raises:
            UsageError: for an option it does not have, or a value that does not fit.
            MissingExtra: if a library it needs is not installed.
        """
        made = self._made(name, given)
        for library in made.libraries:
            if find_spec(library) is None:
                raise registry.missing_extra(library)
        if made.judge is not None and (lacks := made.judge.lacks):
            example = f"Write {name}?judge=provider/model" + "".join(f"&{key}=…" for key in made.judge.given)
            raise UsageError(f"metric {name!r} lacks {lacks}.", next=f"{example}. {_within(made)}")
        return made

    def _made(self, name: str, given: Mapping[str, str]) -> "Metric":
        if self.options is None:
            if given:
                raise UsageError(f"metric {name!r} has no options, and {next(iter(given))!r} was given.")
            return self
        known = defaults(self)
        values: dict[str, Any] = {}
        for key, text in given.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"It has: {', '.join(known)}."
                raise UsageError(f"metric {name!r} has no option {key!r}.", next=f"{hint} {_within(self)}".strip())
            values[key] = _value(name, key, text, known[key])
        try:
            return self.options(**values) if values else self
        except ModuleNotFoundError as error:
            raise registry.missing_extra((error.name or "").partition(".")[0]) from error
        except ValueError as error:
            raise UsageError(f"metric {name!r}: {error}.") from None


def judged(nobody: Judge, *, needs: frozenset[str] = frozenset()) -> Metric:
    """A share that a judge gives, `nobody` yet; its options are those of every judge: who, how often, how warm."""

    def options(*, judge: str = "", times: int = 1, temperature: float = 0.0) -> Metric:
        return made(replace(nobody, target=judge, times=times, temperature=temperature))

    def made(judge: Judge) -> Metric:
        return Metric(unit="share", higher_is_better=True, needs=needs, judge=judge, options=options)

    return made(nobody)


def defaults(metric: Metric) -> dict[str, Any]:
    """The options of `metric` with their defaults, in the order they are written."""
    parameters = inspect.signature(metric.options).parameters if metric.options else {}
    return {name: parameter.default for name, parameter in parameters.items()}


def _within(metric: Metric) -> str:
    """How a judge with parameters of its own is written."""
    return "" if metric.judge is None else "In a judge's own parameters & is %26 and a comma %2C."


def _value(metric: str, key: str, text: str, default: Any) -> Any:
    """`text` as what the option's default is."""
    try:
        if isinstance(default, bool):
            return WORDS[text.strip().lower()]
        return type(default)(text)
    except (ValueError, KeyError):
        wanted = {bool: "yes or no", int: "a whole number", float: "a number"}[type(default)]
        raise UsageError(f"metric {metric!r}: {key} is {text!r}, expected {wanted}.") from None
