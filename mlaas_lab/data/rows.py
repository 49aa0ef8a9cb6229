"""A row as the file gives it becomes a chat: `messages`, prompt and completion, or Alpaca's columns.

`--map column=field` renames columns first. This file knows no file format; what is wrong is said in one line that ends
with what was expected.
"""

import json
from collections.abc import Mapping, Sequence
from shlex import quote
from typing import Any, get_args

from mlaas_lab.data.chats import Chat, content_id
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.schema import Message

ALIASES = {"user": "prompt", "assistant": "completion", "reference": "completion"}
"""Roles are columns too: `--map question=user,answer=assistant`."""
FIELDS = ("messages", "prompt", "completion", "instruction", "input", "output", "system", "id", "group", "contexts")
"""What a column can be."""
ROLES = get_args(Message.__annotations__["role"])
EXPECTED = "expected messages, or prompt and completion, or instruction, input and output"
ASKING = ("question", "query", "text", "utterance", "request", "source", "human", "title", "x")
ANSWERING = ("answer", "response", "label", "intent", "target", "reply", "category", "class", "summary", "y")


class BadRow(Exception):
    """This row is no chat; the message says what was expected."""


def columns(mapping: Mapping[str, str] | None) -> dict[str, str]:
    """Column → field, from what the user mapped.

    Raises:
        UsageError: for a field that does not exist, or one that two columns claim.
    """
    found: dict[str, str] = {}
    for column, wanted in (mapping or {}).items():
        field = ALIASES.get(wanted, wanted)
        if field not in FIELDS:
            known = (*FIELDS, *ALIASES)
            hint = did_you_mean(wanted, known) or f"A column can be: {', '.join(known)}."
            raise UsageError(f"--map {column}={wanted}: there is no field {wanted!r}.", next=hint)
        if field in found.values():
            raise UsageError(f"--map: two columns are mapped to {wanted!r}.", next="Join them in the file first.")
        found[column] = field
    return found


def renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a row; a mapped column stands for one that already has the name, null counts as absent."""
    fields = {ALIASES.get(k, k): v for k, v in row.items() if k not in names and v is not None}
    fields = {name: value for name, value in fields.items() if name not in names.values()}
    fields |= {field: row[column] for column, field in names.items() if row.get(column) is not None}
    return {name: value for name, value in fields.items() if name in FIELDS}


def chat(row: Any, names: Mapping[str, str], *, line: int) -> Chat:
    """The chat in one row.

    Raises:
        BadRow: with what is wrong and what was expected.
    """
    if not isinstance(row, Mapping):
        raise BadRow(f"the row is {_kind(row)}, expected an object with messages, or prompt and completion")
    fields = renamed(row, names)
    messages = _messages(fields, tuple(map(str, row)))
    if not any(message.content.strip() for message in messages):
        raise BadRow("the chat is empty, expected at least one message with text")
    name = _name(fields, "id") or content_id(messages)
    return Chat(id=name, messages=messages, group=_name(fields, "group"), contexts=_contexts(fields), line=line)


def unknown_columns(present: Sequence[str], names: Mapping[str, str]) -> str | None:
    """What is wrong with a table's columns before any row is read, or None."""
    for column in names:
        if column not in present:
            hint = did_you_mean(column, present) or f"It has: {_listed(present)}."
            return f"there is no column {column!r} to map. {hint}"
    fields = renamed(dict.fromkeys(present, ""), names)
    if not {"messages", "prompt", "instruction", "input"} & set(fields):
        return _unrecognised(tuple(present))
    return None


def _messages(fields: Mapping[str, Any], present: tuple[str, ...]) -> tuple[Message, ...]:
    system = _said("system", fields, "system")
    if "messages" in fields:
        turns = _turns(fields["messages"])
        return turns if turns[0].role == "system" else system + turns
    if "instruction" in fields or ("input" in fields and "prompt" not in fields):
        asked = [_text(fields[name], name) for name in ("instruction", "input") if name in fields]
        asking = (Message(role="user", content="\n\n".join(text for text in asked if text.strip())),)
        return system + asking + _said("assistant", fields, "output" if "output" in fields else "completion")
    if "prompt" in fields:
        return system + _said("user", fields, "prompt") + _said("assistant", fields, "completion")
    raise BadRow(_unrecognised(present))


