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
    flagged, more = _withheld(data)
    if flagged and status:
        word = "content_filter"
    return Fault(message=f"{message}{more}", code=word, status=status)


def _withheld(data: dict[str, Any]) -> tuple[bool, str]:
    """Whether a filter is behind the error, and what else it says: Azure's innererror, OpenRouter's metadata."""
    inner, metadata = data.get("innererror"), data.get("metadata")
    if isinstance(inner, dict) and isinstance(found := inner.get("content_filter_result"), dict):
        marked = [
            f"{name} {mark.get('severity') or 'detected'}"
            for name, mark in found.items()
            if isinstance(mark, dict) and mark.get("filtered")
        ]
        return True, f" ({', '.join(marked)})" if marked else ""
    if not isinstance(metadata, dict):
        return False, ""
    if isinstance(reasons := metadata.get("reasons"), list):
        return True, f" ({', '.join(map(str, reasons))})" if reasons else ""
    raw = metadata.get("raw")
    return False, f" {metadata.get('provider_name') or 'behind it'}: {raw}" if isinstance(raw, str) and raw else ""
