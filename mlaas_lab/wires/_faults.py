"""Errors in the forms that vendors have been seen to use, whatever the HTTP status: most differ in names alone."""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.wires import Fault, Faulted
from mlaas_lab.wires._json import excerpt, loads


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:  # noqa: ARG001 - the body says it all
    """What the body of an HTTP error says."""
    try:
        data = loads(body)
    except ValueError:
        data = None
    return said(data) or Fault(message=excerpt(body))


def refuse(data: Any) -> None:
    """Raise Faulted if `data` is an error, whatever the HTTP status said."""
    if isinstance(data, dict) and (found := said(data)):
        raise Faulted(found)


def said(data: Any, *, depth: int = 4) -> Fault | None:
    """The error in `data`, or None."""
    if isinstance(data, list) and data:
        data = data[0]
    if not isinstance(data, dict) or depth == 0:
        return None
    for name in ("error", "errors", "detail"):
        inner = data.get(name)
        if isinstance(inner, str) and inner:
            return Fault(message=inner)
        if inner and (found := said(inner, depth=depth - 1)):
            return found
    message = data.get("message") or data.get("error_msg") or data.get("msg")
    if not message:
        return None
    code = data.get("code") or data.get("error_code") or data.get("type")
    word = None if code is None else str(code)
    status = int(word) if word and word.isdecimal() and 400 <= int(word) < 600 else None
    return Fault(message=str(message), code=word, status=status)
