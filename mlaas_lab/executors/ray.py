"""A Ray cluster: the supervisor stays on this machine, the entry is a job of the cluster's Jobs API.

The store is never shared: lines come home through the job's output, files through a storage that both sides see. A
cluster that dies is found out here, by a clock, since it cannot say so itself; the job then goes on from its
checkpoint wherever it is started next, and an entry that survived somewhere ends because it is no longer its turn.
"""

import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlaas_lab import registry
from mlaas_lab.cluster.jobs_api import Cluster, Unanswered
from mlaas_lab.cluster.lines import Arrivals, last_steps, lines_file, turn_file
from mlaas_lab.cluster.parcel import carried, pack
from mlaas_lab.cluster.watch import Watch
from mlaas_lab.environment import SILENT
from mlaas_lab.errors import JobError, UsageError
from mlaas_lab.executors import LOST, STOPPED, Executor
from mlaas_lab.schema import JSON, Target
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.unix_socket import socket_of

GRACE_S = 8
"""Between Ray's SIGTERM and its SIGKILL."""
PLAIN = {"RAY_COLOR_PREFIX": "0", "RAY_DEDUP_LOGS": "0"}
"""A log is read as text, and whole."""
GONE_S = 6.0
"""How long a killed entry may take to go."""
REFUSED = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_UNSCHEDULABLE", "JOB_SUPERVISOR_ACTOR_START_TIMEOUT")
"""Errors that come again wherever the job is started next."""
STAYS = ("checkpoints", "job.json")
"""What is not brought home from a storage elsewhere."""


class RayRunning:
    """An entry on a cluster."""

    def __init__(self, folder: JobFolder, handle: Mapping[str, JSON]) -> None:
        """Begin to watch the job that `handle` names."""
        self.handle = handle
        self._folder, self._storage = folder, Path(handle["storage"])
        self._arrivals = Arrivals(folder, attempt=handle["attempt"], token=handle["token"])
        self._watch = Watch(Cluster(handle["address"]), handle["submission"], skip_bytes=self._arrivals.read)
        self._rest = b""

    def poll(self) -> int | None:
        """Its exit status; LOST when the cluster has not answered for a while."""
        self._rest += self._watch.output()
        self._rest = self._rest[self._arrivals.take(self._rest) :]
        if (missing := self._watch.lost) is not None:
            return self._end(LOST, "ray_lost", f"Ray was lost: {missing}")
        ended = self._watch.ended
        return None if ended is None else self._end(*_ending(ended, self._storage))

    def stop(self) -> None:
        """SIGTERM, by way of the cluster."""
        self._watch.stop()

    def kill(self) -> None:
        """Take its turn away, so that it ends also where the cluster does not reach it, and wait a little."""
        write_json(turn_file(self._storage), {"attempt": None})
        self._watch.stop()
        deadline = time.monotonic() + GONE_S
        while self._watch.ended is None and self._watch.lost is None and time.monotonic() < deadline:
            time.sleep(0.05)

    def _end(self, code: int, name: str = "", message: str = "") -> int:
        self._watch.close()
        self._arrivals.take(self._rest + b"\n" if self._rest else b"")
        self._arrivals.complete(lines_file(self._storage, self.handle["attempt"]))
        if code == LOST:
            # Where an entry lives on although nobody answers, it must not write beside the next.
            write_json(turn_file(self._storage), {"attempt": None})
        _bring_home(self._storage, self._folder)
        if name:
            write_json(self._folder.path / "error.json", {"name": name, "message": message})
        return code


