"""Of many targets: which one leads by each metric, whom it beats, and whom nobody can tell it from.

All pairs of seven targets are 21 sentences, and none answers "which should we run?". What is said here stands on the
same verdicts: being ahead is a fact of this sample, being better a verdict.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlaas_lab.panels import _words as words
from mlaas_lab.schema import Decision, Verdict
from mlaas_lab.view.formats import count

if TYPE_CHECKING:
    from mlaas_lab.evaluation.summary import Summary


def ranked(summary: "Sequence[Summary]", verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each metric of which one way is better, targets by their mean; one more where it has a margin."""
    metrics = dict.fromkeys(line.metric for line in summary)
    told: list[str] = []
    for metric in metrics:
        lines, own = [line for line in summary if line.metric == metric], [v for v in verdicts if v.metric == metric]
        if (up := words.higher_is_better(metric)) is not None:
            told += [_told(lines, own, up), _borne(own)]
    return [sentence for sentence in told if sentence]


def _told(lines: "Sequence[Summary]", verdicts: Sequence[Verdict], up: bool) -> str:
    """What the verdicts of one metric say of the target with the best mean."""
    scored = sorted(((line.mean, line.target) for line in lines if line.mean is not None), key=lambda one: one[0])
    if len(scored) < 2:
        return ""
    mean, first = scored[-1] if up else scored[0]
    about = {_other(verdict, first): verdict for verdict in verdicts if first in (verdict.a, verdict.b)}
    others = [name for _, name in (reversed(scored) if up else scored) if name in about]
    beaten = [name for name in others if about[name].verdict in (Decision.A_BETTER, Decision.B_BETTER)]
    equal = [name for name in others if about[name].verdict is Decision.EQUIVALENT]
    near = [name for name in others if name not in (*beaten, *equal)]
    shown = words.value_format(lines[0].metric)(mean)
    if scored[0][0] == scored[-1][0] and near and not beaten and not equal:
        return f"By {lines[0].metric}, all {len(scored)} have the same mean, {shown}, and are not told apart."
    parts = []
    if beaten:
        parts.append(f"better than {_listed(beaten)}")
    if equal:
        parts.append(f"equivalent to {_listed(equal)}")
    if near:
        parts.append(f"not told apart from {_listed(near)}{_lacking(about[near[0]], first)}")
    return f"By {lines[0].metric}, {first} has the best mean, {shown}: {'; '.join(parts)}." if parts else ""


def _borne(verdicts: Sequence[Verdict]) -> str:
    """Which targets are not worse than the first one by the margin, and of which that is not shown."""
    about = [found for found in verdicts if found.a == verdicts[0].a and found.not_worse is not None]
    if not about:
        return ""
    by = f"worse than {about[0].a} by {words.margin(about[0])} or more in {about[0].metric}"
    shown = [found.b for found in about if found.not_worse]
    left = [found.b for found in about if not found.not_worse]
    parts = [f"Not {by}: {_listed(shown)}."] if shown else [f"Of none it is shown that it is not {by}."]
    return " ".join([*parts, *([f"Not shown for {_listed(left)}."] if shown and left else [])])


def _other(verdict: Verdict, name: str) -> str:
    return verdict.b if verdict.a == name else verdict.a


def _lacking(verdict: Verdict, first: str) -> str:
    """What would settle the closest race."""
    if not verdict.more_samples:
        return ""
    return f"; about {count(verdict.more_samples)} more samples would settle it for {_other(verdict, first)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
