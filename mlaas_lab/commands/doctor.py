"""`doctor`: what is here, what is missing, and the command that adds it."""

import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from mlaas_lab import hardware, tracking
from mlaas_lab.cluster.jobs_api import Cluster
from mlaas_lab.cluster.ports import opened
from mlaas_lab.commands import Command
from mlaas_lab.errors import LabError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON, Job
from mlaas_lab.serving import _vllm_python
from mlaas_lab.settings import Settings
from mlaas_lab.spec import Spec
from mlaas_lab.store.connection import journal_mode
from mlaas_lab.store.filesystem import filesystem, is_network
from mlaas_lab.view import Badge, Column, Shown, Table, Tone, View
from mlaas_lab.view.formats import size

FEATURES = {
    "fine-tuning": ("train", ("torch", "transformers", "peft", "safetensors")),
    "serving": ("serve", ("torch", "transformers", "fastapi", "uvicorn")),
    "JupyterLab": ("lab", ("jupyterlab", "ipykernel")),
    "dashboard": ("dashboard", ("panel",)),
    "ragas metrics": ("ragas", ("ragas",)),
    "Ray": ("ray", ("ray",)),
}
"""Feature → the extra that brings it, and the libraries that show it is there."""
NEEDED = ("polars", "mlflow", "aiohttp", "pydantic", "IPython", "ipywidgets", "anywidget")
ROOM_BYTES = 2_000_000_000
SERVED = "jupyter_server_config.d/mlaas_lab.json"
"""Where a Jupyter server is told to load our part."""


class Doctor(Spec):
    """Show versions, paths, hardware and engines, and how to add what is missing."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True
    """The default features need it."""


@dataclass(frozen=True)
class Health(Shown):
    """All checks; `ok` speaks of the default features."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Everything that the default features need is there."""
        return all(check.ok for check in self.checks if check.needed)

    def view(self) -> View:
        """One row a check."""
        columns: list[Column | str] = [
            "Check",
            "",
            Column(title="Found", wrap=True),
            Column(title="To add it", wrap=True),
        ]
        rows = [[check.name, _badge(check), check.detail, check.fix] for check in self.checks]
        badge = Badge(text="ok", tone=Tone.GOOD) if self.ok else Badge(text="not ok", tone=Tone.BAD)
        return View(title="Doctor", badge=badge, table=Table(columns=columns, rows=rows))

    def as_json(self) -> JSON:
        """`{ok, checks: [{name, ok, detail, fix}]}`."""
        return {"ok": self.ok, "checks": [asdict(check) for check in self.checks]}


def _run(_args: Doctor, lab: Lab) -> Health:
    settings = lab.settings
    here = (*_software(), *_places(settings, lab), *_features(), _sidebar(), _vllm(settings))
    return Health((*here, *_hardware(settings), *_cluster(settings)))


def _software() -> Iterator[Check]:
    here = f"{platform.python_version()} at {sys.executable}"
    yield Check(name="Python", ok=sys.version_info >= (3, 11), detail=here, fix="")
    yield Check(name="mlaas_lab", ok=True, detail=version("mlaas_lab"))
    for library in NEEDED:
        found = _version(library)
        fix = "" if found else f"pip install {library}"
        yield Check(name=library, ok=found is not None, detail=found or "not installed", fix=fix)


def _places(settings: Settings, lab: Lab) -> Iterator[Check]:
    kind = filesystem(settings.store_path)
    journal = journal_mode(sqlite3.sqlite_version_info, network=is_network(kind))
    try:
        jobs = lab.store.jobs()
        n = len(jobs)
        detail = f"{settings.store_path}, {n} jobs, SQLite {sqlite3.sqlite_version} with journal {journal}, on {kind}"
        far = "; a network file system may not keep its locks" if is_network(kind) else ""
        fix = "set MLAAS_DATA_DIR to a folder on this machine" if far else ""
        yield Check(name="store", ok=True, detail=detail + far, fix=fix)
    except LabError as error:
        yield Check(name="store", ok=False, detail=error.message, fix=error.next or "")
        return
    free_bytes = shutil.disk_usage(settings.data_dir).free
    fix = "" if free_bytes > ROOM_BYTES else "free some, or set MLAAS_DATA_DIR"
    yield Check(name="disk", ok=free_bytes > ROOM_BYTES, detail=f"{size(free_bytes)} free", fix=fix, needed=False)
    yield Check(name="MLflow store", ok=True, detail=settings.mlflow_uri)
    yield _outbox(jobs, settings)


