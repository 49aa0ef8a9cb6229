"""`agree`: how far a judge agrees with people who rated the same answers; the evaluation's MLflow run keeps it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from mlaas_lab import registry, tracking
from mlaas_lab.commands import Command, _sources
from mlaas_lab.errors import TrackingError, UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.view import Column, Shown, Table, View
from mlaas_lab.view.formats import count, number, percent

if TYPE_CHECKING:
    from mlaas_lab.evaluation.agreeing import Agreed

PATIENCE_S = 5.0
"""How long a request to MLflow may go unanswered: somebody waits."""


class Agree(Spec):
    """Hold a judge against people's labels of the same answers: Cohen's kappa with its interval."""

    run: Annotated[str, Refers("run")] = Arg()
    """An evaluation: a job by id or name, an MLflow run, or a `records.parquet` file."""
    labels: Path = Field()
    """Table of `sample_id` and `label` (a number, yes or no); with `target`, `repeat` where answers are several."""
    metric: str = ""
    """Which metric; by default the only one that has a judge. Its name without options will do."""
    target: str | None = None
    """Whose answers the labels are of, where they do not say it and there are several."""
    weights: Literal["none", "linear", "quadratic"] = "none"
    """How much a near miss counts, on a scale."""
    at: float | None = Field(None, gt=0, le=1)
    """Ratings from here on count as yes; by default 0.5 where a judge gives values between 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class Agreement(Shown):
    """What came of it."""

    run: str
    found: "Agreed"
    recorded: bool | None = None
    """Whether MLflow has it; None for what is no evaluation of this machine."""
    trouble: str = ""
    """Why it has it not."""

    @property
    def notes(self) -> list[str]:
        """What one should know before one believes it."""
        from mlaas_lab.evaluation.agreeing import FEWEST

        one, found = self.found, self.found.agreement
        few = f"{found.n} labels are few: with fewer than {FEWEST}, take the interval for rough."
        told = [few] if found.n < FEWEST else []
        if found.kappa is None:
            told.append("There is no kappa: only one rating occurs, so chance agrees as well.")
        if one.n_unscored:
            told.append(f"{one.n_unscored} labelled answers have no score and do not count.")
        if one.n_unmatched:
            told.append(f"{one.n_unmatched} labels are of no answer in these records.")
        return [*told, self.trouble] if self.trouble else told

    @property
    def summary(self) -> str:
        """One sentence that can be quoted."""
        one, found = self.found, self.found.agreement
        if found.kappa is None or found.observed is None or found.ci_low is None or found.ci_high is None:
            return f"{one.metric} and people: no kappa, n {count(found.n)}."
        limits = f"95 % interval {number(found.ci_low)} to {number(found.ci_high)}"
        same = f"they agree on {percent(found.observed)}, by chance {percent(found.by_chance)}"
        return f"{one.metric} and people: kappa {number(found.kappa)} ({limits}, n {count(found.n)}); {same}."

    def as_json(self) -> JSON:
        """`{run, metric, n, kappa, ci_low, ci_high, observed, by_chance, weights, at, counts, recorded, notes, …}`."""
        one = self.found
        return {
            "run": self.run,
            "metric": one.metric,
            **asdict(one.agreement),
            "weights": one.weights,
            "at": one.at,
            "counts": [{"label": label, "rating": rating, "n": n} for label, rating, n in one.counts],
            "n_unscored": one.n_unscored,
            "n_unmatched": one.n_unmatched,
            "recorded": self.recorded,
            "notes": self.notes,
        }

    def view(self) -> View:
        """The sentence, and who said what how often."""
        ratings = sorted({rating for _, rating, _ in self.found.counts})
        met = {(label, rating): n for label, rating, n in self.found.counts}
        columns: list[Column | str] = ["People said"]
        columns += [Column(title=f"judge {number(rating)}", align="right", format=count) for rating in ratings]
        people = sorted({label for label, _, _ in self.found.counts})
        rows = [(number(label), *(met.get((label, rating), 0) for rating in ratings)) for label in people]
        cut = "" if self.found.at is None else f"1 is a rating of at least {self.found.at:g}."
        table = Table(columns=columns, rows=rows, caption=cut)
        return View(title="Agreement", summary=self.summary, notes=self.notes, table=table)


def _run(args: Agree, lab: Lab) -> Agreement:
    from mlaas_lab.evaluation import agreeing

    rated = agreeing.labels(args.labels)
    source = _sources.find(args.run, lab)
    frame = _sources.read(source)
    if args.target is not None:
        known = frame["target"].unique(maintain_order=True).to_list()
        if args.target not in known:
            raise UsageError(
                f"there is no target {args.target!r}.",
                next=did_you_mean(args.target, known) or f"Known: {', '.join(known)}.",
            )
        frame = frame.filter(frame["target"] == args.target)
    metric = agreeing.named(frame, args.metric)
    found = agreeing.agreed(frame, rated, metric, weights=args.weights, at=args.at)
    recorded, trouble = _recorded(source.job, agreeing.flat(found, args.target), lab.settings)
    return Agreement(run=args.run, found=found, recorded=recorded, trouble=trouble)


def _recorded(job: Job | None, values: Mapping[str, float], settings: Settings) -> tuple[bool | None, str]:
    """Leave `values` to the run of an evaluation that ended; whether MLflow has them, and why not."""
    if job is None or not job.state.ended or not values or not registry.load("task", job.task).tracked:
        return None, ""
    folder = JobFolder(job.folder)
    try:
        tracking.add(folder, values)
        refused = tracking.Delivery(folder, settings, timeout_s=PATIENCE_S).finish(job.state).refused
    except OSError as error:
        return False, f"MLflow will not have this agreement: {folder.events} cannot be written: {error.strerror}."
    except TrackingError as error:
        refused = str(error)
    return (True, "") if refused is None else (False, f"MLflow: {refused} The agreement waits; `mlaas sync` sends it.")


command = Command(
    args=Agree,
    run=_run,
    examples=(
        "agree my-eval --labels labels.csv",
        "agree my-eval --labels labels.csv --metric rubric --weights linear",
    ),
)
