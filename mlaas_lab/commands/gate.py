"""`gate`: hold a run against rules, for CI: exit 1 when one does not hold or cannot be decided."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mlaas_lab.commands import Command, _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.gating import About, Gate, Rule, check, parse
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.tasks.eval import GROUPED, Grouped

if TYPE_CHECKING:
    import polars as pl


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
    rules = _rules(args.rule)
    frame, asked = _records(args.run, lab)
    baseline, before = _records(args.baseline, lab) if args.baseline is not None else (None, [])
    about = About(
        target=args.target,
        against=args.against,
        seed=int(_sources.agreed(asked, "seed") or 0) if args.seed is None else args.seed,
        grouped=GROUPED[args.grouped or _sources.agreed([*asked, *before], "grouped") or "auto"],
    )
    checked = check(rules, frame, baseline, about)
    return Gate(run=args.run, baseline=args.baseline, checked=tuple(checked))


def _rules(word: str) -> list[Rule]:
    """The rules in the file `word`, or in `word` itself.

    Raises:
        UsageError: if there are none, or one cannot be read.
        DataError: if the file cannot be read.
    """
    path = Path(word).expanduser()
    if _is_file(path):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise DataError(f"{word} cannot be read: {reason}.") from None
    elif path.suffix and " " not in word and not any(sign in word for sign in "<>=≤≥"):
        raise DataError(f"{word} does not exist; expected a file of rules.")
    else:
        text = word
    rules = parse(text)
    if not rules:
        raise UsageError("there is no rule to hold it against.", next="A gate without a rule would let all through.")
    return rules


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # Rules may be longer than any file's name.
        return False


def _records(word: str, lab: Lab) -> "tuple[pl.DataFrame, list[Mapping[str, Any]]]":
    """The records that `word` names, and what their evaluations were asked with."""
    source = _sources.find(word, lab)
    frame = _sources.read(source)
    if frame.is_empty():
        raise DataError(f"{word}: no records yet.")
    if source.unfinished:
        raise DataError(f"{word} is {source.state}: what is not finished passes no gate.", next=f"wait {word}")
    known = [job.spec for job in _sources.measured_by(frame, source, lab)]
    return frame, known or ([source.asked] if source.asked else [])


command = Command(
    args=GateArgs,
    run=_run,
    examples=(
        "gate new-eval --baseline old-eval --rule release.rules",
        'gate records.parquet --rule "exact_match: mean >= 0.9; p99_s <= 2; unpriced = 0"',
    ),
    body="rule",
)
