"""`decide`: sign a decision on an evaluation, or look at those that were signed; exit 1 when their log was changed."""

from typing import Annotated

from mlaas_lab.commands import Command, _deciding
from mlaas_lab.errors import UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.view import Shown


class DecideArgs(Spec):
    """Sign a decision for a target, with its rule and evidence; without a target: show the log and verify it."""

    run: Annotated[str, Refers("run")] = Arg()
    """An evaluation: a job by id or name, an MLflow run, or a `records.parquet` file."""
    target: Annotated[str, Refers("target")] | None = None
    """Whom the decision is for."""
    rule: str | None = None
    """File of rules, or the rules themselves, as `gate` reads them; they are held against the target."""
    by: str = ""
    """Who signs; by default the name of your login."""
    comment: str = ""
    """Why; needed where the rule does not hold."""
    baseline: Annotated[str, Refers("run")] | None = None
    """What differences in rules are measured from, named like the run."""


def _run(args: DecideArgs, lab: Lab) -> Shown:
    desk = _deciding.desk(args.run, lab)
    if args.target is None:
        if args.rule or args.comment or args.baseline:
            raise UsageError("a decision needs a target.", next=f"Name it with --target: {', '.join(desk.targets)}.")
        return desk.log()
    rule = None
    if args.rule is not None:
        rule = _deciding.ruled(args.rule, desk, lab, target=args.target, baseline=args.baseline)
    return desk.sign(target=args.target, by=_deciding.somebody(args.by), rule=rule, comment=args.comment)


command = Command(
    args=DecideArgs,
    run=_run,
    examples=("decide my-eval --target echo/up --rule release.rules --by ada", "decide my-eval"),
)
