"""`plan`: a month of traffic at every target, hosted or served here, and from when on a server of one's own pays."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from mlaas_lab import __version__, pricing
from mlaas_lab.commands import Command, _sources
from mlaas_lab.commands._planned import Planned
from mlaas_lab.commands._pricing import book, placed
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, DataFile, Refers, Spec, TargetName

if TYPE_CHECKING:
    import polars as pl

    from mlaas_lab.planning.demand import Demand
    from mlaas_lab.planning.measured import Measured
    from mlaas_lab.planning.month import Limits, Machine
    from mlaas_lab.view import View

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Plan(Spec):
    """Say what a month of traffic costs at each target, how long answers take, and when your own servers pay off."""

    runs: tuple[Annotated[str, Refers("run")], ...] = Arg(())
    """Load tests and evaluations of the targets: jobs by id or name, MLflow runs, or `records.parquet` files."""
    traffic: DataFile | None = None
    """Arrival times and lengths of a recorded trace, CSV, JSONL or Parquet, as `load --replay` reads it."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns of the trace by our names, as `arrival_s=ts,input_tokens=in,output_tokens=out`."""
    requests_per_day: int | None = Field(None, ge=1)
    """Traffic that is made up, in place of a trace."""
    shape: Literal["diurnal", "bursty", "flat"] = "diurnal"
    """How it comes: `diurnal` swings over the day, `bursty` has another rate every ten minutes, `flat` has one."""
    input_tokens: int | None = Field(None, ge=0)
    """Of each request that is made up; by default as in the runs."""
    output_tokens: int | None = Field(None, ge=0)
    """Of its answer."""
    days: int = Field(30, ge=1, le=366)
    """How long."""
    targets: tuple[TargetName, ...] = ()
    """Hosted targets that no run asked: they are billed, and their times are unknown."""
    own: tuple[str, ...] = ()
    """Targets that run on a machine of yours though their name does not say so."""
    usd_per_hour: Decimal | None = Field(None, gt=0)
    """What an hour of one of your servers costs; by default the setting of that name."""
    gpu: str | None = None
    """What it costs by the price list instead: `h100`, `a100-80gb`, `l4`."""
    cloud: str | None = None
    """Where that is rented: `aws`, `gcp`, `azure`."""
    region: str | None = None
    """The cloud's name of the region; by default the cheapest that is listed."""
    gpus: int = Field(1, ge=1)
    """How many of them one server has."""
    hours_per_day: float = Field(24.0, gt=0, le=24)
    """How long servers run, and made-up traffic comes."""
    utilisation: float = Field(0.7, gt=0, le=1)
    """Share of the measured throughput that break-even counts with; the rest is room for peaks."""
    p99_s: Positive | None = None
    """Servers are added until 99 % of answers take no longer; by default twice what they take where none waits."""
    rpm: dict[str, Positive] = Field(default_factory=dict)
    """Requests a minute that a vendor takes, as `openai/gpt-4o=500`; by default what the target's own `rpm=` says."""
    tpm: dict[str, Positive] = Field(default_factory=dict)
    """Tokens a minute that it takes."""
    metric: tuple[str, ...] = ()
    """By which answers are right, for break-even; by default every one that an evaluation has of both."""
    seed: int = 0
    """Of arrivals, and of which measured answer a request gets."""
    html: Path | None = None
    """Write all of it as one self-contained page."""


def _run(args: Plan, lab: Lab) -> Planned:
    from mlaas_lab.planning.month import hosted, owned
    from mlaas_lab.planning.rivals import rivals

    if (args.traffic is None) == (args.requests_per_day is None):
        raise UsageError("a plan is of one traffic.", next="Say --traffic FILE or --requests-per-day N.")
    if not args.runs and not args.targets:
        raise UsageError("there is no target to plan for.", next="Name load tests and evaluations, or --targets A,B.")
    lists, at = book(lab), time.time()
    machine = _machine(args, lab, lists, at)
    demand = _demand(args)
    sources = [_sources.find(word, lab) for word in args.runs]
    targets, loads = _targets(args, sources, lab)
    limits = {one.name: _limits(args, one) for one in targets}
    months = [
        owned(demand, one, machine, bound_s=args.p99_s, seed=args.seed)
        if one.own
        else hosted(demand, one, limits[one.name], book=lists, at=at, seed=args.seed)
        for one in targets
    ]
    metrics = args.metric or tuple(dict.fromkeys(metric for one in targets for metric in one.right))
    made = Planned(
        demand=demand,
        months=months,
        pairs=rivals(targets, machine, utilisation=args.utilisation, metrics=metrics),
        targets=targets,
        machine=machine,
        utilisation=args.utilisation,
        unlimited=[one.name for one in targets if not one.own and not any(vars(limits[one.name]).values())],
        bound_s=args.p99_s,
        loads=loads,
    )
    return made if args.html is None else replace(made, page=_written(args, args.html, made, sources, lab))


def _demand(args: Plan) -> "Demand":
    from mlaas_lab.planning.demand import recorded, shaped

    if args.traffic is not None:
        if args.hours_per_day < 24:
            raise UsageError("a trace says itself at which hours there is traffic.", next="Leave out --hours-per-day.")
        return recorded(args.traffic, args.map, days=args.days)
    if (args.input_tokens is None) != (args.output_tokens is None):
        raise UsageError("the size of a request is half known.", next="Say --input-tokens N --output-tokens N.")
    sizes = None
    if args.input_tokens is not None and args.output_tokens is not None:
        sizes = (args.input_tokens, args.output_tokens)
    return shaped(
        args.shape,
        float(args.requests_per_day or 0),
        days=args.days,
        hours=args.hours_per_day,
        sizes=sizes,
        seed=args.seed,
    )


