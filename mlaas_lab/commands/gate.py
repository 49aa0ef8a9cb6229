"""`gate`: hold a run against rules, for CI: exit 1 when one does not hold or cannot be decided."""

from typing import Annotated

from pydantic import Field

from mlaas_lab.commands import Command, _gated, _sources
from mlaas_lab.gating import About, Gate, check
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.tasks.eval import GROUPED, Grouped


class GateArgs(Spec):
    """Hold a run against rules, such as `p99_s <= 2`, and against a baseline; exit 1 when one does not hold."""

    run: Annotated[str, Refers("run")] = Arg()
    """An evaluation: a job by id or name, an MLflow run, or a `records.parquet` file."""
    rule: str = Field(min_length=1)
    """File of rules, or the rules themselves: one a line, or several with `;` between."""
    baseline: Annotated[str, Refers("run")] | None = None
    """What differences are measured from, named like the run."""
    target: str | None = None
    """Whom rules are about that name nobody; by default the first target that both runs share."""
    against: str | None = None
    """The baseline's target; by default the one of the same name."""
    seed: int | None = None
    """Of the bootstrap; by default the evaluation's own."""
    grouped: Grouped | None = None
    """Whether samples of one `group` depend on each other; `auto`: as groups look. By default as in the evaluation."""


def _run(args: GateArgs, lab: Lab) -> Gate:
    rules = _gated.rules(args.rule)[0]
    frame, asked = _gated.records(args.run, lab)
    baseline, before = _gated.records(args.baseline, lab) if args.baseline is not None else (None, [])
    about = About(
        target=args.target,
        against=args.against,
        seed=int(_sources.agreed(asked, "seed") or 0) if args.seed is None else args.seed,
        grouped=GROUPED[args.grouped or _sources.agreed([*asked, *before], "grouped") or "auto"],
    )
    checked = check(rules, frame, baseline, about)
    return Gate(run=args.run, baseline=args.baseline, checked=tuple(checked))


command = Command(
    args=GateArgs,
    run=_run,
    examples=(
        "gate new-eval --baseline old-eval --rule release.rules",
        'gate records.parquet --rule "exact_match: mean >= 0.9; p99_s <= 2; unpriced = 0"',
    ),
    body="rule",
)