def _outbox(jobs: Sequence[Job], settings: Settings) -> Check:
    """What MLflow does not have; only if there is something, MLflow is asked why."""
    waiting = [n for n in map(tracking.waits, jobs) if n]
    if not waiting:
        return Check(name="MLflow outbox", ok=True, detail="nothing waits", needed=False)
    detail = f"{tracking.words(sum(waiting))}, of {len(waiting)} jobs"
    why = tracking.trouble(settings)
    said = f"{detail}. {why}" if why else detail
    return Check(name="MLflow outbox", ok=False, detail=said, fix="mlaas sync", needed=False)


def _features() -> Iterator[Check]:
    for feature, (extra, libraries) in FEATURES.items():
        missing = [library for library in libraries if find_spec(library) is None]
        here = ", ".join(f"{library} {_version(library)}" for library in libraries if library not in missing)
        fix = f"pip install 'mlaas_lab[{extra}]'" if missing else ""
        detail = f"without {', '.join(missing)}" if missing else here
        yield Check(name=feature, ok=not missing, detail=detail, fix=fix, needed=False)


def _sidebar() -> Check:
    """What JupyterLab shows of jobs, and the part of it that runs in the Jupyter server."""
    missing = []
    if find_spec("jupyter_core") is not None:
        from jupyter_core.paths import jupyter_config_path, jupyter_path

        shown = any(Path(place, "mlaas_lab", "package.json").is_file() for place in jupyter_path("labextensions"))
        served = any(Path(place, SERVED).is_file() for place in jupyter_config_path())
        missing = ["the extension"] * (not shown) + ["its server part"] * (not served)
    else:
        missing = ["Jupyter"]
    detail = f"without {' and '.join(missing)}" if missing else "JupyterLab shows jobs, endpoints and spend"
    fix = "make labextension (with Node), or pip install a wheel of mlaas_lab" if missing else ""
    return Check(name="sidebar", ok=not missing, detail=detail, fix=fix, needed=False)


def _vllm(settings: Settings) -> Check:
    """The interpreter that has vLLM, which is seldom this one."""
    try:
        found = _vllm_python.find(settings.vllm_python)
    except LabError as error:
        return Check(name="vLLM", ok=False, detail=error.message, fix=error.next or "", needed=False)
    return Check(name="vLLM", ok=True, detail=f"{found.package} {found.version} at {found.python}", needed=False)


def _cluster(settings: Settings) -> Iterator[Check]:
    """The Ray cluster of the settings, if one answers."""
    cluster = Cluster(settings.ray_address)
    if not cluster.answers():
        return
    try:
        cluster.check()
        yield Check(name="Ray cluster", ok=True, detail=f"{cluster.address}, with a token", needed=False)
    except LabError as error:
        yield Check(name="Ray cluster", ok=False, detail=error.message, fix=error.next or "", needed=False)
    if cluster.local and (found := [port for port in opened() if port.everywhere]):
        said = ", ".join(f"{port.part} {port.number}" for port in found)
        detail = f"listen on every address of this machine: {said}"
        yield Check(name="Ray ports", ok=False, detail=detail, fix="close them with a firewall", needed=False)


def _hardware(settings: Settings) -> Iterator[Check]:
    memory = size(psutil.virtual_memory().total)
    detail = f"{hardware.threads()} CPU threads, {settings.threads} a job, {memory} memory"
    yield Check(name="machine", ok=True, detail=detail)
    try:
        gpus = [f"{device.name}, {size(device.memory_bytes)}" for device in hardware.accelerators(settings)]
    except LabError as error:
        yield Check(name="GPU", ok=False, detail=error.message, fix=error.next or "", needed=False)
        return
    yield Check(
        name="GPU",
        ok=bool(gpus),
        detail=", ".join(gpus) or "none seen; everything runs on the CPU with small models",
        needed=False,
    )


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _badge(check: Check) -> Badge:
    if check.ok:
        return Badge(text="ok", tone=Tone.GOOD)
    return Badge(text="missing", tone=Tone.BAD if check.needed else Tone.MILD)


command = Command(args=Doctor, run=_run)
