"""What lies in the data and cache folders: how much of each kind, and what a rule may take away.

Whatever something still needs stays, with the reason: a job that is alive or not wholly in MLflow, an adapter that goes
by its name, is served or registered, the base an adapter was trained on. Links are neither followed nor removed, and
nothing outside the two folders is. A name disappears before its content, so a crash leaves no half of anything.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from mlaas_lab.schema import Job, JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.completions import NAME as COMPLETIONS
from mlaas_lab.store.folder import JobFolder

GOING = ".pruned-"
"""What a name begins with while its content is being removed; the next removal finishes what a crash left."""
YOUNG_S = 3600.0
"""A folder without a row may belong to a job that is being submitted: it is left alone for so long."""


class Kind(StrEnum):
    """What something on disk is."""

    CHECKPOINTS = "checkpoints"
    LOGS = "logs"
    ADAPTERS = "adapters"
    RECORDS = "records"
    JOBS = "other files of jobs"
    STRAYS = "jobs whose row is gone"
    MODELS = "cached models"
    SNAPSHOTS = "cached snapshots"
    FETCHED = "cached records"
    COMPLETIONS = "cached completions"
    CACHE = "other cache"
    ARTIFACTS = "MLflow artifacts"
    DATABASE = "MLflow database"
    STORE = "store"
    BACKUPS = "store backups"
    OTHER = "other"


CACHED = {"models": Kind.MODELS, "frames": Kind.SNAPSHOTS, "runs": Kind.FETCHED}
IN_A_JOB = {"checkpoints": Kind.CHECKPOINTS, "log.txt": Kind.LOGS, "adapter": Kind.ADAPTERS}
WHATS: Mapping[str, frozenset[Kind]] = {
    "checkpoints": frozenset({Kind.CHECKPOINTS}),
    "logs": frozenset({Kind.LOGS}),
    "cache": frozenset({Kind.MODELS, Kind.SNAPSHOTS, Kind.FETCHED, Kind.COMPLETIONS}),
    "backups": frozenset({Kind.BACKUPS}),
    "jobs": frozenset({Kind.JOBS, Kind.STRAYS}),
}
"""What a rule can name, as the kinds it stands for."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One file or folder."""

    kind: Kind
    path: Path
    size_bytes: int
    at: float
    """When it was last of use: the end of its job, else when it was written."""
    job: Job | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What may go."""

    what: frozenset[str]
    """Keys of `WHATS`."""
    older_than_s: float
    keep: int = 0
    """Of each task, so many of the newest jobs stay whole."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a rule frees, and what it would free were it not for a reason."""

    goes: tuple[Piece, ...]
    stays: tuple[tuple[Piece, str], ...]


def survey(settings: Settings, jobs: Sequence[Job]) -> list[Piece]:
    """Everything in the two folders; `jobs` are all rows of the store."""
    return [*_of_jobs(settings, jobs), *_of_data(settings), *_of_cache(settings)]


def plan(pieces: Sequence[Piece], rule: Rule, needed: Mapping[Path, str], *, now: float | None = None) -> Plan:
    """What of `pieces` goes by `rule`; `needed` says why a path must stay, a job's by its folder."""
    kinds = frozenset[Kind]().union(*(WHATS[what] for what in rule.what))
    newest = _newest(pieces, rule.keep)
    goes: list[Piece] = []
    stays: list[tuple[Piece, str]] = []
    for piece in pieces:
        if piece.kind not in kinds or not _old(piece, rule, time.time() if now is None else now):
            continue
        why = _needed(piece, needed) or _kept(piece, newest, rule)
        if why is None:
            goes.append(piece)
        else:
            stays.append((piece, why))
    whole = {piece.path for piece in goes if piece.kind is Kind.JOBS}
    named = {piece.path for piece in goes}
    parts = [piece for piece in pieces if piece.path.parent in whole and piece.path not in named]
    return Plan(goes=(*goes, *parts), stays=tuple(stays))


