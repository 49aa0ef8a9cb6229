"""Results in MLflow: the only package that imports mlflow, and none of it before somebody asks for it.

`outbox` reads what a job left to send, `waiting` says how much, `delivery` sends it, `sender` is the thread that does
so while a job runs, `runs` and `fetching` read back. Importing mlflow takes more than a second, and the first use of a
database some seconds more (its migrations), so a supervisor imports `delivery` in its thread. Everything names its run
by id: mlflow's fluent state (the active run, the global tracking URI) is never touched.
"""

from typing import TYPE_CHECKING, Any

from mlaas_lab import registry
from mlaas_lab.environment import silence
from mlaas_lab.tracking.outbox import Delivered, add, delivered, forget, undelivered
from mlaas_lab.tracking.waiting import lacks_traces, waits, warning, words

if TYPE_CHECKING:
    from mlaas_lab.tracking.decisions import deliver_decisions, last_decision, send_decisions
    from mlaas_lab.tracking.delivery import Delivery
    from mlaas_lab.tracking.fetching import Fetched, fetched, records
    from mlaas_lab.tracking.runs import RunInfo, registered, run_info, trouble, ui_url

__all__ = [
    "Delivered",
    "Delivery",
    "Fetched",
    "RunInfo",
    "add",
    "deliver_decisions",
    "delivered",
    "fetched",
    "forget",
    "lacks_traces",
    "last_decision",
    "records",
    "registered",
    "run_info",
    "send_decisions",
    "trouble",
    "ui_url",
    "undelivered",
    "waits",
    "warning",
    "words",
]

LATER = (
    {"Delivery": "delivery"}
    | dict.fromkeys(("deliver_decisions", "last_decision", "send_decisions"), "decisions")
    | dict.fromkeys(("Fetched", "fetched", "records"), "fetching")
    | dict.fromkeys(("RunInfo", "registered", "run_info", "trouble", "ui_url"), "runs")
)
"""Names that cost an import of mlflow, and the file each is in."""

# Whoever imports any file of this package does so before mlflow, which reads these variables when it is imported.
silence()


def __getattr__(name: str) -> Any:
    if name not in LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return registry.resolve(f"{__name__}.{LATER[name]}:{name}")
