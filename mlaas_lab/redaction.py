"""What looks like a key: by the name it stands under and by its own look, whoever's it is.

It is hidden wherever text is kept, and warned of where a notebook would keep it.
"""

import re
from collections.abc import Iterator

HIDDEN = "***"

SECRET_WORDS = frozenset(
    {"key", "apikey", "token", "secret", "password", "passwd", "pwd", "auth", "authorization", "bearer"}
    | {"credential", "credentials", "signature", "sig", "sas"}
)
"""A name is secret when one of its words is: `api_key`, `X-Amz-Signature`; not `max_tokens`."""

_PAIR = re.compile(r"(?<!\w)(?P<name>[A-Za-z][\w.\-]{0,99})(?P<is>\s*[=:]\s*[\"']?)(?P<value>[^&\s,;\"']+)")
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_KEY = re.compile(
    r"\b(?:sk-|gsk_|hf_|ghp_|github_pat_|xox[abp]-|r8_|AIza|AKIA|ASIA|glpat-)[\w\-]{12,}"
    r"|\bbce-v3/[\w\-/]{12,}"
    r"|\beyJ[\w\-]{10,}\.[\w\-]+\.[\w\-]*|(?<=Bearer )\S+"
)
"""Prefixes that vendors give their keys, and JSON web tokens (RFC 7519)."""
_LONG = re.compile(r"[A-Za-z0-9+_.\-][A-Za-z0-9+/=_.\-]{19,}")
"""What a key without such a prefix is made of; a path begins otherwise."""
DEPTH = 8
"""Pairs within the values of pairs that are looked into; what is deeper is hidden whole."""


def redacted(text: str) -> str:
    """`text` without what looks like a key."""
    hidden = _KEY.sub(HIDDEN, _USER.sub(f"{HIDDEN}@", text))
    return _without_secrets(hidden, DEPTH)


def holds_key(text: str) -> bool:
    """Whether a key seems to stand in `text`: something long with a digit in it, not only a word or a name."""
    if any(_has_digit(found[0]) for found in _KEY.finditer(text)):
        return True
    return any(is_secret(found["name"]) and _is_key(found["value"]) for found in _pairs(text))


def is_secret(name: str) -> bool:
    """Whether a value under `name` would be a secret."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return not SECRET_WORDS.isdisjoint(re.split(r"[^a-z0-9]+", words))


def _pairs(text: str, depth: int = DEPTH) -> Iterator[re.Match[str]]:
    """Names with values, those within values too: a target's query stands in `--targets=…`."""
    for pair in _PAIR.finditer(text):
        yield pair
        if depth:
            yield from _pairs(pair["value"], depth - 1)


def _is_key(value: str) -> bool:
    # OPENAI_API_KEY_2 is where a key is, not one.
    named = re.fullmatch(r"[A-Z][A-Z0-9_]*", value) is not None
    return not named and "://" not in value and _has_digit(value) and _LONG.fullmatch(value) is not None


def _has_digit(text: str) -> bool:
    return any(character.isdecimal() for character in text)


def _without_secrets(text: str, depth: int) -> str:
    def hidden(found: re.Match[str]) -> str:
        secret = is_secret(found["name"]) or not depth
        value = HIDDEN if secret else _without_secrets(found["value"], depth - 1)
        return f"{found['name']}{found['is']}{value}"

    return _PAIR.sub(hidden, text)
