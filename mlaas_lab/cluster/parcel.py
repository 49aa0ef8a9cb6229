"""What travels to a cluster with a job: this package, the job, and the data its Spec names.

Data is put beside the job, so the Spec that arrives names it by where it lies there; results name it as the user did.
Models do not travel: `tiny` is built there, a hub id is fetched there, a folder must be on a disk that both see.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mlaas_lab
from mlaas_lab import registry
from mlaas_lab.data.snapshots import MANIFEST
from mlaas_lab.errors import DataError
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Spec, options

LIMIT_BYTES = 100 << 20
"""Ray's Jobs API takes no larger package (DASHBOARD_CLIENT_MAX_SIZE)."""
JOB = "job.json"
WHEN = (2020, 1, 1, 0, 0, 0)
"""In every entry, so that the same content is the same package."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A zip file and its name, which follows from its content."""

    name: str
    content: bytes


def carried(job: Mapping[str, JSON]) -> dict[str, str]:
    """Each data file or snapshot that the Spec of `job` names, with its place in the parcel."""
    kind: type[Spec] = registry.load("task", job["task"]).spec
    spec = kind.model_validate(job["spec"])
    named = [getattr(spec, option.name) for option in options(kind) if option.refers == "data"]
    paths = sorted({str(path) for path in named if path is not None})
    return {path: f"data/{at}/{Path(path).name}" for at, path in enumerate(paths)}


def pack(job: Mapping[str, JSON], files: Mapping[str, str]) -> Parcel:
    """All that the entry of `job` needs and the cluster does not have.

    Raises:
        DataError: if it is too large to travel, or a file went away.
    """
    kept = io.BytesIO()
    try:
        with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in _sources(files):
                archive.writestr(zipfile.ZipInfo(name, WHEN), path.read_bytes(), zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(JOB, WHEN), json.dumps(job, default=str))
    except OSError as error:
        raise DataError(f"{error.filename} cannot be sent to the cluster: {error.strerror}.") from None
    content = kept.getvalue()
    if len(content) > LIMIT_BYTES:
        raise DataError(
            f"package and data are {len(content) >> 20} MiB packed; Ray takes {LIMIT_BYTES >> 20} MiB.",
            next="Use less data, or the process executor on that machine.",
        )
    return Parcel(name=f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip", content=content)


def _sources(files: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    """Name in the parcel and file, sorted by name."""
    package = Path(mlaas_lab.__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix != ".pyc" and "labextension" not in path.parts:
            yield f"{package.name}/{path.relative_to(package)}", path
    for source, name in sorted(files.items(), key=lambda pair: pair[1]):
        yield from _data(Path(source), Path(name))


def _data(source: Path, place: Path) -> Iterator[tuple[str, Path]]:
    """The files of one dataset, by their names in the parcel."""
    if not source.exists() and (source.parent / MANIFEST).is_file():
        # `SNAPSHOT/test` is no file: the part of a snapshot, which its manifest vouches for.
        source, place = source.parent, place.parent
    if not source.is_dir():
        yield str(place), source
        return
    for path in sorted(source.rglob("*")):
        if path.is_file():
            yield str(place / path.relative_to(source)), path
