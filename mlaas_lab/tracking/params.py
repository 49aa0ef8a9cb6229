"""A Spec as MLflow params: flat, short, and without secrets.

A key may stand in a target's query, in a URL's user part or in a prompt. It knows no provider.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from mlaas_lab.redaction import HIDDEN, is_secret, redacted
from mlaas_lab.schema import JSON

__all__ = ["HIDDEN", "LONGEST", "flat", "metric_name", "redacted", "short"]

LONGEST = 500
"""Characters of a value; MLflow takes 6,000, but its tables are unreadable far below that."""

LONGEST_NAME = 230
"""Characters of a metric's name; MLflow takes 250, and an ending may follow."""


def flat(spec: Mapping[str, JSON]) -> dict[str, str]:
    """Options as params: nested names joined by dots, lists by commas; None (chosen by the job) is left out."""
    return {name: short(value) for name, value in _leaves(spec)}


def short(text: str) -> str:
    """`text` as it is, or its beginning and the hash by which the whole can be told apart."""
    if len(text) <= LONGEST:
        return text
    mark = f"… sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return text[: LONGEST - len(mark)] + mark


def metric_name(*parts: str) -> str:
    """Names as one name of a metric: MLflow takes letters, digits and a few signs, and a slash makes a folder."""
    return ".".join(re.sub("[^A-Za-z0-9_.-]+", "_", part) for part in parts)[:LONGEST_NAME]


def _leaves(value: JSON, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, HIDDEN if is_secret(name.rpartition(".")[2]) else redacted(_text(value))


def _text(value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and not any(isinstance(item, (list, tuple, Mapping)) for item in value):
        return ",".join(_text(item) for item in value)
    return json.dumps(value, default=str)
