"""The runs that a command names, as one table with what is known of it: how it was asked for, where it comes from."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mlaas_lab import __version__
from mlaas_lab.commands import _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.report import Provenance
from mlaas_lab.schema import Job
from mlaas_lab.tasks.eval import Grouped, margins, metric_named
from mlaas_lab.widgets.links import links, run_link

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.evaluation.margins import Margins


class Asked(Protocol):
    """Which runs, and how they are compared."""

    @property
    def runs(self) -> tuple[str, ...]:
        """By name, file or id."""

    @property
    def margin(self) -> str | None:
        """As it was typed."""

    @property
    def grouped(self) -> Grouped | None:
        """Whether samples of a group depend on each other."""

    @property
    def seed(self) -> int | None:
        """Of the bootstrap and the permutations."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """The records of one run."""

    source: _sources.Source
    jobs: list[Job]
    """Of this machine, that measured them."""
    frame: "pl.DataFrame"


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """All runs together."""

    parts: Sequence[Part]
    frame: "pl.DataFrame"
    """Each measurement once."""
    seed: int
    margin: "Margins"
    grouped: Grouped
    notes: Sequence[str]
    links: Sequence[tuple[str, str]]

    def provenance(self, title: str, command: str, lab: Lab) -> Provenance:
        """Where the records come from, and what leads to them; `command` comes last."""
        history = [line for part in self.parts for job in part.jobs for line in _sources.history(job, lab)]
        return Provenance(
            title=title,
            made_at=time.time(),
            made_with=f"mlaas_lab {__version__} on Python {sys.version.split()[0]}",
            origins=[
                one for part in self.parts for one in _sources.origins(part.source, part.jobs, len(part.frame), lab)
            ],
            commands=[*dict.fromkeys(history), command],
        )


def gather(args: Asked, lab: Lab) -> Gathered:
    """The records of the runs that `args` names.

    Raises:
        UsageError: if one names nothing, or the margin a metric that they do not have.
        DataError: if there are no records yet.
        TrackingError: if MLflow cannot be asked for them.
    """
    sources = list(
        {source.path.resolve(): source for source in (_sources.find(word, lab) for word in args.runs)}.values()
    )
    parts = []
    for source in sources:
        frame = _sources.read(source)
        parts.append(Part(source=source, jobs=_sources.measured_by(frame, source, lab), frame=frame))
    frame = _together([part.frame for part in parts])
    if frame.is_empty():
        raise DataError(f"{', '.join(args.runs)}: no records yet.")
    specs = [spec for part in parts for spec in _asked(part)]
    known = {job.id: job for part in parts for job in part.jobs}
    fetched = [run_link(one.run_id, lab.settings) for one in sources if one.run_id and one.job is None]
    return Gathered(
        parts=parts,
        frame=frame,
        seed=args.seed if args.seed is not None else int(_sources.agreed(specs, "seed") or 0),
        margin=_margin(args, frame) if args.margin is not None else margins(_sources.agreed(specs, "margin")),
        grouped=args.grouped or _sources.agreed(specs, "grouped") or "auto",
        notes=[
            f"{one.source.word} is {one.source.state}: its {len(one.frame):,} records so far are compared."
            for one in parts
            if one.source.unfinished
        ],
        links=(*links(known.values()), *sum(fetched, ())),
    )


def again(args: Asked) -> tuple[str, ...]:
    """The command, word by word, that compares the same."""
    margin = ["--margin", args.margin] if args.margin is not None else []
    seed = ["--seed", str(args.seed)] if args.seed is not None else []
    grouped = ["--grouped", args.grouped] if args.grouped is not None else []
    return ("compare", *args.runs, *margin, *grouped, *seed)


def _together(frames: "Sequence[pl.DataFrame]") -> "pl.DataFrame":
    """All records as one table; the same measurement in two files counts once."""
    import polars as pl

    if len(frames) == 1:
        return frames[0]
    key = ["run_id", "target", "sample_id", "repeat"]
    return pl.concat(frames, how="diagonal_relaxed").unique(key, keep="first", maintain_order=True)


def _asked(part: Part) -> list[Mapping[str, Any]]:
    """What the evaluations behind it were asked with, as far as this machine or its run says."""
    return [job.spec for job in part.jobs] or ([part.source.asked] if part.source.asked else [])


def _margin(args: Asked, frame: "pl.DataFrame") -> float | dict[str, float] | None:
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
