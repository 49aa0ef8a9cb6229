"""`compare`: evaluations on one table: who is better and by how much, what it cost, how long it took, what was said."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl

from pydantic import Field

from mlaas_lab import report
from mlaas_lab.commands import Command, _compared, _sources
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.tasks.eval import GROUPED, MARGIN, Grouped, Margin
from mlaas_lab.view import Shown, View

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.evaluation.margins import Margins
    from mlaas_lab.panels._picking import Pick
    from mlaas_lab.widgets.kernel import Compared


class Compare(Spec):
    """Compare the targets of one or more evaluations, pair by pair, on the samples they share."""

    runs: tuple[Annotated[str, Refers("run")], ...] = Arg(min_length=1)
    """Evaluations: jobs by id or name, MLflow runs, or `records.parquet` files."""
    html: Path | None = None
    """Write all of it as one self-contained page."""
    margin: Margin = Field(None, json_schema_extra={"metavar": MARGIN})
    """The loss you would just not bear, as `0.01` or `exact_match=0.01`: tells whether the second of two targets is not
    worse by that; if neither is, they are `equivalent`. By default as in the evaluation."""
    grouped: Grouped | None = None
    """Whether samples of one `group` depend on each other; `auto`: as groups look. By default as in the evaluation."""
    seed: int | None = None
    """Of the bootstrap and the permutations; by default as in the evaluation."""
    static: bool = False
    """In a notebook: the static view alone."""
    show: str = ""
    """The samples to begin with: disagreements, errors or worst; in a live view also `target=echo/up&only=errors`."""
    samples: int = Field(10, ge=1, le=1000)
    """How many samples the static view and the report show side by side."""


ONLY = {"disagreements": "apart", "errors": "errors", "worst": "worst"}
"""The samples that a static view can begin with → what a live one calls them."""


def _pick(show: str) -> "Pick":
    """Which samples a static view shows, where a live one begins with `show`."""
    from mlaas_lab.panels._picking import Pick

    only = dict(parse_qsl(show)).get("only")
    return next((Pick(word) for word, name in ONLY.items() if name == only), Pick.ANY)


class Comparison(Shown):
    """What records say of their targets."""

    def __init__(
        self,
        frame: "pl.DataFrame",
        *,
        seed: int = 0,
        margin: "Margins" = None,
        grouped: Grouped = "auto",
        notes: Sequence[str] = (),
    ) -> None:
        """`frame` holds records of one or several runs."""
        from mlaas_lab.evaluation.summary import summarize, told_apart

        self.frame = told_apart(frame)
        self.notes = tuple(notes)
        self.summary, self.verdicts = summarize(self.frame, seed=seed, margin=margin, grouped=GROUPED[grouped])
        self.page: Path | None = None
        self.words: tuple[str, ...] = ("compare",)
        self.links: tuple[tuple[str, str], ...] = ()
        self.show = ""
        self.samples = 10

    @property
    def title(self) -> str:
        """The targets by name."""
        targets = self.frame["target"].unique(maintain_order=True).to_list()
        return " against ".join(targets) if len(targets) < 3 else f"{len(targets)} targets compared"

    @cached_property
    def _panels(self) -> list[View]:
        """What every panel finds but the answers, which a live view has in pages."""
        from mlaas_lab import panels
        from mlaas_lab.evaluation.sharing import sharing
        from mlaas_lab.panels.board import board
        from mlaas_lab.panels.pareto import over

        with sharing():
            apart = (panels.labelled(view, self.frame) for view in over(self.frame, self.summary, self.verdicts))
            others = panels.draw(self.frame, without=("board", "outputs", "pareto"))
            # Load tests leave records that nobody scored.
            scores = [panels.labelled(board(self.summary, self.verdicts), self.frame)] if self.summary else []
            return [*scores, *apart, *others]

    def views(self) -> list[View]:
        """Scores and verdicts, and what every other panel finds."""
        from mlaas_lab import panels
        from mlaas_lab.panels.outputs import NEEDS, shown

        if not set(self.frame.columns) >= NEEDS:
            return self._panels
        answers = shown(self.frame, pick=_pick(self.show), samples=self.samples)
        return [*self._panels, *([] if answers is None else [panels.labelled(answers, self.frame)])]

    def compared(self) -> "Compared":
        """What a live view stands on."""
        from mlaas_lab.widgets.kernel import Compared

        return Compared(
            title=self.title,
            frame=self.frame,
            views=self._panels,
            words=self.words,
            facts=[f"{len(self.frame):,} records", *self.notes],
            links=self.links,
            show=self.show,
        )

    def view(self) -> View:
        """All of it, with the page's path if there is one."""
        written = [f"Report: {self.page}"] if self.page else []
        return View(title=self.title, notes=[*self.notes, *written], children=self.views())

    def as_json(self) -> JSON:
        """`{summary, verdicts, cost, success, slices, latency, notes, html}`."""
        from mlaas_lab.evaluation.bills import bills
        from mlaas_lab.evaluation.slices import sliced
        from mlaas_lab.panels.cost import spending
        from mlaas_lab.panels.latency import latencies

        columns = set(self.frame.columns)
        return {
            "summary": [asdict(line) for line in self.summary],
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "cost": [asdict(line) for line in spending(self.frame)] if "cost_usd" in columns else [],
            "success": [asdict(line) for line in bills(self.frame)] if "cost_usd" in columns else [],
            "slices": [asdict(line) for line in sliced(self.frame)],
            "latency": [asdict(line) for line in latencies(self.frame)] if "latency_s" in columns else [],
            "notes": list(self.notes),
            "html": str(self.page) if self.page else None,
        }


def _run(args: Compare, lab: Lab) -> Comparison:
    found = _compared.gather(args, lab)
    made = Comparison(found.frame, seed=found.seed, margin=found.margin, grouped=found.grouped, notes=found.notes)
    made.still = args.static
    made.show = f"only={ONLY[args.show]}" if args.show in ONLY else args.show
    made.samples = args.samples
    made.words = _compared.again(args)
    made.links = tuple(found.links)
    if args.html is not None:
        path = Path(str(args.html)).expanduser().resolve()
        line = _sources.line("compare", [*args.runs, "--html", str(args.html)])
        made.page = report.write(path, made.views(), found.provenance(made.title, line, lab))
    return made


command = Command(
    args=Compare,
    run=_run,
    examples=("compare my-eval --html report.html", "compare 3f9a01bc 8810aa21", "compare records.parquet"),
)
