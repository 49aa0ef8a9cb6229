"""`estimate`: what an evaluation or a month of traffic will cost, before anything is spent; a rented GPU beside it."""

import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from pydantic import Field

from mlaas_lab import data, pricing, variants
from mlaas_lab.commands import Command
from mlaas_lab.commands._counting import counting
from mlaas_lab.commands._estimated import Estimated
from mlaas_lab.commands._estimating import GUESSED, Calls, Machine, calls, line
from mlaas_lab.commands._judged import Answers, judges
from mlaas_lab.commands._pricing import book, placed
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Sample, Target, Usage
from mlaas_lab.spec import DataFile, MetricName, ModelName, Spec, TargetName
from mlaas_lab.view.formats import count

ONCE = "Every call is counted once; one that is tried again after an error may be paid again."


class Estimate(Spec):
    """Say what an evaluation (`--data`) or a month of traffic (`--requests-per-day`) will cost each target."""

    targets: tuple[TargetName, ...] = ()
    """`provider/model?key=value`."""
    data: DataFile | None = None
    """Questions of an evaluation, as `eval` takes them."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns of a table as fields, as in `question=user,answer=assistant`."""
    repeats: int = Field(1, ge=1, le=1000)
    """Ask each question so often."""
    max_tokens: int = Field(256, ge=1)
    """Longest answer of an evaluation, in tokens."""
    metrics: tuple[MetricName, ...] = ()
    """How its answers are scored, as `eval` takes them: what judges cost comes on top."""
    base: ModelName | None = None
    """Whose tokenizer counts the tokens; by default they are guessed from the bytes."""
    requests_per_day: int | None = Field(None, ge=1)
    """Traffic in place of an evaluation."""
    input_tokens: int | None = Field(None, ge=0)
    """Of a request, on average."""
    cached_tokens: int = Field(0, ge=0)
    """Of them, those that the vendor reads from its cache."""
    output_tokens: int | None = Field(None, ge=0)
    """Of an answer, on average; in an evaluation by default as long as the references."""
    days: int = Field(30, ge=1, le=366)
    """Days of traffic."""
    gpu: str | None = None
    """Serve it yourself instead: `h100`, `a100-80gb`, `l4`."""
    cloud: str | None = None
    """Where the GPU is rented: `aws`, `gcp`, `azure`."""
    region: str | None = None
    """The cloud's name of the region; by default the cheapest that is listed."""
    gpus: int = Field(1, ge=1)
    """How many of them."""
    hours_per_day: float = Field(24.0, gt=0, le=24)
    """How long they run."""


def _run(args: Estimate, lab: Lab) -> Estimated:
    if (args.data is None) == (args.requests_per_day is None):
        raise UsageError(
            "an estimate is of an evaluation or of traffic.", next="Say --data FILE or --requests-per-day N."
        )
    if not args.targets and not args.gpu:
        raise UsageError(
            "an estimate is of targets, or of a GPU.", next="Say --targets A,B or --gpu NAME --cloud NAME."
        )
    lists, at = book(lab), time.time()
    targets = {word: placed(word, lab) for word in args.targets}
    machine = _machine(args, lists, at)
    if args.data is not None:
        return _evaluation(args, lab, targets, lists, at)
    sizes = [_traffic(args)]
    a_day = count(args.requests_per_day)
    tokens = f"{count(args.input_tokens)} input and {count(args.output_tokens)} output tokens"
    return Estimated(
        what=f"{a_day} requests a day of {tokens}, for {args.days} days.",
        lines=[line(Target.parse(word).name, target, sizes, at, lists) for word, target in targets.items()],
        sizes=sizes,
        days=args.days,
        machine=machine,
        notes=[ONCE] if targets else [],
    )


