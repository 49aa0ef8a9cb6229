"""Decisions that people signed, in the run of the evaluation they are about: tags of the last, and the whole log.

The tag with the last entry's digest also tells whether the end of a log was cut off; such a log is not sent over it.
Sent twice it is there once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout
from mlflow.entities import RunTag

from mlaas_lab.errors import TrackingError
from mlaas_lab.records.journal import rows
from mlaas_lab.settings import Settings
from mlaas_lab.store.beside import decisions_of
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tracking.opening import run_of
from mlaas_lab.tracking.outbox import LOCK, Delivered, size_of_decisions
from mlaas_lab.tracking.params import redacted, short
from mlaas_lab.tracking.server import asking, connect

TAG = "mlaas.decision"
DECIDED = f"{TAG}.hash"
NAMES = ("target", "by", "comment", "hash", "evidence_hash", "n")
"""What of the last entry becomes a tag; beside them `at`, as others read it, and `rule`."""


def deliver_decisions(folder: JobFolder, settings: Settings, *, timeout_s: float) -> None:
    """Send the log of the job in `folder`, as far as its run does not have it.

    Raises:
        TrackingError: if that cannot be done now; it waits.
    """
    try:
        with FileLock(folder.path / LOCK, timeout=1):
            state = Delivered.read(folder)
            size = size_of_decisions(folder)
            if state.run_id is None or state.refused or size == state.decided:
                return
            send_decisions(decisions_of(folder.records), state.run_id, settings, timeout_s=timeout_s)
            replace(state, decided=size).write(folder)
    except Timeout:
        raise TrackingError("the job is being delivered by another process.") from None


def send_decisions(log: Path, run_id: str, settings: Settings, *, timeout_s: float) -> None:
    """Send the log at `log` to a run.

    Raises:
        TrackingError: if that cannot be done now, or ever; or the run has a decision that the log has not.
    """
    known = [one for one in rows(log) if "hash" in one]
    last = last_decision(run_id, settings, timeout_s=timeout_s)
    if last is not None and all(one["hash"] != last[1] for one in known):
        raise TrackingError(f"run {run_id} has a decision {last[0]} that is not in {log}; nothing is sent over it.")
    if not known:
        return
    client = connect(settings)
    with asking(settings.mlflow_uri, timeout_s=timeout_s):
        client.log_artifact(run_id, str(log))
        client.log_batch(run_id, tags=[RunTag(key, short(redacted(value))) for key, value in _tags(known[-1]).items()])


def last_decision(run_id: str, settings: Settings, *, timeout_s: float) -> tuple[int, str] | None:
    """Number and digest of the last decision that a run was sent; None where it has none.

    Raises:
        UsageError: if there is no such run.
        TrackingError: if MLflow cannot be asked.
    """
    said = run_of(connect(settings), run_id, settings, within_s=timeout_s).data.tags
    n, digest = said.get(f"{TAG}.n", ""), said.get(DECIDED)
    return (int(n), digest) if digest and n.isdecimal() else None


def _tags(last: dict[str, Any]) -> dict[str, str]:
    from mlaas_lab.view.formats import when

    rule = last.get("rule")
    said = {"": last.get("target"), "at": f"{when(last.get('at'))} UTC", **{name: last.get(name) for name in NAMES[1:]}}
    said["rule"] = "none" if rule is None else "holds" if rule.get("ok") else "does not hold"
    if rule is not None:
        said["rule_text"] = rule.get("text") if isinstance(rule.get("text"), str) else orjson.dumps(rule).decode()
    return {f"{TAG}.{key}".rstrip("."): str(value) for key, value in said.items() if value not in (None, "")}