def _said(role: Any, fields: Mapping[str, Any], name: str) -> tuple[Message, ...]:
    """A turn from one column; a list there is read as messages."""
    if name not in fields:
        return ()
    if isinstance(fields[name], list):
        return _turns(fields[name], name)
    return (Message(role=role, content=_text(fields[name], name)),)


def _turns(value: Any, name: str = "messages") -> tuple[Message, ...]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadRow(f"{name} is text, expected a list of messages, or that list as JSON") from None
    if not isinstance(value, list):
        raise BadRow(f"{name} is {_kind(value)}, expected a list of {{role, content}}")
    if not value:
        raise BadRow(f"{name} is an empty list, expected at least one {{role, content}}")
    return tuple(_message(item, f"{name}[{index}]") for index, item in enumerate(value))


def _message(item: Any, where: str) -> Message:
    if not isinstance(item, Mapping):
        raise BadRow(f"{where} is {_kind(item)}, expected {{role, content}}")
    role: Any = item.get("role")
    if role not in ROLES:
        hint = did_you_mean(role, ROLES) if isinstance(role, str) else None
        shown = f"is {_short(role)}" if "role" in item else "is missing"
        raise BadRow(f"{where}.role {shown}, expected one of {', '.join(ROLES)}" + (f". {hint}" if hint else ""))
    content = item.get("content")
    if content is None and item.get("tool_calls"):
        raise BadRow(f"{where} calls a tool and says nothing, expected text in content")
    if isinstance(content, list):
        content = "".join(_part(part, f"{where}.content[{index}]") for index, part in enumerate(content))
    return Message(role=role, content=_text(content, f"{where}.content"))


def _part(part: Any, where: str) -> str:
    """The text of one part of a multi-part content."""
    if not isinstance(part, Mapping) or part.get("type", "text") != "text":
        kind = part.get("type") if isinstance(part, Mapping) else _kind(part)
        raise BadRow(f"{where} is {_short(kind)}, expected text: pictures, sound and tools cannot be read yet")
    return _text(part.get("text"), f"{where}.text")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadRow(f"{where} is {_kind(value)}, expected text" + (" (quote it)" if _is_number(value) else ""))
    if "\0" in value:
        raise BadRow(f"{where} holds a NUL character, expected text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadRow(f"{where} holds half of a surrogate pair, expected Unicode text") from None
    return value


def _name(fields: Mapping[str, Any], field: str) -> str | None:
    value = fields.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, (str, int)) or len(str(value)) > 200:
        raise BadRow(f"{field} is {_kind(value)}, expected text of at most 200 characters or a whole number")
    return _text(str(value), field)


def _contexts(fields: Mapping[str, Any]) -> tuple[str, ...]:
    value = fields.get("contexts", [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list):
        raise BadRow(f"contexts is {_kind(value)}, expected a list of texts")
    return tuple(_text(text, f"contexts[{index}]") for index, text in enumerate(texts))


def _unrecognised(present: tuple[str, ...]) -> str:
    asking = next((c for word in ASKING for c in present if c.lower() == word), None)
    answering = next((c for word in ANSWERING for c in present if c.lower() == word), None)
    pair = f"{asking or 'QUESTION'}=user,{answering or 'ANSWER'}=assistant"
    return f"the columns are {_listed(present)}; {EXPECTED}. Name them: --map {pair}"


def _listed(present: Sequence[str]) -> str:
    shown = ", ".join(_short(column)[1:-1] for column in present[:8])
    return (shown or "none") + (f" and {len(present) - 8} more" if len(present) > 8 else "")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null or missing"}
    return kinds.get(type(value)) or ("a number" if _is_number(value) else f"of type {type(value).__name__}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 42 else f"{text[:40]}…{text[0]}"


def located(path: object, line: int, message: str, *, unit: str = "") -> DataError:
    """The one error that names file, line and what was expected."""
    where = f"{path} {unit} {line}" if unit else f"{path}:{line}"
    return DataError(f"{where}: {message}.", next=f"`mlaas data check {quote(str(path))}` lists every bad row.")
