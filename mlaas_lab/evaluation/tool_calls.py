"""A tool call written in a text: the name of a function and its arguments as JSON.

Understood are `{"name", "arguments"}`, also within `function`, `tool_calls` or `function_call`, and arguments as JSON
or as text that holds JSON. This file knows no metric and no wire.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlaas_lab.schema import JSON

MOST = 20
"""Places in a text where an object may begin, that are tried: a hostile text costs no more than so many readings."""
LONGEST = 100_000
"""Characters that are looked at."""
_WITHIN = ("tool_calls", "tool_call", "function_call", "function")
_ARGUMENTS = ("arguments", "parameters", "input", "args")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function's name and what it is called with."""

    name: str
    arguments: Mapping[str, JSON] = field(default_factory=dict)


def call_in(text: str) -> Call | None:
    """The first tool call in `text`, whatever stands around it."""
    return next((call for found in _objects(text[:LONGEST]) if (call := _call(found)) is not None), None)


def expected(reference: str) -> Call:
    """The call that `reference` is.

    Raises:
        ValueError: if it is none.
    """
    found = call_in(reference) if reference.lstrip().startswith(("{", "[")) else None
    if found is None:
        raise ValueError("the reference is no JSON object with name and arguments")
    return found


def same(a: JSON, b: JSON) -> bool:
    """Whether two values are the same JSON: 1 is 1.0 and not true, objects have no order."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(one, other) for one, other in zip(a, b, strict=True))
    return bool(a == b)


def _objects(text: str) -> Iterator[Any]:
    """JSON objects in `text`, outer ones only."""
    decoder = json.JSONDecoder()
    place = -1
    for _ in range(MOST):
        place = text.find("{", place + 1)
        if place < 0:
            return
        try:
            found, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        yield found
        place = end - 1


def _call(found: Any) -> Call | None:
    """The call that a JSON value is or holds in the usual places."""
    for _ in range(4):
        if isinstance(found, list):
            found = found[0] if found else None
        if not isinstance(found, dict):
            return None
        inner = next((found[key] for key in _WITHIN if isinstance(found.get(key), (dict, list))), None)
        if inner is None:
            break
        found = inner
    name = found.get("name") if isinstance(found, dict) else None
    arguments = _arguments(found) if isinstance(name, str) and name else None
    return None if arguments is None else Call(name=str(name), arguments=arguments)


def _arguments(found: Mapping[str, Any]) -> Mapping[str, JSON] | None:
    """None if there are some and they are no object."""
    value = next((found[key] for key in _ARGUMENTS if key in found), None)
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.strip() else None
        except (ValueError, RecursionError):
            return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None
