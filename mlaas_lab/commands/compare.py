"""`compare`: evaluations on one table: who is better and by how much, what it cost, how long it took, what was said."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl

from pydantic import Field

from mlaas_lab import __version__
from mlaas_lab.commands import Command, _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.tasks.eval import GROUPED, MARGIN, Grouped, Margin, margins, metric_named
from mlaas_lab.view import Shown, View
from mlaas_lab.widgets.links import links, run_link

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
            scores = [board(self.summary, self.verdicts)] if self.summary else []
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
    sources = list(
        {source.path.resolve(): source for source in (_sources.find(word, lab) for word in args.runs)}.values()
    )
    frames = [_sources.read(source) for source in sources]
    jobs = [_sources.measured_by(frame, source, lab) for frame, source in zip(frames, sources, strict=True)]
    frame = _together(frames)
    if frame.is_empty():
        raise DataError(f"{', '.join(args.runs)}: no records yet.")
    specs = [spec for source, known in zip(sources, jobs, strict=True) for spec in _asked(source, known)]
    made = Comparison(
        frame,
        seed=args.seed if args.seed is not None else int(_sources.agreed(specs, "seed") or 0),
        margin=_margin(args, frame) if args.margin is not None else margins(_sources.agreed(specs, "margin")),
        grouped=args.grouped or _sources.agreed(specs, "grouped") or "auto",
        notes=[
            f"{source.word} is {source.state}: its {len(part):,} records so far are compared."
            for source, part in zip(sources, frames, strict=True)
            if source.unfinished
        ],
    )
    made.still = args.static
    made.show = f"only={ONLY[args.show]}" if args.show in ONLY else args.show
    made.samples = args.samples
    made.words = _again(args)
    fetched = [run_link(one.run_id, lab.settings) for one in sources if one.run_id and one.job is None]
    made.links = (*links({job.id: job for several in jobs for job in several}.values()), *sum(fetched, ()))
    if args.html is not None:
        _write(args, made, [(s, j, len(f)) for s, j, f in zip(sources, jobs, frames, strict=True)], lab)
    return made


def _together(frames: "Sequence[pl.DataFrame]") -> "pl.DataFrame":
    """All records as one table; the same measurement in two files counts once."""
    import polars as pl

    if len(frames) == 1:
        return frames[0]
    key = ["run_id", "target", "sample_id", "repeat"]
    return pl.concat(frames, how="diagonal_relaxed").unique(key, keep="first", maintain_order=True)


def _asked(source: "_sources.Source", known: "Sequence[Job]") -> list[Mapping[str, Any]]:
    """What the evaluations behind a source were asked with, as far as this machine or its run says."""
    return [job.spec for job in known] or ([source.asked] if source.asked else [])


def _again(args: Compare) -> tuple[str, ...]:
    """The command, word by word, that shows the same."""
    margin = ["--margin", args.margin] if args.margin is not None else []
    seed = ["--seed", str(args.seed)] if args.seed is not None else []
    grouped = ["--grouped", args.grouped] if args.grouped is not None else []
    return ("compare", *args.runs, *margin, *grouped, *seed)


def _margin(args: Compare, frame: "pl.DataFrame") -> float | dict[str, float] | None:
    """What `--margin` says of the metrics that these records have.

    Raises:
        UsageError: if it names another.
    """
    from mlaas_lab.records import metrics_of

    said, metrics = margins(args.margin), metrics_of(frame.columns)
    if not isinstance(said, dict):
        return said
    try:
        return {metric_named(name, metrics): value for name, value in said.items()}
    except ValueError as error:
        raise UsageError(f"--margin {args.margin}: {error}.") from None


def _write(
    args: Compare, made: Comparison, parts: "Sequence[tuple[_sources.Source, list[Job], int]]", lab: Lab
) -> None:
    from mlaas_lab import report

    path = Path(str(args.html)).expanduser().resolve()
    history = [line for _, jobs, _ in parts for job in jobs for line in _sources.history(job, lab)]
    again = _sources.line("compare", [*args.runs, "--html", str(args.html)])
    provenance = report.Provenance(
        title=made.title,
        made_at=time.time(),
        made_with=f"mlaas_lab {__version__} on Python {sys.version.split()[0]}",
        origins=[one for source, jobs, n in parts for one in _sources.origins(source, jobs, n, lab)],
        commands=[*dict.fromkeys(history), again],
    )
    made.page = report.write(path, made.views(), provenance)


command = Command(
    args=Compare,
    run=_run,
    examples=("compare my-eval --html report.html", "compare 3f9a01bc 8810aa21", "compare records.parquet"),
)