def _machine(args: Plan, lab: Lab, lists: pricing.Lists, at: float) -> "Machine":
    from mlaas_lab.planning.month import Machine

    hours = args.hours_per_day
    own = args.usd_per_hour or (lab.settings.usd_per_hour if args.gpu is None else None)
    if own is not None:
        source = "--usd-per-hour" if args.usd_per_hour else "setting usd_per_hour"
        return Machine(usd_per_hour=own, hours_per_day=hours, source=source, date=None, said="one of yours")
    if args.gpu is None:
        return Machine(usd_per_hour=None, hours_per_day=hours, source="", date=None, said="")
    if args.cloud is None:
        raise UsageError(f"--gpu {args.gpu} is rented somewhere.", next="Say --cloud aws, gcp, azure, ….")
    price = pricing.hourly(args.cloud, args.gpu, args.region, at, book=lists)
    if price is None or price.usd is None:
        known = pricing.gpus(args.cloud, book=lists)
        hint = did_you_mean(args.gpu, known) or f"Known: {', '.join(known) or 'none'}; or say --usd-per-hour N."
        raise UsageError(f"no price of {args.gpu} at {args.cloud} is known.", next=hint)
    where = f" in {price.region}" if price.region else ""
    return Machine(
        usd_per_hour=price.usd * args.gpus,
        hours_per_day=hours,
        source=price.cited,
        date=f"since {price.since}",
        said=f"{args.gpus} × {args.gpu}, {args.cloud}{where}{f' ({price.note})' if price.note else ''}",
    )


def _targets(args: Plan, sources: "Sequence[_sources.Source]", lab: Lab) -> "tuple[list[Measured], list[View]]":
    """What is known of each target, and the load curves."""
    import polars as pl

    from mlaas_lab.panels.load import built
    from mlaas_lab.planning.measured import Measured, measured

    frames = [_sources.read(source) for source in sources]
    empty = [source.word for source, frame in zip(sources, frames, strict=True) if frame.is_empty()]
    if empty:
        raise DataError(f"{', '.join(empty)}: no records yet.")
    found: list[Measured] = []
    loads: list[View] = []
    if frames:
        frame = pl.concat(frames, how="diagonal_relaxed")
        slo = _objective(frames, sources, lab)
        found = measured(frame, own=frozenset(args.own), slo=slo)
        sent = frame.filter(pl.col("intended_at").is_not_null())
        loads = [] if sent.is_empty() else [built(sent, slo)]
    known = {one.name for one in found}
    if missing := [name for name in (*args.own, *args.rpm, *args.tpm) if name not in {*known, *args.targets}]:
        raise UsageError(f"no target is called {missing[0]!r}.", next=did_you_mean(missing[0], [*known, *args.targets]))
    more = {word: placed(word, lab) for word in args.targets}
    found += [
        Measured(target=target, name=target.name, own=False, unpriced="no record says how long its calls are")
        for target in more.values()
        if target.name not in known
    ]
    return found, loads


def _objective(frames: "Sequence[pl.DataFrame]", sources: "Sequence[_sources.Source]", lab: Lab) -> dict[str, float]:
    """What made an answer good, if all load tests agree."""
    jobs = [
        job
        for frame, source in zip(frames, sources, strict=True)
        for job in _sources.measured_by(frame, source, lab)
        if job.task == "load"
    ]
    said = {tuple(sorted((job.spec.get("slo") or {}).items())) for job in jobs}
    return dict(said.pop()) if len(said) == 1 else {}


def _limits(args: Plan, one: "Measured") -> "Limits":
    from mlaas_lab.planning.month import Limits

    words = [one.target.get(word) for word in ("rpm", "tpm")]
    said = [float(word) if word else None for word in words]
    return Limits(requests=args.rpm.get(one.name, said[0]), tokens=args.tpm.get(one.name, said[1]))


def _written(args: Plan, path: Path, made: Planned, sources: "Sequence[_sources.Source]", lab: Lab) -> Path:
    from mlaas_lab import report

    jobs = [source.job for source in sources if source.job is not None]
    origins = [
        origin
        for source in sources
        for origin in _sources.origins(source, [source.job] if source.job else [], len(_sources.read(source)), lab)
    ]
    provenance = report.Provenance(
        title=f"Plan: {made.demand.said}",
        made_at=time.time(),
        made_with=f"mlaas_lab {__version__} on Python {sys.version.split()[0]}",
        origins=origins,
        commands=[*(_sources.command_line(job) for job in jobs), _again(args)],
    )
    return report.write(path.expanduser().resolve(), made.views(), provenance)


def _again(args: Plan) -> str:
    """The line that does it again; options that have their default are left out."""
    given = args.model_dump(mode="json", exclude_defaults=True)
    words = [str(run) for run in given.pop("runs", ())]
    for name, value in given.items():
        words += [f"--{name.replace('_', '-')}", _as_word(value)]
    return _sources.line("plan", words)


def _as_word(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={one:g}" if isinstance(one, float) else f"{key}={one}" for key, one in value.items())
    return ",".join(value) if isinstance(value, list) else str(value)


command = Command(
    args=Plan,
    run=_run,
    examples=(
        "plan load my-eval --requests-per-day 20000 --gpu l4 --cloud aws --html plan.html",
        "plan load my-eval --traffic trace.csv --usd-per-hour 1.20 --p99-s 5",
        "plan --targets openai/gpt-4o-mini --requests-per-day 5000 --input-tokens 800 --output-tokens 150",
    ),
)
