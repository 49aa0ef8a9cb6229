"""Datasets: read, checked, split, frozen.

What others need of this package; nothing here imports polars, tokenizers or numpy until a file asks for it.
"""

from mlaas_lab.data.chats import Chat, samples
from mlaas_lab.data.reading import Bad, load, scan
from mlaas_lab.data.snapshots import Snapshot, resolve, sha256, snapshot
from mlaas_lab.data.splits import Split, split

__all__ = ["Bad", "Chat", "Snapshot", "Split", "load", "resolve", "samples", "scan", "sha256", "snapshot", "split"]
