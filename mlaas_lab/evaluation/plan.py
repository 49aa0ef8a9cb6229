"""What an evaluation will ask, checked to the last word before anybody is asked or paid."""

import random
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from mlaas_lab import data, pricing, registry, variants
from mlaas_lab.data.snapshots import MANIFEST
from mlaas_lab.errors import DataError, LabError, UsageError
from mlaas_lab.evaluation.contents import content
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.inference import Limits, Params, Route, parsed, resolve
from mlaas_lab.records import COLUMNS, JUDGE_COLUMNS, METRIC_COLUMNS
from mlaas_lab.schema import Message, Sample, Target, Usage
from mlaas_lab.settings import Settings
from mlaas_lab.tasks.eval import Eval
from mlaas_lab.variants import Shown, Variant


class Unit(NamedTuple):
    """One thing to ask: it gets exactly one record."""

    target: str
    place: int
    """Of the sample in the plan, from 0."""
    repeat: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Every target × sample × repeat that will be asked, and how."""

    samples: tuple[Sample, ...]
    routes: Mapping[str, Route]
    """By the target's name, in the order named."""
    metrics: Mapping[str, Metric]
    params: Params
    limits: Limits
    repeats: int = 1
    stream: bool = False
    seed: int = 0
    contents: Mapping[str, str | None] = field(default_factory=dict)
    """What stands behind each target by its name, and each judge by its metric's; None or absent: nobody knows, so its
    answers are not cached."""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    """What those targets are told besides the question that say so, by name."""
    told: Mapping[str, Sequence[Shown]] = field(default_factory=dict)
    """What that makes of each sample, by the same names."""
    judges: Mapping[str, Route] = field(default_factory=dict)
    """Who judges, by the metric's name."""
    prices: pricing.Lists = pricing.NONE
    """The user's own price lists."""
    exchanges: bool = False
    """Whether what the targets really sent is kept."""
    cache: bool = True
    """Whether answers of earlier evaluations may be taken over; new ones are kept for later ones in any case."""

    @property
    def total(self) -> int:
        """Records there will be."""
        return len(self.routes) * len(self.samples) * self.repeats

    def shown(self, unit: Unit) -> Shown:
        """What `unit` is told: the turns of its sample, or what a variant makes of them."""
        told = self.told.get(unit.target)
        return Shown(self.samples[unit.place].messages, None) if told is None else told[unit.place]

    def units(self) -> Iterator[Unit]:
        """All of them, by target, sample and repeat."""
        for target in self.routes:
            for place in range(len(self.samples)):
                for repeat in range(self.repeats):
                    yield Unit(target, place, repeat)


def prepare(spec: Eval, settings: Settings) -> Plan:
    """The plan for `spec`; endpoints that are still starting are waited for, once everything else is in order.

    Raises:
        UsageError: for an unknown metric, target or parameter, or one target named twice.
        DataError: for data that cannot be read, or lacks what a metric needs.
        CallError: if a target's key is not set, or its endpoint does not come up.
    """
    metrics = _metrics(spec.metrics, settings)
    targets = _targets(spec.targets)
    samples = _samples(spec)
    found = _variants(targets, samples, spec)
    # Where one target retrieves, answers of the others are not judged by what they were not shown.
    brought = {"contexts"} if any(variant.corpus for variant in found.values()) else set()
    check_needs(metrics, samples, spec.data, brought=brought)
    routes = {name: resolve(variants.bare(target), settings) for name, target in targets.items()}
    judges = _judges(metrics, tuple(targets), settings)
    book = pricing.lists(settings)
    for route in (*routes.values(), *judges.values()):
        # Price lists are read before anybody's clock runs.
        pricing.cost(route.place, Usage(input_tokens=0, output_tokens=0), at=time.time(), book=book)
    return Plan(
        samples=samples,
        routes=routes,
        metrics=metrics,
        params=Params(max_tokens=spec.max_tokens, temperature=spec.temperature),
        limits=Limits(concurrency=spec.concurrency, retries=spec.retries, timeout_s=spec.timeout_s),
        repeats=spec.repeats,
        stream=spec.stream,
        seed=spec.seed,
        contents={name: content(route, settings) for name, route in (*judges.items(), *routes.items())},
        cache=spec.cache,
        exchanges=spec.exchanges,
        variants=found,
        told={name: [one.shown(sample.messages) for sample in samples] for name, one in found.items()},
        judges=judges,
        prices=book,
    )


def held_out(path: Path) -> Path:
    """The file to ask: of a snapshot its test part, else `path` itself."""
    return path / "test" if (path.expanduser() / MANIFEST).is_file() else path


def train_part(path: Path) -> Path | None:
    """The snapshot that `path` is, or is a part of: as a dataset, its train part. None where it is neither."""
    return next((folder for folder in (path, path.parent) if (folder / MANIFEST).is_file()), None)


