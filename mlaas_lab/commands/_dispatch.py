"""From words to a result: which command, which arguments, run.

Every front (cell, shell, Python) comes through here, so they mean the same. A task is a command by itself.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any, cast

import yaml
from pydantic import Field, create_model

from mlaas_lab import data, registry
from mlaas_lab.commands import Command
from mlaas_lab.data.frames import is_frame
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.job import JobHandle
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Refers, Spec, build, options, read
from mlaas_lab.tasks import Task


class Launch(Spec):
    """How a job is launched; none of it changes what the job does."""

    wait: bool = False
    """Wait for the job and show its progress; the shell does so anyway."""
    detach: bool = False
    """Return at once; a notebook does so anyway."""
    force: bool = False
    """Repeat it even if the same job exists."""
    executor: Annotated[str | None, Refers("executor")] = None
    """How to launch it; by default what the settings say."""
    gpus: int | None = Field(None, ge=0)
    """Accelerators it gets; by default what the task needs."""
    cpus: int | None = Field(None, ge=0)
    """CPU threads it waits for; by default what the task keeps busy."""
    priority: int = 0
    """Higher goes before others that wait for the same."""
    ray_address: str | None = None
    """Jobs API of the Ray cluster; by default what the settings say."""


@cache
def names() -> tuple[str, ...]:
    """All commands, tasks among them."""
    return tuple(sorted({*registry.names("command"), *registry.names("task")}))


@cache
def command(name: str) -> Command:
    """The command of that name.

    Raises:
        UsageError: with the nearest names, if there is none.
    """
    if name in registry.names("command"):
        found: Command = registry.load("command", name)
        return found
    if name in registry.names("task"):
        return _of_task(name, registry.load("task", name))
    near = did_you_mean(name, names())
    raise UsageError(f"unknown command {name!r}.", next=near or f"Known: {', '.join(names())}.")


def pick(words: Sequence[Any]) -> tuple[str, list[Any]]:
    """The command that `words` begin with, and the words after it."""
    two = " ".join(str(word) for word in words[:2])
    if len(words) > 1 and two in names():
        return two, list(words[2:])
    first = str(words[0])
    starts = [name for name in names() if name.startswith(f"{first} ")]
    if first not in names() and starts:
        raise UsageError(f"{first!r} needs another word.", next=f"Known: {', '.join(starts)}.")
    return first, list(words[1:])


def execute(words: Sequence[Any], lab: Lab, *, body: str | None = None) -> Any:
    """Run the command that `words` name.

    Args:
        words: as typed, or objects.
        lab: what it runs with.
        body: a cell's text: the field the command names for it, or the arguments as YAML.
    """
    name, rest = pick(words)
    found = command(name)
    plain = [_plain(word, lab) for word in rest]
    return found.run(read(found.args, plain, given=_body(found, body)), lab)


def call(name: str, lab: Lab, loose: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Run a command from Python: `loose` fill the positional fields in order."""
    found = command(name)
    places = [option.name for option in options(found.args) if option.positional]
    if len(loose) > len(places):
        raise UsageError(f"{name} takes {len(places)} positional values, not {len(loose)}.")
    values = {**dict(zip(places, loose, strict=False)), **named}
    return found.run(build(found.args, {key: _plain(value, lab) for key, value in values.items()}), lab)


def _plain(value: Any, lab: Lab) -> Any:
    """A frame becomes a file named by its content, a path its text, a job its id; the rest stays."""
    if is_frame(value):
        return data.from_frame(value, lab.settings.cache_dir)
    if isinstance(value, (list, tuple)):
        return tuple(_plain(one, lab) for one in value)
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "id", value)


def _body(found: Command, body: str | None) -> dict[str, Any]:
    if body is None or not body.strip():
        return {}
    if found.body is not None:
        return {found.body: body.strip()}
    try:
        values = yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise UsageError(f"the cell's body is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise UsageError("the cell's body must be `option: value` lines.")
    return {str(key).replace("-", "_"): value for key, value in values.items()}


def _of_task(name: str, task: Task) -> Command:
    made = create_model(task.spec.__name__, __base__=(Launch, task.spec), __doc__=task.spec.__doc__)
    return Command(args=cast("type[Spec]", made), run=lambda args, lab: submit(name, task, args, lab))


def submit(name: str, task: Task, args: Any, lab: Lab) -> JobHandle:
    """A job of `task` with what `args`, its Spec and a Launch in one, say.

    Raises:
        UsageError: if they contradict themselves.
    """
    spec = task.spec(**{field: getattr(args, field) for field in task.spec.model_fields})
    if args.wait and args.detach:
        raise UsageError("--wait and --detach say the opposite.")
    wait = True if args.wait else False if args.detach else None
    launch = {key: getattr(args, key) for key in ("gpus", "cpus", "priority", "ray_address")}
    return lab.submit(name, spec, wait=wait, force=args.force, executor=args.executor, launch=launch)
