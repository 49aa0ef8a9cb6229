"""`review`: people look at the answers of two targets side by side and say which is better, blind if they want."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from mlaas_lab.commands import Command, _deciding, _sources
from mlaas_lab.lab import Lab
from mlaas_lab.panels import labelled
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.view import Shown, View
from mlaas_lab.widgets.links import links, run_link

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.reviewing import Desk, Sitting
    from mlaas_lab.widgets.reviewed import Reviewed


class ReviewArgs(Spec):
    """Judge two targets' answers side by side in a notebook, disagreements first; elsewhere: how far that is."""

    run: Annotated[str, Refers("run")] = Arg()
    """An evaluation: a job by id or name, an MLflow run, or a `records.parquet` file."""
    between: tuple[Annotated[str, Refers("target")], ...] = ()
    """The two targets; by default the only two there are."""
    blind: bool | None = None
    """Hide who is who until all is judged; `--no-blind` reveals it. By default as the review was begun."""
    by: str = ""
    """Who reviews; by default the name of your login."""
    limit: int | None = Field(None, ge=1)
    """Only the first samples, those that differ most."""
    metric: str = ""
    """By whose scores samples differ; by default the first metric. Its name without options will do."""


@dataclass(frozen=True, kw_only=True)
class Reviewing(Shown):
    """One reviewer's review."""

    desk: "Desk"
    sitting: "Sitting"
    words: Sequence[str]
    """The command that shows it, word by word."""
    links: tuple[tuple[str, str], ...] = ()

    def reviewed(self) -> "Reviewed":
        """What a live view stands on."""
        from mlaas_lab.widgets.reviewed import Reviewed

        return Reviewed(desk=self.desk, sitting=self.sitting, words=self.words, links=self.links)

    def view(self) -> View:
        """How far it is, what this reviewer said, and, unless names are hidden, who is preferred."""
        from mlaas_lab.reviewing.told import told

        view = told(self.desk, self.sitting)
        return view if self.sitting.hidden else labelled(view, self._between)

    @property
    def _between(self) -> "pl.DataFrame":
        """Records of the two."""
        setup = self.sitting.review.setup
        records = self.desk.records
        return records.filter(records["target"].is_in([setup.a, setup.b]))

    def as_json(self) -> JSON:
        """`{reviewer, done, total, skipped, hidden, file, preferences}`; no preferences while names are hidden."""
        sitting = self.sitting
        hidden = sitting.hidden
        return {
            "reviewer": sitting.by,
            "done": sitting.done,
            "total": sitting.total,
            "skipped": sitting.skipped,
            "hidden": hidden,
            "file": str(sitting.review.path),
            "preferences": None if hidden else self.desk.tally(sitting).as_json(),
        }


def _run(args: ReviewArgs, lab: Lab) -> Reviewing:
    desk = _deciding.desk(args.run, lab)
    sitting = desk.sit(
        by=_deciding.somebody(args.by),
        between=args.between,
        blind=args.blind,
        metric=args.metric,
        limit=args.limit,
    )
    foreign = run_link(desk.run_id, lab.settings) if desk.run_id and desk.job is None else ()
    known = _sources.measured_by(desk.records, _sources.find(args.run, lab), lab)
    return Reviewing(desk=desk, sitting=sitting, words=_again(args, sitting), links=(*links(known), *foreign))


def _again(args: ReviewArgs, sitting: "Sitting") -> list[str]:
    """The command, word by word, that shows the same."""
    setup = sitting.review.setup
    rest = [] if args.blind is None else ["--blind" if args.blind else "--no-blind"]
    rest += ["--limit", str(args.limit)] if args.limit is not None else []
    rest += ["--metric", args.metric] if args.metric else []
    return ["review", args.run, "--between", f"{setup.a},{setup.b}", "--by", sitting.by, *rest]


command = Command(
    args=ReviewArgs,
    run=_run,
    examples=("review my-eval --between echo/up,echo/down --blind", "review records.parquet --limit 20 --by ada"),
)