def check_needs(
    metrics: Mapping[str, Metric], samples: Sequence[Sample], path: Path, *, brought: Collection[str] = ()
) -> None:
    """See that every sample has an id of its own and what `metrics` need, but for what targets bring themselves.

    Raises:
        DataError: naming the first sample that does not.
    """
    name, n = Counter(sample.id for sample in samples).most_common(1)[0]
    if n > 1:
        raise DataError(f"{path}: {n} samples have the id {name!r}.", next="Give each row an id of its own, or none.")
    for metric, needed in sorted(
        (name, needed) for name, found in metrics.items() for needed in found.needs - {*brought}
    ):
        lacking = [sample.id for sample in samples if not _given(getattr(sample, needed))]
        if lacking:
            raise DataError(
                f"{path}: {metric} needs {needed}, and {len(lacking)} of {len(samples)} samples have none,"
                f" the first is {lacking[0]!r}.",
                next="Add it (a chat's last assistant turn is the reference), or choose other --metrics.",
            )
    for metric, found in metrics.items():
        if found.check is not None and (wrong := found.check(samples)):
            raise DataError(f"{path}: {metric} cannot judge these samples: {wrong}.")


def _given(value: str | Sequence[str] | None) -> bool:
    """Whether there is any text in it: white space is none."""
    return any(text.strip() for text in ([value] if isinstance(value, str) else value or ()))


def _metrics(names: Sequence[str], settings: Settings) -> dict[str, Metric]:
    named: dict[str, Metric] = {name: registry.configured("metric", name) for name in names}
    found = {name: metric.settled(settings) if metric.settled else metric for name, metric in named.items()}
    for library in sorted({library for metric in found.values() for library in metric.libraries}):
        # Imported before any clock runs: the first score is given while others are awaited.
        registry.resolve(library)
    own = [name + ending for name in found for ending in METRIC_COLUMNS]
    own += [name + ending for name in found if found[name].judge is not None for ending in JUDGE_COLUMNS]
    columns = Counter([*COLUMNS, *own])
    if taken := sorted(name for name, n in columns.items() if n > 1):
        raise UsageError(f"a metric cannot be called {taken[0]!r}: records have a column of that name.")
    return found


def _judges(metrics: Mapping[str, Metric], targets: Sequence[str], settings: Settings) -> dict[str, Route]:
    """Who judges, by the metric's name."""
    found: dict[str, Route] = {}
    for name, metric in metrics.items():
        if metric.judge is None:
            continue
        short, _ = registry.parted(name)
        if metric.judge.pairwise and len(targets) < 2:
            raise UsageError(
                f"{short} compares with the answers of the first target, and there is no other.",
                next="Name two or more --targets.",
            )
        target = parsed(metric.judge.target)
        if variants.bare(target) != target:
            raise UsageError(f"{short}: a judge is told its own prompt, so prompt=, shots= and retrieve= are not its.")
        try:
            found[name] = resolve(target, settings)
        except LabError as error:
            error.message = f"the judge of {short}: {error.message}"
            raise
    return found


def _targets(words: Sequence[str]) -> dict[str, Target]:
    """By what they are called, in the order named."""
    targets = [parsed(word) for word in words]
    name, n = Counter(target.name for target in targets).most_common(1)[0]
    if n > 1:
        raise UsageError(
            f"target {name!r} is named {n} times.",
            next="For more answers to a question: --repeats N. Two targets of one name: ?as=ANOTHER.",
        )
    return {target.name: target for target in targets}


def _variants(targets: Mapping[str, Target], samples: Sequence[Sample], spec: Eval) -> dict[str, Variant]:
    """Those of the targets that are any; their files are read, and none of their examples is asked."""
    folder, train = spec.folder or Path.cwd(), train_part(spec.data)
    made = {
        name: variants.of(target, folder, seed=spec.seed, train=train, samples=samples)
        for name, target in targets.items()
    }
    return {name: variant for name, variant in made.items() if variant is not None}


def _samples(spec: Eval) -> tuple[Sample, ...]:
    mapping = spec.map | ({spec.group: "group"} if spec.group else {})
    found = data.samples(data.load(held_out(spec.data), mapping=mapping or None, distinct=True))
    if spec.group and not any(sample.group for sample in found):
        kept = "A dataset made by `data check` keeps only what its own `--map COLUMN=group` named."
        raise UsageError(f"--group {spec.group}: no row has anything in such a column.", next=kept)
    if spec.limit is not None and spec.limit < len(found):
        drawn = random.Random(spec.seed).sample(range(len(found)), spec.limit)  # noqa: S311 - no secret
        found = [found[i] for i in sorted(drawn)]
    if spec.system is not None:
        found = [_with_system(sample, spec.system) for sample in found]
    return tuple(found)


def _with_system(sample: Sample, system: str) -> Sample:
    rest = tuple(message for message in sample.messages if message.role != "system")
    return replace(sample, messages=(Message(role="system", content=system), *rest))
