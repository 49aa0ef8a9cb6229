"""A metric is a judged number: what it needs, which way is better, and a pure function. One file per metric.

The file's name is the metric's name; it exposes `metric`. The engine checks `needs` before it asks anybody, and turns
an exception into a status, never into 0. A metric knows no target, no record and no statistics.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from mlaas_lab import registry
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.schema import Sample, Score

ScoreOne = Callable[[str, Sample], float | Score]
ScoreMany = Callable[[Sequence[str], Sequence[Sample]], Sequence[float | Score | None]]

WORDS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
"""How an option says yes or no."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How good an answer is, as a number; either `score` or `score_many` is given."""

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
    options: "Callable[..., Metric] | None" = None
    """Makes it with other options: keyword parameters, each with a default that is text, a number, or yes or no.

    It raises ValueError for a value that does not fit. Unit and direction stay what they are."""
    libraries: tuple[str, ...] = ()
    """Modules it needs besides those that are always there; looked for before anybody is asked."""
    content: str = ""
    """Digest of a file that an option names: what decides its scores besides its name."""

    def __post_init__(self) -> None:
        if (self.score is None) == (self.score_many is None):
            raise ValueError("a Metric gives either score or score_many")

    def with_options(self, name: str, given: Mapping[str, str]) -> "Metric":
        """This metric, called `name`, with the options `given` as text.

        Raises:
            UsageError: for an option it does not have, or a value that does not fit.
            MissingExtra: if a library it needs is not installed.
        """
        for library in self.libraries:
            if find_spec(library) is None:
                raise registry.missing_extra(library)
        if self.options is None:
            if given:
                raise UsageError(f"metric {name!r} has no options, and {next(iter(given))!r} was given.")
            return self
        known = defaults(self)
        values: dict[str, Any] = {}
        for key, text in given.items():
            if key not in known:
                hint = did_you_mean(key, known) or f"It has: {', '.join(known)}."
                raise UsageError(f"metric {name!r} has no option {key!r}.", next=hint)
            values[key] = _value(name, key, text, known[key])
        try:
            return self.options(**values) if values else self
        except ValueError as error:
            raise UsageError(f"metric {name!r}: {error}.") from None


def defaults(metric: Metric) -> dict[str, Any]:
    """The options of `metric` with their defaults, in the order they are written."""
    parameters = inspect.signature(metric.options).parameters if metric.options else {}
    return {name: parameter.default for name, parameter in parameters.items()}


def _value(metric: str, key: str, text: str, default: Any) -> Any:
    """`text` as what the option's default is."""
    try:
        if isinstance(default, bool):
            return WORDS[text.strip().lower()]
        return type(default)(text)
    except (ValueError, KeyError):
        wanted = {bool: "yes or no", int: "a whole number", float: "a number"}[type(default)]
        raise UsageError(f"metric {metric!r}: {key} is {text!r}, expected {wanted}.") from None
