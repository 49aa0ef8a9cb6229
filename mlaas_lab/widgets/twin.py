"""What somebody would type for the same: the line of a cell that makes a job, from its options."""

import shlex
from collections.abc import Mapping

from mlaas_lab import registry
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Option, Spec, options
from mlaas_lab.tasks import Task
from mlaas_lab.view.markup import visible


def line(task: str, values: Mapping[str, JSON]) -> str:
    """`%mlaas finetune --data rows.jsonl --rank 8`: an option that is as it would be anyway is left out."""
    found: Task = registry.load("task", task)
    return magic([task, *words(found.spec, values)])


def words(spec: type[Spec], values: Mapping[str, JSON]) -> list[str]:
    """Those of `values` that are not as they would be anyway, as a command line has them."""
    found = ((option, values.get(option.name)) for option in options(spec))
    said = [(option, value) for option, value in found if value is not None and not _same(value, option.default)]
    # What stands in its place comes first, so that no flag takes it for its value.
    said.sort(key=lambda one: not one[0].positional)
    return [word for option, value in said for word in _words(option, value)]


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
    text = said(value)
    # A value that looks like a flag is one, unless it is tied to its own.
    return [f"{option.flag}={text}"] if text.startswith("-") else [option.flag, text]


def said(value: JSON) -> str:
    """A value as one word: lists as `a,b`, maps as `a=1,b=2`."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={one}" for key, one in value.items())
    return ",".join(str(one) for one in value) if isinstance(value, (list, tuple)) else str(value)


def _same(value: JSON, default: object) -> bool:
    if default is None:
        return value in ((), [], {}, "")
    return said(value) == said(default)
