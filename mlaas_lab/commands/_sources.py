"""Where the records of a comparison come from: a file, a job, a run in MLflow; and what was done to get them."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlaas_lab import data, registry, tracking
from mlaas_lab.errors import LabError, TrackingError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.report import Origin
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.spec import options
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking.params import redacted
from mlaas_lab.view.formats import count, plain, when

if TYPE_CHECKING:
    import polars as pl

EMPTY: tuple[JSON, ...] = (None, "", [], {})
"""Values of options that nobody gave."""
MEASURING = ("eval", "load")
"""Tasks that leave records."""
RUN_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One table of records."""

    word: str
    """As the user named it."""
    path: Path
    job: Job | None
    """The job that measured it, if this machine knows it."""
    run_id: str | None
    state: str | None = None
    """How the evaluation stands, as its job or its run says; None for a file."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """Seed, margin and grouping, of a run whose job this machine does not know."""

    @property
    def unfinished(self) -> bool:
        """More may come, or should have."""
        return self.state not in (None, str(JobState.SUCCEEDED))


def find(word: str, lab: Lab) -> Source:
    """The records that `word` names: a file, a job's id or name, or a run in MLflow.

    Raises:
        UsageError: if it names nothing, or something without records.
        TrackingError: if MLflow cannot be asked for them.
    """
    path = Path(word).expanduser()
    if path.suffix == ".parquet" or path.is_file():
        return Source(word=word, path=path, job=None, run_id=None)
    if RUN_ID.fullmatch(word):
        own = next((job for job in lab.store.jobs() if job.run_id == word), None)
        return _of_job(word, own) if own is not None and _has_records(own) else _of_run(word, own, lab)
    return _of_job(word, lab.jobs.get(word).job)


def read(source: Source) -> "pl.DataFrame":
    """Its records; those without a run are told apart by their file.

    Raises:
        DataError: if the file is none of records.
    """
    import polars as pl

    from mlaas_lab import records

    frame = records.read(source.path)
    if "run_id" not in frame.columns:
        frame = frame.with_columns(run_id=pl.lit(None, pl.String))
    return frame.with_columns(pl.col("run_id").fill_null(source.path.stem))


def measured_by(frame: "pl.DataFrame", source: Source, lab: Lab) -> list[Job]:
    """The jobs of this machine that measured these records."""
    if source.job is not None:
        return [source.job]
    known = {job.id: job for job in lab.store.jobs() if job.task in MEASURING}
    return [known[run] for run in frame["run_id"].unique(maintain_order=True).to_list() if run in known]


def agreed(asked: Sequence[Mapping[str, Any]], name: str) -> Any:
    """The value that all evaluations were asked with, as text; None if they differ, or nobody gave one."""
    values = {None if one.get(name) is None else str(one[name]) for one in asked}
    return values.pop() if len(values) == 1 else None


def origins(source: Source, jobs: list[Job], rows: int, lab: Lab) -> Iterator[Origin]:
    """What is known of these records, for those who doubt them."""
    table = [("Records", f"{count(rows)} rows"), ("SHA-256 of the table", _sha256(source.path))]
    if not jobs:
        yield _of_run_alone(source, table, lab)
        return
    for job in jobs:
        shown = {key: plain(value) for key, value in _told(job.spec).items()}
        facts = [*_job_facts(job), *table, *_run_facts(job.run_id)]
        yield Origin(
            label=job.task if job.name == job.task else f"{job.task} {job.name}",
            facts=facts,
            parameters=shown,
            versions=_versions(job.run_id, lab),
        )


def history(job: Job, lab: Lab) -> list[str]:
    """The command lines that led to the evaluation `job`: fine-tunes and servers of its targets, then itself."""
    earlier = [one for one in lab.store.jobs() if one.created_at <= job.created_at]
    targets = {str(target) for target in job.spec.get("targets", ())}
    served: dict[str, Job] = {}
    for one in earlier:
        for model in targets & {*map(str, one.spec.get("models", ())), str(one.spec.get("name"))}:
            if one.task == "serve":
                served.setdefault(model, one)
    servers = {one.id: one for one in served.values()}
    return [command_line(one) for one in (*_tuned(job, lab), *servers.values(), job)]


def adapters(job: Job, lab: Lab) -> Iterator[Origin]:
    """What the adapters among the targets of the evaluation `job` were made of."""
    for one in _tuned(job, lab):
        result = (read_json(JobFolder(one.folder).outcome) or {}).get("result", {})
        made = result.get("adapter") or {}
        named = {"Base": "base", "Weights": "path", "SHA-256 of the weights": "sha256"}
        facts = [(title, made[key]) for title, key in named.items() if made.get(key)]
        shown = {key: plain(value) for key, value in _told(one.spec).items()}
        yield Origin(label=f"Adapter {one.name}", facts=[*facts, *_job_facts(one)], parameters=shown)


def _tuned(job: Job, lab: Lab) -> list[Job]:
    """The fine-tunes that made the adapters among its targets."""
    targets = {str(target) for target in job.spec.get("targets", ())}
    found: dict[str, Job] = {}
    for one in lab.store.jobs():
        made = one.task == "finetune" and one.state is JobState.SUCCEEDED and one.created_at <= job.created_at
        if made and one.name in targets:
            found.setdefault(one.name, one)
    return list(found.values())


def command_line(job: Job) -> str:
    """What to type to do a job again; options that have their default are left out."""
    words = ["mlaas", job.task]
    for option in options(registry.load("task", job.task).spec):
        value = job.spec.get(option.name)
        if value in EMPTY or value == _as_json(option.default):
            continue
        if option.kind == "flag":
            words.append(option.flag if value else f"--no-{option.flag[2:]}")
        elif option.positional:
            words += [_word(one) for one in (value if isinstance(value, list) else [value])]
        else:
            words += [option.flag, _word(value)]
    return " ".join(words)


def line(command: str, words: Sequence[str]) -> str:
    """A command line of plain words."""
    return " ".join(["mlaas", command, *map(_word, words)])


def _of_run(word: str, job: Job | None, lab: Lab) -> Source:
    """From the tracking server alone."""
    found = tracking.fetched(word, lab.settings)
    asked = {"seed": found.seed or 0, "margin": found.margin, "grouped": found.grouped}
    return Source(word=word, path=found.path, job=job, run_id=word, state=found.state, asked=asked)


def _of_job(word: str, job: Job) -> Source:
    if job.task not in MEASURING:
        raise UsageError(
            f"job {job.id} is a {job.task}, which leaves no records.", next="`jobs --task eval` lists some."
        )
    if not _has_records(job):
        raise UsageError(
            f"job {job.id} is {job.state} and has no records.", next=f"`wait {job.id}`, or `logs {job.id}`."
        )
    place = JobFolder(job.folder).records
    return Source(word=word, path=place, job=job, run_id=job.run_id, state=str(job.state))


def _has_records(job: Job) -> bool:
    path = JobFolder(job.folder).records
    return path.exists() or path.with_suffix(".jsonl").exists()


def _as_json(default: Any) -> JSON:
    """A default as it stands in a job's JSON."""
    return list(default) if isinstance(default, tuple) else default


