"""Datasets: read, checked, split, frozen.

What others need of this package. Polars, tokenizers and numpy are imported where they are first used.
"""

from mlaas_lab.data.chats import Chat, samples
from mlaas_lab.data.checking import check
from mlaas_lab.data.frames import from_frame
from mlaas_lab.data.reading import Bad, load, scan
from mlaas_lab.data.report import Report
from mlaas_lab.data.snapshots import Snapshot, resolve, sha256, snapshot
from mlaas_lab.data.splits import Split, split

__all__ = [
    "Bad",
    "Chat",
    "Report",
    "Snapshot",
    "Split",
    "check",
    "from_frame",
    "load",
    "resolve",
    "samples",
    "scan",
    "sha256",
    "snapshot",
    "split",
]
