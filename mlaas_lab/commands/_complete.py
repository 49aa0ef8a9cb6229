"""What could come next on a command line: words from the Specs and the store, never from the network."""

from pathlib import Path

from mlaas_lab import registry
from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import LabError
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Preferences
from mlaas_lab.spec import Option, options
from mlaas_lab.store import Store

RECENT = 50


def candidates(line: str) -> list[str]:
    """Completions of the last word of `line`, which is what follows `mlaas`."""
    words = line.split()
    current = "" if not words or line[-1:].isspace() else words.pop()
    if not words:
        return _starting(current, _dispatch.names())
    try:
        name, rest = _dispatch.pick(words)
        every = options(_dispatch.command(name).args)
    except LabError:
        return _starting(f"{words[0]} {current}", _dispatch.names()) if len(words) == 1 else []
    by_flag = {option.flag: option for option in every}
    if current.startswith("--"):
        return _starting(current, [*by_flag, "--help", "--json"])
    asked = by_flag.get(rest[-1]) if rest else None
    if asked is not None and asked.kind != "flag":
        return _values(asked, current)
    positional = next((option for option in every if option.positional), None)
    return _values(positional, current) if positional else _starting(current, by_flag)


def _values(option: Option, current: str) -> list[str]:
    head, comma, last = current.rpartition(",") if option.kind == "list" else ("", "", current)
    return [head + comma + word for word in _starting(last, _known(option, last))]


def _known(option: Option, current: str) -> list[str]:
    if option.choices:
        return list(option.choices)
    match option.refers:
        case "metric" | "engine" | "executor" | "provider" as kind:
            return list(registry.names(kind))
        case "job" | "run" | "model" | "target" as kind:
            return _from_store(kind)
        case "data":
            return _files(current)
        case _:
            return []


def _from_store(kind: str) -> list[str]:
    settings = Preferences().settings()
    if not settings.store_path.exists():
        return ["tiny"] if kind == "model" else []
    store = Store(settings.store_path)
    try:
        if kind == "target":
            return [endpoint.name for endpoint in store.endpoints()] + [f"{n}/" for n in registry.names("provider")]
        if kind == "model":
            tuned = store.jobs(task="finetune", states=[JobState.SUCCEEDED], limit=RECENT)
            return sorted({"tiny", *(job.name for job in tuned)})
        return [word for job in store.jobs(limit=RECENT) for word in (job.id, job.name)]
    finally:
        store.close()


def _files(current: str) -> list[str]:
    folder = Path(current).parent if "/" in current else Path()
    prefix = "" if folder == Path() else f"{folder}/"
    kinds = (".jsonl", ".csv", ".parquet", ".json")
    if not folder.is_dir():
        return []
    return sorted(
        f"{prefix}{path.name}{'/' if path.is_dir() else ''}"
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.suffix in kinds)
    )


def _starting(prefix: str, words: "list[str] | tuple[str, ...] | dict[str, Option]") -> list[str]:
    return list(dict.fromkeys(word for word in words if word.startswith(prefix)))
