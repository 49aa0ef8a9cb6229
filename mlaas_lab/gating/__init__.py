"""Rules over a run, for CI: each holds, or says by which numbers it does not; what cannot be decided does not hold.

It stands on records alone and starts no job. `rules` reads the words, `measuring` finds the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlaas_lab import registry
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.gating.rules import Rule, parse
from mlaas_lab.schema import JSON
from mlaas_lab.view import Badge, Column, Shown, Table, Tone, View
from mlaas_lab.view.markup import visible

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.gating.measuring import Sides

FLAGS = ("emulated", "unchecked")
"""Columns of records that say on what a number stands."""

__all__ = ["Checked", "Gate", "Rule", "check", "parse"]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One rule, and whether it holds."""

    rule: Rule
    target: str
    flags: tuple[str, ...] = ()
    """`emulated` where an emulator answered in place of the vendor, `unchecked` where nobody compared the endpoint with
    the model that was trained."""
    ok: bool
    value: float | None
    """What was compared; None when the records cannot say."""
    said: str
    """The numbers behind it."""
    reason: str
    """Why it does not hold; empty when it does."""

    @property
    def who(self) -> str:
        """The target with its flags, those that its own name does not say."""
        more = [flag for flag in self.flags if flag not in self.target]
        return f"{self.target} ({', '.join(more)})" if more else self.target

    def line(self) -> str:
        """All of it in one line."""
        numbers = f" [{self.said}]" if self.said else ""
        reason = f" {self.reason}{'' if self.reason.endswith('?') else '.'}" if self.reason else ""
        text = f"{'passed' if self.ok else 'FAILED'}  {self.who} | {self.rule.text}:{reason}{numbers}"
        return visible(" ".join(text.split()).replace(" ", "  ", 1))

    def as_json(self) -> JSON:
        """What `--json` prints of it."""
        return {
            "rule": self.rule.text,
            "line": self.rule.line,
            "target": self.target,
            "flags": list(self.flags),
            "ok": self.ok,
            "value": self.value,
            "limit": self.rule.limit,
            "numbers": self.said,
            "reason": self.reason or None,
        }


@dataclass(frozen=True, kw_only=True)
class Gate(Shown):
    """All rules of a gate, checked."""

    run: str
    baseline: str | None
    checked: tuple[Checked, ...]

    @property
    def ok(self) -> bool:
        """Every rule holds."""
        return all(one.ok for one in self.checked)

    @property
    def exit_code(self) -> int:
        """1 when a rule does not hold."""
        return 0 if self.ok else 1

    @property
    def summary(self) -> str:
        """How many rules hold, of what."""
        failed = sum(not one.ok for one in self.checked)
        against = f" against {self.baseline}" if self.baseline else ""
        total = len(self.checked)
        told = f"{failed} of {total} rules failed" if failed else f"{total} of {total} rules passed"
        return f"{told}: {self.run}{against}."

    def as_json(self) -> JSON:
        """`{ok, run, baseline, failed, rules}`."""
        return {
            "ok": self.ok,
            "run": self.run,
            "baseline": self.baseline,
            "failed": sum(not one.ok for one in self.checked),
            "rules": [one.as_json() for one in self.checked],
        }

    def view(self) -> View:
        """The rules with their numbers, those that fail first."""
        columns: list[Column | str] = [
            Column(title="Rule", wrap=True),
            "Target",
            "Result",
            Column(title="Numbers", wrap=True),
            Column(title="Why", wrap=True),
        ]
        ordered = sorted(self.checked, key=lambda one: one.ok)
        rows = [(one.rule.text, one.who, _badge(one.ok), one.said, one.reason or None) for one in ordered]
        return View(title="Gate", badge=_badge(self.ok), summary=self.summary, table=Table(columns=columns, rows=rows))

    def __str__(self) -> str:
        return "\n".join([*(one.line() for one in self.checked), visible(" ".join(self.summary.split()))])


@dataclass(frozen=True, kw_only=True)
class About:
    """What a gate is about, where its rules do not say."""

    target: str | None = None
    """By default the first that both runs share."""
    against: str | None = None
    """The baseline's target; by default the one of the same name."""
    seed: int = 0
    grouped: bool | None = None
    """Whether samples of one group scatter together; None: as they look."""