def _evaluation(args: Estimate, lab: Lab, targets: Mapping[str, Target], lists: pricing.Lists, at: float) -> Estimated:
    from mlaas_lab.evaluation.plan import held_out, train_part

    if args.gpu:
        raise UsageError("a GPU is priced for traffic.", next="Say --requests-per-day N in place of --data.")
    counter, unknown = counting(args.base, lab) if args.base else (None, "")
    if unknown:
        raise DataError(f"tokens cannot be counted: {unknown}.", next="Leave out --base to guess them from the bytes.")
    path = args.data or lab.settings.data_dir
    samples = data.samples(data.load(held_out(path), mapping=args.map or None))
    sized = partial(
        calls, repeats=args.repeats, max_tokens=args.max_tokens, output_tokens=args.output_tokens, count=counter
    )
    sizes = sized(samples)
    told = {word: _told(word, train_part(path), samples) for word in targets}
    each_size = {word: sizes if own is samples else sized(own) for word, own in told.items()}
    answers = Answers(
        samples=samples, targets=len(targets), repeats=args.repeats, max_tokens=args.max_tokens, counter=counter
    )
    judging = judges(args.metrics, answers, lab, lists)
    each = f"{count(len(samples))} questions" + (f" × {args.repeats} repeats" if args.repeats > 1 else "")
    totals = sorted({sum(size.n * size.input_tokens for size in own) for own in (each_size or {"": sizes}).values()})
    about = " to ".join(count(total) for total in dict.fromkeys((totals[0], totals[-1])))
    return Estimated(
        what=f"{each}, about {about} input tokens for each target.",
        lines=[line(Target.parse(word).name, target, each_size[word], at, lists) for word, target in targets.items()],
        sizes=sizes,
        days=None,
        judges=judging,
        notes=[_answers(args, sizes), *([] if counter else [GUESSED]), ONCE],
    )


def _told(word: str, train: Path | None, samples: list[Sample]) -> list[Sample]:
    """`samples` as target `word` is asked them: with what its own words add, as `eval` would from here."""
    from mlaas_lab.inference import parsed

    variant = variants.of(parsed(word), Path.cwd(), train=train, samples=samples)
    if variant is None:
        return samples
    return [replace(sample, messages=variant.shown(sample.messages).messages) for sample in samples]


def _answers(args: Estimate, sizes: list[Calls]) -> str:
    """Where the ends come from."""
    ends = f"Low: every answer has 1 token. High: every answer has {count(args.max_tokens)} (--max-tokens)."
    if args.output_tokens is not None:
        return f"{ends} Likely: {count(args.output_tokens)} (--output-tokens)."
    if all(size.likely for size in sizes):
        return f"{ends} Likely: as long as the reference answers."
    return f"{ends} How long answers are likely to be, nobody says: --output-tokens N."


def _traffic(args: Estimate) -> Calls:
    if args.input_tokens is None or args.output_tokens is None:
        raise UsageError("the size of a request is missing.", next="Say --input-tokens N --output-tokens N.")
    if args.cached_tokens > args.input_tokens:
        raise UsageError(f"--cached-tokens {args.cached_tokens} is more than --input-tokens {args.input_tokens}.")
    one = Usage(
        input_tokens=args.input_tokens, output_tokens=args.output_tokens, cached_tokens=args.cached_tokens or None
    )
    return Calls(
        n=(args.requests_per_day or 0) * args.days, input_tokens=args.input_tokens, low=one, likely=one, high=one
    )


def _machine(args: Estimate, lists: pricing.Lists, at: float) -> Machine | None:
    if args.gpu is None:
        return None
    if args.cloud is None:
        raise UsageError(f"--gpu {args.gpu} is rented somewhere.", next="Say --cloud aws, gcp, azure, ….")
    price = pricing.hourly(args.cloud, args.gpu, args.region, at, book=lists)
    if price is None:
        raise _unknown(args, lists)
    where = f" in {price.region}" if price.region else ""
    return Machine(
        name=f"{args.gpus} × {args.gpu}, {args.cloud}{where}",
        price=price,
        gpus=args.gpus,
        hours=Decimal(str(args.hours_per_day)) * args.days,
    )


def _unknown(args: Estimate, lists: pricing.Lists) -> UsageError:
    cloud = args.cloud or ""
    where = f" in {args.region}" if args.region else ""
    said = f"no price of {args.gpu} at {cloud}{where} is known."
    if not (known := pricing.gpus(cloud, book=lists)):
        near = did_you_mean(cloud, pricing.vendors())
        return UsageError(said, next=near or "Give one of your own: a YAML file, named by the setting `prices`.")
    wanted = f"{args.gpu}{where}"
    return UsageError(said, next=did_you_mean(wanted, known) or f"Known: {', '.join(known)}.")


command = Command(
    args=Estimate,
    run=_run,
    examples=(
        "estimate --data rows.jsonl --targets openai/gpt-4o,openai/gpt-4o-mini --output-tokens 80",
        "estimate --requests-per-day 5000 --input-tokens 800 --output-tokens 150 --targets openai/gpt-4o-mini",
        "estimate --requests-per-day 5000 --input-tokens 800 --output-tokens 150 --gpu l4 --cloud aws",
    ),
)