class RayExecutor:
    """Starts supervisors as the executor `process` does, and entries through the Jobs API."""

    outlives = True

    def launch(self, folder: JobFolder, *, mark: str) -> dict[str, JSON]:
        """Start the supervisor on this machine."""
        return _here().launch(folder, mark=mark)

    def is_alive(self, handle: Mapping[str, JSON]) -> bool | None:
        """Whether the supervisor runs."""
        return _here().is_alive(handle)

    def cancel(self, handle: Mapping[str, JSON]) -> None:
        """Kill the supervisor, and have the entry end, at once where the cluster answers."""
        _here().cancel({key: value for key, value in handle.items() if key != "entry"})
        entry = handle.get("entry") or {}
        if "submission" in entry:
            write_json(turn_file(Path(entry["storage"])), {"attempt": None})
            with suppress(Unanswered):
                Cluster(entry["address"]).stop(entry["submission"])

    def begin(self, folder: JobFolder, job: Mapping[str, JSON], environment: Mapping[str, str]) -> RayRunning:
        """Send the job to the cluster.

        Raises:
            UsageError: for a service, for an endpoint that the cluster cannot reach, and for a budget.
            DataError: for data that is too large to travel.
            JobError: if the cluster does not take it.
        """
        del environment  # devices of this machine
        if registry.load("task", job["task"]).service:
            raise UsageError(f"{job['task']} answers on the machine it runs on.", next="Use executor process there.")
        settings = Settings.model_validate(job["settings"])
        _check_budgets(job, settings)
        cluster = Cluster((job.get("launch") or {}).get("ray_address") or settings.ray_address)
        cluster.check()
        storage = settings.ray_storage / job["id"] if settings.ray_storage else folder.path
        handle: dict[str, JSON] = {
            "address": cluster.address,
            "submission": _submission(job, job["attempt"]),
            "attempt": job["attempt"],
            "token": secrets.token_hex(8),
            "storage": str(storage),
        }
        endpoints = _endpoints(job, settings, cluster)
        _supersede(job, folder, storage, cluster)
        files = carried(job)
        remote = {"storage": str(storage), "token": handle["token"], "files": files, "endpoints": endpoints}
        _send({**job, "remote": {**remote, "logged": last_steps(folder)}}, cluster, settings)
        return RayRunning(folder, handle)

    def again(self, folder: JobFolder, entry: Mapping[str, JSON]) -> RayRunning | None:
        """Come back to a job of the cluster; should that be gone, it is found out like any loss."""
        return RayRunning(folder, entry) if "submission" in entry else None


def _here() -> Executor:
    found: Executor = registry.load("executor", "process")
    return found


def _check_budgets(job: Mapping[str, JSON], settings: Settings) -> None:
    """See that nobody counts on a budget that the job cannot see: the ledger is on this machine.

    Raises:
        UsageError: if a job that pays for calls has a budget above it.
    """
    named = ("max_usd_per_day", "max_usd_per_project", "max_usd_per_notebook")
    held = next((name for name in named if getattr(settings, name) is not None), None)
    if held and job["task"] in ("eval", "load"):
        raise UsageError(
            f"{held} is kept on this machine, where a job on a cluster cannot ask for it.",
            next="Use executor process, or unset it and cap the job alone: --max-usd.",
        )


def _submission(job: Mapping[str, JSON], attempt: int) -> str:
    return f"mlaas-{job['id']}-{attempt}"


def _supersede(job: Mapping[str, JSON], folder: JobFolder, storage: Path, cluster: Cluster) -> None:
    """From now on only this attempt counts: older ones are ended, and what they had to say is here or never comes."""
    storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_json(turn_file(storage), {"attempt": job["attempt"]})
    for older in range(1, job["attempt"]):
        with suppress(Unanswered):
            cluster.stop(_submission(job, older))
        Arrivals(folder, attempt=older, token="").complete(lines_file(storage, older))
    for left in ("outcome.json", "error.json"):
        (storage / left).unlink(missing_ok=True)


