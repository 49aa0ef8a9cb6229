"""Why something on disk must stay although it is old: what is alive, served, registered, undelivered or built upon.

What people said of an evaluation stays too: nobody can make it again.
Where MLflow cannot be asked what it has registered, every adapter stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mlaas_lab import tracking
from mlaas_lab.errors import TrackingError
from mlaas_lab.models import CARD, TINY, tiny_path
from mlaas_lab.schema import JSON, Job, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.beside import reviews_of
from mlaas_lab.store.completions import NAME as COMPLETIONS
from mlaas_lab.store.folder import JobFolder, read_json


def holds(settings: Settings, store: Store, jobs: Sequence[Job], *, whole: bool) -> dict[Path, str]:
    """Path of a job's folder, or of something in the cache → why it must stay.

    Args:
        settings: where the folders are.
        store: which servers there are.
        jobs: all its rows.
        whole: whether whole jobs are to go; only then MLflow is asked.
    """
    adapters = [job for job in jobs if JobFolder(job.folder).adapter.is_dir()]
    found = {**_cache_in_use(settings, jobs), **_bases(settings, adapters)}
    if whole:
        found |= {settings.jobs_dir / job.id: why for job, why in _jobs(settings, store, jobs, adapters)}
    return found


def _jobs(settings: Settings, store: Store, jobs: Sequence[Job], adapters: Sequence[Job]) -> Iterator[tuple[Job, str]]:
    """Weakest reason first: of several, the last is the one that is shown."""
    yield from _registered(settings, adapters)
    seen: set[str] = set()
    for job in jobs:
        if job.task == "finetune" and job.state is JobState.SUCCEEDED and job.name not in seen:
            seen.add(job.name)
            yield job, f"it is the adapter {job.name!r}"
    alive = [job for job in jobs if not job.state.ended]
    words = {word for job in alive for word in _words(job.spec)} | {one.source for one in store.endpoints()}
    for job in adapters:
        if job.name in words or any(word.startswith(job.folder) for word in words):
            yield job, f"the adapter {job.name!r} is in use by a job that is alive"
    for job in jobs:
        if any(reviews_of(JobFolder(job.folder).records).glob("*.jsonl")):
            yield job, "people reviewed or signed it"
        if waiting := tracking.waits(job):
            yield job, f"{tracking.words(waiting)}; `sync` first"
        if not job.state.ended:
            yield job, "it is alive"


def _registered(settings: Settings, adapters: Sequence[Job]) -> Iterator[tuple[Job, str]]:
    tracked = [job for job in adapters if job.run_id]
    if not tracked:
        return
    try:
        registered = tracking.registered(settings)
    except TrackingError as error:
        yield from ((job, f"MLflow cannot say whether it is registered: {error.message}") for job in tracked)
        return
    yield from ((job, "it is registered in MLflow") for job in tracked if job.run_id in registered)


def _bases(settings: Settings, adapters: Sequence[Job]) -> dict[Path, str]:
    """What adapters stand on: models in the cache, folders of other jobs."""
    found: dict[Path, str] = {}
    for job in adapters:
        folder, why = JobFolder(job.folder).adapter, f"the adapter of job {job.id} stands on it"
        try:
            card: Mapping[str, JSON] = (read_json(folder / CARD) or {}).get("base") or {}
            written = (read_json(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
        except ValueError:
            found |= dict.fromkeys(_models(settings), f"the adapter of job {job.id} does not say what it stands on")
            continue
        if str(card.get("name", "")).partition("@")[0] == TINY:
            found[tiny_path(settings, str(card.get("fingerprint", "")))] = why
        for place in (card.get("source"), written):
            # The base of an adapter may be any folder; what holds it is the entry of the cache, or the job, it lies in.
            found |= dict.fromkeys((Path(str(place)), *Path(str(place)).parents), why) if place else {}
    return found


def _cache_in_use(settings: Settings, jobs: Sequence[Job]) -> dict[Path, str]:
    """A job that may still go on finds its data again; one that is alive keeps what it may have open."""
    found: dict[Path, str] = {}
    for job in jobs:
        if job.state is not JobState.SUCCEEDED:
            found |= {Path(word): f"job {job.id} is not done with it" for word in _words(job.spec)}
    if any(not job.state.ended for job in jobs):
        found |= dict.fromkeys(_models(settings), "a job is alive, and may use it")
        found |= dict.fromkeys(settings.cache_dir.glob(f"{COMPLETIONS}*"), "a job is alive, and may use it")
    return found


def _models(settings: Settings) -> Iterator[Path]:
    return tiny_path(settings, "").parent.glob("*")


def _words(spec: JSON) -> Iterator[str]:
    """Every text in a Spec."""
    if isinstance(spec, str):
        yield spec
    elif isinstance(spec, Mapping):
        for value in spec.values():
            yield from _words(value)
    elif isinstance(spec, (list, tuple)):
        for value in spec:
            yield from _words(value)
