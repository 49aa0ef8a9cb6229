"""What somebody would type for the same: the line of a cell that makes a job, from its options."""

import shlex
from collections.abc import Mapping

from mlaas_lab import registry
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Option, options
from mlaas_lab.tasks import Task
from mlaas_lab.view.markup import visible


def line(task: str, values: Mapping[str, JSON]) -> str:
    """`%mlaas finetune --data rows.jsonl --rank 8`: an option that is as it would be anyway is left out."""
    found: Task = registry.load("task", task)
    words = [task]
    for option in options(found.spec):
        value = values.get(option.name)
        if value is not None and not _same(value, option.default):
            words += _words(option, value)
    return magic(words)


def magic(words: list[str]) -> str:
    """`words` as the line of a cell."""
    # Braces and dollars are Python's in a magic, unless it is told to leave them alone.
    raw = ["--raw"] if any(set("{$") & set(word) for word in words) else []
    return visible(f"%mlaas {shlex.join([*words, *raw])}").replace("\n", " ")


def _words(option: Option, value: JSON) -> list[str]:
    if option.kind == "flag":
        return [option.flag if value else f"--no-{option.flag[2:]}"]
    if option.positional:
        return [str(one) for one in value] if option.kind == "list" else [str(value)]
    text = _text(value)
    # A value that looks like a flag is one, unless it is tied to its own.
    return [f"{option.flag}={text}"] if text.startswith("-") else [option.flag, text]


def _text(value: JSON) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={one}" for key, one in value.items())
    return ",".join(str(one) for one in value) if isinstance(value, (list, tuple)) else str(value)


def _same(value: JSON, default: object) -> bool:
    if default is None:
        return value in ((), [], {}, "")
    return _text(value) == _text(default)
