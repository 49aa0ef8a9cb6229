"""What scores and verdicts say, as sentences and as figures with their unit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from mlaas_lab import registry
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.view.formats import DASH, count, number, p_value, percent, points

if TYPE_CHECKING:
    from mlaas_lab.evaluation.metrics import Metric
    from mlaas_lab.evaluation.summary import Summary


def said(summary: "Sequence[Summary]", verdicts: Sequence[Verdict], *, most: int) -> str:
    """The result in sentences: at most `most` verdicts, decided ones first; without verdicts the scores."""
    if not verdicts:
        return "\n".join(_score(line) for line in summary[:most])
    means = {(line.target, line.metric): line.mean for line in summary}
    settled = [found for found in verdicts if found.verdict is not Decision.UNDECIDED]
    open_ones = [found for found in verdicts if found.verdict is Decision.UNDECIDED]
    chosen = [*settled, *open_ones][:most]
    left = len(verdicts) - len(chosen)
    more = [f"{left} more in the table."] if left else []
    return "\n".join([*(sentence(found, means) for found in chosen), *more])


def sentence(found: Verdict, means: "dict[tuple[str, str], float | None]") -> str:
    """One verdict as a sentence that can be quoted, and one more on the margin where the first does not say it."""
    return f"{_sentence(found, means)}{_borne(found)}"


def _sentence(found: Verdict, means: "dict[tuple[str, str], float | None]") -> str:
    if not found.n:
        return f"{found.metric} cannot compare {found.a} and {found.b}: {found.reason or 'there are no pairs'}."
    found, value = _to_the_better(found), value_format(found.metric)
    a, b = (value(means.get((name, found.metric))) for name in (found.a, found.b))
    shown = f"{gap(found)}, 95 % interval {gap_interval(found)}, {count(found.n)} pairs"
    match found.verdict:
        case Decision.A_BETTER | Decision.B_BETTER:
            return f"{found.b} is better than {found.a} by {found.metric}: {b} against {a} ({shown})."
        case Decision.EQUIVALENT:
            within = "" if found.margin is None else f" within {margin(found)}"
            return f"{found.a} and {found.b} are equivalent by {found.metric}{within}: {a} and {b} ({shown})."
        case Decision.UNDECIDED:
            pair = f"{found.a} and {found.b}: {a} and {b} ({shown})"
            return f"{found.metric} does not decide between {pair}; {_lacks(found)}."


def _to_the_better(found: Verdict) -> Verdict:
    """The same with the better one as b, so that the difference is what one gains."""
    if found.verdict is not Decision.A_BETTER:
        return found
    gain, low, high = (None if at is None else -at for at in (found.difference, found.ci_high, found.ci_low))
    return replace(found, a=found.b, b=found.a, difference=gain, ci_low=low, ci_high=high)


def margin(found: Verdict) -> str:
    """The loss that is just not borne: shares in points."""
    if not is_share(found.metric):
        return number(found.margin)
    shown = points(found.margin).removeprefix("+")
    return f"{shown} point{'' if shown == '1' else 's'}"


def interval(low: float | None, high: float | None, form: Callable[[Any], str]) -> str:
    """`70 % to 80 %`; a side nobody knows is open."""
    if low is None and high is None:
        return "unknown"
    return f"{form(low) if low is not None else '?'} to {form(high) if high is not None else '?'}"


def titled(metric: str) -> str:
    """A metric's name, and which way is better."""
    known = _metric(metric)
    if known is None or known.higher_is_better is None:
        return metric
    return f"{metric}, {'higher' if known.higher_is_better else 'lower'} is better"


def is_share(metric: str) -> bool:
    """Whether its values lie between 0 and 1."""
    known = _metric(metric)
    return known is not None and known.unit == "share"


def higher_is_better(metric: str) -> bool | None:
    """Which way is better; None where neither is, or nobody here knows the metric."""
    known = _metric(metric)
    return None if known is None else known.higher_is_better


def best(metric: str) -> float | None:
    """The value that full marks have; None where no value is best."""
    known = _metric(metric)
    if known is None or known.unit != "share" or known.higher_is_better is None:
        return None
    return float(known.higher_is_better)


def value_format(metric: str) -> Callable[[Any], str]:
    """How a value of `metric` is written."""
    return percent if is_share(metric) else number


def gap(found: Verdict) -> str:
    """The difference of two means, with its sign: shares differ by points."""
    if found.difference is None:
        return DASH
    return f"{_gap_format(found.metric)(found.difference)}{' points' if is_share(found.metric) else ''}"


def gap_interval(found: Verdict) -> str:
    """Where that difference probably lies."""
    return interval(found.ci_low, found.ci_high, _gap_format(found.metric))


def spread(line: "Summary") -> str | None:
    """How far repeats of one sample scatter: shares in points."""
    if line.spread is None:
        return None
    return f"{points(line.spread).removeprefix('+')} points" if is_share(line.metric) else number(line.spread)


def _borne(found: Verdict) -> str:
    """Whether b is not worse than a by the margin."""
    if found.not_worse is None or found.verdict in (Decision.B_BETTER, Decision.EQUIVALENT):
        return ""
    limit = f"{found.metric} by {margin(found)} or more"
    if not found.not_worse:
        return f" Not shown: that {found.b} is not worse than {found.a} in {limit}."
    sure = "" if found.p_not_worse is None else f" (p {_small(found.p_not_worse)})"
    return f" {found.b} is not worse than {found.a} in {limit}{sure}."


def _small(p: float) -> str:
    shown = p_value(p)
    return shown if shown.startswith("<") else f"= {shown}"


def _lacks(found: Verdict) -> str:
    if found.more_samples:
        return f"about {count(found.more_samples)} more samples would settle it"
    return found.reason or "how many more samples would settle it is unknown"


def _score(line: "Summary") -> str:
    if line.mean is None and line.reason:
        return f"{line.target} has no {line.metric}: {line.reason}."
    if line.mean is None:
        return f"{line.target} has no {line.metric}: {count(line.n_error)} records without a score."
    write = value_format(line.metric)
    limits = interval(line.ci_low, line.ci_high, write)
    return f"{line.target}: {line.metric} {write(line.mean)} (95 % interval {limits}, n {count(line.n)})."


@cache
def _metric(name: str) -> "Metric | None":
    name, _ = registry.parted(name)
    if name not in registry.names("metric"):
        return None
    found: Metric = registry.load("metric", name)
    return found


def _gap_format(metric: str) -> Callable[[Any], str]:
    return points if is_share(metric) else _signed


def _signed(value: float | None) -> str:
    return DASH if value is None else f"{'+' if value > 0 else ''}{number(value)}"
