"""The recipe of `tiny`: its numbers, and the fingerprint that stands for them and for the text.

Light on purpose: whoever only names `tiny` needs its fingerprint, and must not import torch for it.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from mlaas_lab.training import talk


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides what `tiny` is; a Llama of 1.6 M parameters by default."""

    version: int = 1
    """Raised when tiny.py or talk.py builds something else from the same numbers and grammar."""
    seed: int = 0
    vocabulary: int = 4096
    """Tokens, the special ones included."""
    width: int = 192
    layers: int = 2
    heads: int = 3
    """Of width 64 each, which every serving engine has kernels for."""
    inner: int = 512
    """Width of the feed-forward layers."""
    context: int = 1024
    """Positions, in tokens."""
    spread: float = 0.06
    """Standard deviation of the first weights; about 1 / sqrt(width), since 0.02 suits models ten times as wide."""
    steps: int = 600
    batch: int = 16
    """Chats per step."""
    lr: float = 5e-4
    """Peak learning rate of the layers."""
    embedding_lr: float = 3e-3
    """Peak learning rate of the embeddings, whose rows seldom get a gradient."""
    warmup: int = 20
    """Steps."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits over the numbers and the grammar."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode())
        digest.update(talk.GRAMMAR.read_bytes())
        return digest.hexdigest()[:16]


def fingerprint(seed: int = 0) -> str:
    """The fingerprint of `tiny` from `seed`."""
    return Recipe(seed=seed).fingerprint