def _send(job: dict[str, JSON], cluster: Cluster, settings: Settings) -> None:
    """Upload and submit; Raises JobError if the cluster does not take it."""
    parcel = pack(job, job["remote"]["files"])
    python = settings.ray_python or (sys.executable if cluster.local else "python")
    request = {
        "entrypoint": f"exec {shlex.quote(python)} -m mlaas_lab.remote",
        "submission_id": _submission(job, job["attempt"]),
        "metadata": {"mlaas_job": job["id"], "mlaas_attempt": str(job["attempt"])},
        "runtime_env": {
            "working_dir": f"gcs://{parcel.name}",
            "env_vars": {**SILENT, **PLAIN, "RAY_JOB_STOP_WAIT_TIME_S": str(GRACE_S)},
        },
        **_resources(job),
    }
    try:
        cluster.upload(parcel.name, parcel.content)
        cluster.submit(request)
    except Unanswered as error:
        # It may have been taken all the same.
        write_json(turn_file(Path(job["remote"]["storage"])), {"attempt": None})
        raise JobError(f"the Ray cluster at {cluster.address} did not take the job: {error.message}") from None


def _resources(job: Mapping[str, JSON]) -> dict[str, Any]:
    """What the entry takes of the cluster; where workers share the job, they take it and the entry nothing."""
    launch = job.get("launch") or {}
    if job["spec"].get("workers", 1) > 1:
        return {"entrypoint_num_cpus": 0}
    return {"entrypoint_num_cpus": launch.get("cpus") or 1, "entrypoint_num_gpus": launch.get("gpus") or 0}


def _ending(ended: Mapping[str, Any], storage: Path) -> tuple[int, str, str]:
    """Exit status, and what error.json is to say where the entry could not."""
    code, kind = ended.get("driver_exit_code"), ended.get("error_type")
    message = " ".join(str(ended.get("message")).split())[:500]
    match ended["status"]:
        case "SUCCEEDED":
            return 0, "", ""
        case "STOPPED":
            # Ray does not say how the entry ended; one that was done before the signal came has an outcome.
            return (0 if (storage / "outcome.json").exists() else STOPPED), "", ""
        case _ if code is not None:
            return int(code), "", ""
        case _ if kind in REFUSED:
            return 1, "ray_refused", f"the Ray cluster could not start the job: {message}"
        case _:
            return LOST, "ray_lost", f"Ray was lost: the process that ran the job died: {message}"


def _endpoints(job: Mapping[str, JSON], settings: Settings, cluster: Cluster) -> list[dict[str, JSON]]:
    """Endpoints of ours that the job asks, since it does not see our store.

    Raises:
        UsageError: for one that is still starting, or that listens on this machine alone while the cluster is not here.
    """
    named = {Target.parse(text) for text in job["spec"].get("targets", ())}
    store = Store(settings.store_path)
    try:
        found = [store.endpoint(target.model) for target in named if target.provider is None]
    finally:
        store.close()
    for endpoint in found:
        if endpoint is not None and not endpoint.ready:
            raise UsageError(f"endpoint {endpoint.name!r} is still starting.", next=f"wait {endpoint.job_id}")
        if endpoint is not None and not cluster.local and _is_here(endpoint.base_url):
            raise UsageError(f"endpoint {endpoint.name!r} is on this machine, where {cluster.address} cannot reach it.")
    return [asdict(endpoint) for endpoint in found if endpoint is not None]


def _is_here(base_url: str) -> bool:
    return socket_of(base_url) is not None or Cluster(base_url).local


def _bring_home(storage: Path, folder: JobFolder) -> None:
    """Copy what the entry made from a storage elsewhere, and name it by where it is now."""
    if storage == folder.path:
        return
    for path in storage.iterdir():
        if path.name in STAYS or path.name.startswith((".", "lines-", "turn")):
            continue
        if path.is_dir():
            shutil.copytree(path, folder.path / path.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, folder.path / path.name)
    if folder.outcome.exists():
        text = folder.outcome.read_text().replace(f"{storage}/", f"{folder.path}/")
        folder.outcome.write_text(text)


executor = RayExecutor()