def check(
    rules: Sequence[Rule], run: "pl.DataFrame", baseline: "pl.DataFrame | None", about: About | None = None
) -> list[Checked]:
    """Every rule held against the records of `run`, and of `baseline` where it compares.

    Raises:
        UsageError: if a target that somebody named is not in the records, or nobody named one and none is shared.
    """
    from mlaas_lab.evaluation.summary import told_apart

    about = about or About()
    run = told_apart(run)
    baseline = None if baseline is None else told_apart(baseline)
    known: dict[str, Sides] = {}
    flags: dict[str, tuple[str, ...]] = {}
    checked = []
    for rule in rules:
        target = _target(rule, run, baseline, about)
        if target not in known:
            known[target] = _sides(target, run, baseline, about)
            flags[target] = _flags(run, target)
        checked.append(replace(_checked(_in_full(rule, run), known[target]), flags=flags[target]))
    return checked


def _flags(run: "pl.DataFrame", target: str) -> tuple[str, ...]:
    own = run.filter(run["target"] == target)
    return tuple(flag for flag in FLAGS if flag in own.columns and own[flag].any())


def _in_full(rule: Rule, run: "pl.DataFrame") -> Rule:
    """`rule` on the one metric that it names without its options: with a judge, a metric's whole name is long."""
    from mlaas_lab.records import metrics_of

    known = metrics_of(run.columns)
    fits = [name for name in known if registry.parted(name)[0] == rule.metric]
    return replace(rule, metric=fits[0]) if rule.metric not in known and len(fits) == 1 else rule


def _checked(rule: Rule, sides: "Sides") -> Checked:
    from mlaas_lab.gating.measuring import measure

    found = measure(rule, sides)
    ok = bool(found.ok) or (found.value is not None and not found.trouble and rule.holds(found.value))
    reason = "" if ok else found.trouble or _missed(rule, found.value)
    return Checked(rule=rule, target=sides.target, ok=ok, value=found.value, said=found.said, reason=reason)


def _missed(rule: Rule, value: float | None) -> str:
    if value is None or rule.limit is None:
        return f"not all of it is in {', '.join(rule.places)}"
    return f"{rule.quantity} is {value:.6g}, not {rule.sign} {rule.limit:.6g}"


def _target(rule: Rule, run: "pl.DataFrame", baseline: "pl.DataFrame | None", about: About) -> str:
    have = run["target"].unique(maintain_order=True).to_list()
    wanted = rule.target or about.target
    if wanted is not None:
        if wanted in have:
            return wanted
        where = f"rule line {rule.line}: " if rule.target else ""
        raise UsageError(f"{where}no target {wanted!r} in the run.", next=_nearest(wanted, have))
    if baseline is None or about.against is not None:
        return str(have[0])
    shared = set(baseline["target"].unique().to_list())
    for target in have:
        if target in shared:
            return str(target)
    raise UsageError(
        "the run and its baseline share no target.",
        next=f"Name them with --target and --against: the run has {', '.join(have)}.",
    )


def _sides(target: str, run: "pl.DataFrame", baseline: "pl.DataFrame | None", about: About) -> "Sides":
    from mlaas_lab.gating.measuring import Sides

    against = about.against or target
    sides = Sides(target=target, whole=run, baseline=None, seed=about.seed, grouped=about.grouped)
    if baseline is None:
        return replace(sides, missing="no baseline was given")
    have = baseline["target"].unique(maintain_order=True).to_list()
    if against not in have:
        if about.against is not None:
            raise UsageError(f"no target {against!r} in the baseline.", next=_nearest(against, have))
        return replace(sides, missing=f"the baseline has no target {against!r}")
    return replace(sides, baseline=baseline.filter(baseline["target"] == against))


def _nearest(word: str, have: Sequence[str]) -> str:
    return did_you_mean(word, have) or f"It has {', '.join(have)}."


def _badge(ok: bool) -> Badge:
    return Badge(text="passed", tone=Tone.GOOD) if ok else Badge(text="failed", tone=Tone.BAD)