def remove(piece: Piece, settings: Settings, store: Store) -> bool:
    """Take `piece` away unless that has become wrong since it was planned; whether it is gone.

    Raises:
        OSError: if the disk refuses it.
    """
    if not _inside(piece.path, settings):
        return False
    if piece.job is not None:
        if piece.kind is Kind.JOBS:
            if not store.forget(piece.job.id, attempt=piece.job.attempt):
                return False
        elif _moved_on(store, piece.job):
            return False
    going = piece.path
    if not going.name.startswith(GOING):
        going = going.rename(going.with_name(f"{GOING}{going.name}"))
    if going.is_dir():
        shutil.rmtree(going)
    else:
        going.unlink()
    return True


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; a link counts as itself, and what vanishes meanwhile not at all."""
    try:
        if path.is_symlink() or not path.is_dir():
            return path.lstat().st_size
        return sum(size(inner) for inner in path.iterdir())
    except FileNotFoundError:
        return 0


def _of_jobs(settings: Settings, jobs: Sequence[Job]) -> Iterator[Piece]:
    rows = {job.id: job for job in jobs}
    for folder in _entries(settings.jobs_dir):
        job = rows.get(folder.name)
        if job is None:
            yield _piece(Kind.STRAYS if folder.is_dir() and not folder.is_symlink() else Kind.OTHER, folder)
        elif folder.is_symlink() or Path(job.folder).resolve() != folder.resolve():
            # Somebody moved things by hand; what belongs where is theirs to say.
            yield _piece(Kind.OTHER, folder)
        else:
            yield from _of_job(folder, job)


def _of_job(folder: Path, job: Job) -> Iterator[Piece]:
    """The parts of a job, and last the folder itself with what none of them holds."""
    made, rest = partial(Piece, job=job, at=job.ended_at or job.created_at), 0
    for path in _entries(folder):
        kind = IN_A_JOB.get(path.name.removeprefix(GOING))
        if path.is_symlink() or (kind is None and path.stem != JobFolder(folder).records.stem):
            rest += size(path)
        else:
            yield made(kind=kind or Kind.RECORDS, path=path, size_bytes=size(path))
    yield made(kind=Kind.JOBS, path=folder, size_bytes=rest)


def _of_data(settings: Settings) -> Iterator[Piece]:
    for path in _entries(settings.data_dir):
        if path == settings.jobs_dir:
            continue
        kind = Kind.OTHER
        if path.name == "mlartifacts":
            kind = Kind.ARTIFACTS
        elif path.name.startswith("mlflow.db"):
            kind = Kind.DATABASE
        elif path.name.removeprefix(GOING).startswith(settings.store_path.name):
            kind = Kind.BACKUPS if path.suffix in (".bak", ".part") else Kind.STORE
        yield _piece(kind, path)


def _of_cache(settings: Settings) -> Iterator[Piece]:
    for path in _entries(settings.cache_dir):
        kind = CACHED.get(path.name)
        if kind is not None and path.is_dir() and not path.is_symlink():
            yield from (_piece(kind, inner) for inner in _entries(path))
        else:
            found = path.name.removeprefix(GOING).startswith(COMPLETIONS)
            yield _piece(Kind.COMPLETIONS if found else Kind.CACHE, path)


def _piece(kind: Kind, path: Path) -> Piece:
    try:
        at = path.lstat().st_mtime
    except FileNotFoundError:
        at = time.time()
    return Piece(kind=kind, path=path, size_bytes=size(path), at=at)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _old(piece: Piece, rule: Rule, now: float) -> bool:
    """Whether its time has come. Nothing goes on from the checkpoints of a job that succeeded: they need not age."""
    if piece.path.name.startswith(GOING):
        return True
    if piece.kind is Kind.CHECKPOINTS and piece.job is not None and piece.job.state is JobState.SUCCEEDED:
        return True
    least_s = max(rule.older_than_s, YOUNG_S) if piece.kind is Kind.STRAYS else rule.older_than_s
    return now - piece.at >= least_s


def _newest(pieces: Sequence[Piece], keep: int) -> frozenset[str]:
    """Ids of the newest jobs of each task."""
    by_task: dict[str, list[Job]] = {}
    for piece in pieces:
        if piece.job is not None and piece.kind is Kind.JOBS:
            by_task.setdefault(piece.job.task, []).append(piece.job)
    ranked = [sorted(jobs, key=lambda job: job.created_at, reverse=True)[:keep] for jobs in by_task.values()]
    return frozenset(job.id for jobs in ranked for job in jobs)


def _kept(piece: Piece, newest: frozenset[str], rule: Rule) -> str | None:
    return f"it is among the {rule.keep} newest" if piece.job is not None and piece.job.id in newest else None


def _needed(piece: Piece, needed: Mapping[Path, str]) -> str | None:
    """Why it must stay. Checkpoints and logs of a job go although its adapter is needed, never while it is alive."""
    if piece.path.is_symlink():
        return "it is a link"
    if piece.job is None:
        return needed.get(piece.path)
    if not piece.job.state.ended:
        return "its job is alive"
    return needed.get(piece.path) if piece.kind is Kind.JOBS else None


def _moved_on(store: Store, job: Job) -> bool:
    now = store.job(job.id)
    return now.attempt != job.attempt or not now.state.ended


def _inside(path: Path, settings: Settings) -> bool:
    """Whether it lies in one of the two folders, by its real place and not by its name, and is no link."""
    real = path.resolve()
    roots = [root.resolve() for root in (settings.data_dir, settings.cache_dir)]
    return not path.is_symlink() and any(real.is_relative_to(root) and real != root for root in roots)
