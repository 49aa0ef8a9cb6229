"""`%mlaas eval`: ask targets the same questions, score the answers, and tell whether one is better."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from mlaas_lab.spec import DataFile, Folder, MetricName, Spec, TargetName
from mlaas_lab.tasks import Task

NAMES_FILES = re.compile(r"[?&](prompt|shots|retrieve)=")
"""In a target that is told more than the question."""
MARGIN = "X|METRIC=X"
"""How help shows a margin."""
Grouped = Literal["auto", "yes", "no"]
GROUPED: dict[str, bool | None] = {"auto": None, "yes": True, "no": False}
"""What that says: None looks at the groups."""


def margins(said: Any) -> float | dict[str, float] | None:
    """What a margin says: one number for all metrics, or metric → number.

    Args:
        said: `0.01`, `exact_match=0.01,token_f1=0.02`, a number, or names with numbers; None or nothing for none.

    Raises:
        ValueError: if it says anything else.
    """
    if said is None or said in ("", {}):
        return None
    if isinstance(said, str) and "=" in said:
        # A metric's options have such a sign too, before the last one.
        said = {name.strip(): value for name, _, value in (part.rpartition("=") for part in said.split(","))}
    if isinstance(said, Mapping):
        return {str(name): _above_zero(value) for name, value in said.items()}
    return _above_zero(said)


def _above_zero(said: Any) -> float:
    try:
        value = float(said)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 < value < math.inf or isinstance(said, bool):
        raise ValueError("expected a number above 0 as 0.01, or one for each metric as exact_match=0.01,token_f1=0.02")
    return value


def _margin_text(said: Any) -> str | None:
    """A margin in one spelling."""
    found = margins(said)
    if isinstance(found, dict):
        return ",".join(f"{name}={value:.15g}" for name, value in found.items())
    return None if found is None else f"{found:.15g}"


Margin = Annotated[str | None, BeforeValidator(_margin_text)]
"""The loss that is just not borne, as `margins` reads it."""


def metric_named(name: str, metrics: Any) -> str:
    """The one of `metrics` that is meant by its whole name or by the part before its options.

    Raises:
        ValueError: if that is none, or more than one.
    """
    found = [metric for metric in metrics if name in (metric, metric.partition("?")[0])]
    if len(found) != 1:
        raise ValueError(f"{name!r} is not one of the metrics: {', '.join(metrics)}")
    return str(found[0])


class Eval(Spec):
    """Ask targets the same questions and compare them, pair by pair."""

    data: DataFile
    """Questions with reference answers: JSONL, CSV, Parquet, or a snapshot, of which the held-out part is asked.
    `attacks` is our own set of prompt injections."""
    targets: tuple[TargetName, ...] = Field(min_length=1)
    """What to ask: endpoints we serve, or `provider/model?key=value`; the first is `a` of every comparison."""
    metrics: tuple[MetricName, ...] = Field(("exact_match", "token_f1"), min_length=1)
    """How answers are scored; options as `regex?pattern=^[0-9]+$` or `rubric?judge=TARGET&criteria=polite and short`;
    in one a comma is %2C and & is %26."""
    name: str = ""
    """Name of the job; by default that of the data."""
    limit: int | None = Field(None, ge=1)
    """Ask only so many samples, drawn at random with `seed`; by default all."""
    repeats: int = Field(1, ge=1, le=1000)
    """Ask each question so often; repeats are averaged and do not count as more samples."""
    system: str | None = None
    """System prompt, instead of the one in the data."""
    max_tokens: int = Field(256, ge=1)
    """Longest answer, in tokens."""
    temperature: float | None = Field(0.0, ge=0)
    """Sampling temperature; 0 takes the likeliest token."""
    stream: bool = False
    """Ask for streams, which alone have a time to first token."""
    concurrency: int | None = Field(None, ge=1, le=4096)
    """Requests at once to each target; by default 8, and 16 where our embedded engine serves."""
    retries: int = Field(3, ge=0, le=100)
    """Attempts after the first, for errors that may pass."""
    timeout_s: float = Field(60.0, gt=0)
    """Deadline of one answer in seconds, retries included."""
    max_usd: float | None = Field(None, gt=0)
    """Spend no more than so many dollars on calls, those in flight included; what is left then is not asked."""
    until_decided: str | None = Field(None, json_schema_extra={"bare": "first"})
    """Ask in five steps and stop once every comparison by the first metric, or by the one named, is decided."""
    any_time: bool = False
    """With --until-decided: look every few samples, not five times. It may take more samples, and says how many."""
    cache: bool = True
    """Take over answers of temperature 0 that the same weights gave before; `--no-cache` asks everything anew."""
    exchanges: bool = True
    """Keep what the targets really sent, bodies and headers, in the job's folder; `--no-exchanges` does not."""
    margin: Margin = Field(None, json_schema_extra={"metavar": MARGIN})
    """The loss you would just not bear, as `0.01` or `exact_match=0.01`: tells whether the second of two targets is not
    worse by that; if neither is, they are `equivalent`. By default nobody asks."""
    group: str | None = Field(None, json_schema_extra={"metavar": "COLUMN"})
    """Score each value of this column apart, too; by default of a column that is called `group`."""
    grouped: Grouped = "auto"
    """Whether samples of one `group` depend on each other: then groups are what counts, and samples are not. `auto`:
    where groups look drawn from many (documents, users), not where they are a few kinds (languages)."""
    seed: int = 0
    """Of the order of questions, the bootstrap and the permutations."""
    folder: Folder | None = Field(None, validate_default=True)
    """Where the files lie that targets name (`prompt=`, `shots=N@`, `retrieve=`); by default where you stand."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns of a table as fields, as in `question=user,answer=assistant`."""

    @field_validator("until_decided", mode="before")
    @classmethod
    def _one_metric(cls, named: object, info: ValidationInfo) -> object:
        """The metric that is meant, as it is written in `metrics`."""
        metrics = info.data.get("metrics", ())
        if not named or not metrics:
            return None
        if named in (True, "first"):
            return metrics[0]
        return metric_named(str(named), metrics)

    @field_validator("any_time")
    @classmethod
    def _decided_by_something(cls, any_time: bool, info: ValidationInfo) -> bool:
        """With what is to be decided."""
        if any_time and info.data.get("until_decided") is None:
            raise ValueError("it says how to look, and needs --until-decided, which says what for")
        return any_time

    @field_validator("margin")
    @classmethod
    def _known_metrics(cls, margin: str | None, info: ValidationInfo) -> str | None:
        """A metric's margin by the name that is written in `metrics`."""
        said, metrics = margins(margin), info.data.get("metrics", ())
        if not isinstance(said, dict):
            return margin
        return _margin_text({metric_named(name, metrics): value for name, value in said.items()})

    @field_validator("folder")
    @classmethod
    def _standing(cls, folder: Path | None, info: ValidationInfo) -> Path | None:
        """Where one stands, if a target names a file: the job will stand elsewhere."""
        named = any(NAMES_FILES.search(target) for target in info.data.get("targets", ()))
        return Path.cwd() if folder is None and named else folder


task = Task(
    spec=Eval,
    entry="mlaas_lab.evaluation.run:run",
    view="mlaas_lab.panels.board:views",
    live="mlaas_lab.widgets:evaluated",
    fresh=lambda spec: not spec.cache,
    resumable=True,
)
