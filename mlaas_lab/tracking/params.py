"""A Spec as MLflow params: flat, short, and without secrets.

Redaction goes by the name of a parameter and by the look of its value, since a key may stand in a target's query, in a
URL's user part or in a prompt. It knows no provider.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from mlaas_lab.schema import JSON

LONGEST = 500
"""Characters of a value; MLflow takes 6,000, but its tables are unreadable far below that."""
HIDDEN = "***"

SECRET_WORDS = frozenset(
    {"key", "apikey", "token", "secret", "password", "passwd", "pwd", "auth", "authorization", "bearer"}
    | {"credential", "credentials", "signature", "sig", "sas"}
)
"""A name is secret when one of its words is: `api_key`, `X-Amz-Signature`; not `max_tokens`."""

_PAIR = re.compile(r"(?P<name>[A-Za-z][\w.\-]*)(?P<is>\s*[=:]\s*[\"']?)(?P<value>[^&\s,;\"']+)")
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_KEY = re.compile(
    r"\b(?:sk-|gsk_|hf_|ghp_|github_pat_|xox[abp]-|r8_|AIza|AKIA|ASIA|glpat-)[\w\-]{12,}"
    r"|\beyJ[\w\-]{10,}\.[\w\-]+\.[\w\-]*|(?<=Bearer )\S+"
)
"""Prefixes that vendors give their keys, and JSON web tokens (RFC 7519)."""


def flat(spec: Mapping[str, JSON]) -> dict[str, str]:
    """Options as params: nested names joined by dots, lists by commas; None (chosen by the job) is left out."""
    return {name: short(value) for name, value in _leaves(spec)}


def redacted(text: str) -> str:
    """`text` without what looks like a key."""
    hidden = _KEY.sub(HIDDEN, _USER.sub(f"{HIDDEN}@", text))
    return _PAIR.sub(_without_secret, hidden)


def short(text: str) -> str:
    """`text` as it is, or its beginning and the hash by which the whole can be told apart."""
    if len(text) <= LONGEST:
        return text
    mark = f"… sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return text[: LONGEST - len(mark)] + mark


def _leaves(value: JSON, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name}.{key}" if name else str(key))
    elif value is not None:
        yield name, HIDDEN if _secret(name.rpartition(".")[2]) else redacted(_text(value))


def _text(value: JSON) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and not any(isinstance(item, (list, tuple, Mapping)) for item in value):
        return ",".join(_text(item) for item in value)
    return json.dumps(value, default=str)


def _secret(name: str) -> bool:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return not SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", words))


def _without_secret(found: re.Match[str]) -> str:
    value = HIDDEN if _secret(found["name"]) else _PAIR.sub(_without_secret, found["value"])
    return f"{found['name']}{found['is']}{value}"