def _word(value: JSON) -> str:
    if isinstance(value, Mapping):
        value = ",".join(f"{key}={text}" for key, text in value.items())
    elif isinstance(value, list):
        value = ",".join(map(str, value))
    return shlex.quote(redacted(str(value)))


def _told(spec: Mapping[str, JSON]) -> dict[str, JSON]:
    """Parameters that say something, without what looks like a key."""
    return {key: _shown(value) for key, value in spec.items() if value not in EMPTY}


def _shown(value: JSON) -> JSON:
    if isinstance(value, (bool, int, float)):
        return value
    return redacted(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def _job_facts(job: Job) -> list[tuple[str, Any]]:
    outcome = read_json(JobFolder(job.folder).outcome) or {}
    facts: list[tuple[str, Any]] = [("Job", job.id), ("Started", f"{when(job.created_at)} UTC")]
    for one in outcome.get("datasets", ()):
        facts += [("Data", f"{one['path']}, {count(one['rows'])} samples"), ("SHA-256 of the data", one["sha256"])]
    return facts


def _run_facts(run_id: str | None) -> list[tuple[str, Any]]:
    return [("MLflow run", run_id)] if run_id else []


def _of_run_alone(source: Source, table: list[tuple[str, Any]], lab: Lab) -> Origin:
    info = _info(source.run_id, lab)
    if info is None:
        return Origin(label=source.word, facts=[*table, *_run_facts(source.run_id)])
    data = [("Data", f"{one['name']} ({one['digest']})") for one in info.datasets]
    facts = [*table, *_run_facts(source.run_id), *data]
    return Origin(label=info.name or source.word, facts=facts, parameters=info.params, versions=info.versions)


def _versions(run_id: str | None, lab: Lab) -> Mapping[str, str]:
    info = _info(run_id, lab)
    return {} if info is None else info.versions


def _info(run_id: str | None, lab: Lab) -> "tracking.RunInfo | None":
    """What MLflow says of the run; None when the server is away or the run was deleted: the report then says less."""
    if run_id is None:
        return None
    try:
        return tracking.run_info(run_id, lab.settings)
    except (TrackingError, UsageError):
        return None


def _sha256(path: Path) -> str | None:
    try:
        return data.sha256(path)
    except (LabError, OSError):
        # Not a whole file yet: the evaluation is still writing.
        return None
