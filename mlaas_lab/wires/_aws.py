"""Errors as AWS words them: the kind in a header or the body, the message in the body, both in several spellings."""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.wires import Fault
from mlaas_lab.wires._faults import said
from mlaas_lab.wires._json import excerpt, loads


def fault(body: bytes, headers: Mapping[str, str]) -> Fault:
    """What an HTTP error says."""
    return worded(body, next((value for name, value in headers.items() if name.lower() == "x-amzn-errortype"), ""))


def worded(body: bytes, kind: str) -> Fault:
    """The error of `kind`, or of the kind that `body` names: `ns#Throttling:http://…` is Throttling."""
    data = read(body)
    message = data.get("message") or data.get("Message")
    found = None if message else said(data)
    kind = kind or str(data.get("__type") or data.get("code") or "")
    word = kind.rpartition("#")[2].partition(":")[0]
    # In a stream the same errors begin with a small letter.
    code = word[:1].upper() + word[1:] or (found.code if found else None)
    if original := data.get("originalMessage"):
        message = f"{message or code}: {original}"
    if message:
        return Fault(message=str(message), code=code)
    return Fault(message=found.message if found else code or excerpt(body), code=code)


def read(body: bytes) -> dict[str, Any]:
    """The object that `body` is; empty for anything else."""
    try:
        data = loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
