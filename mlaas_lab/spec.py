"""A Spec is a set of options, written once.

The same class is the magic's flags, the shell's flags, the widget's form, the job's JSON and the MLflow params.
A field's docstring is its help. This file turns words into a Spec and a Spec into options; it knows no command.
"""

import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import quote, unquote

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mlaas_lab.errors import UsageError, did_you_mean


class Spec(BaseModel):
    """Options of a task or a command: frozen, nothing extra, each field with its help below it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, protected_namespaces=())


SpecT = TypeVar("SpecT", bound=Spec)


@dataclass(frozen=True)
class Refers:
    """What kind of thing a field's text names: completion offers them, and the spec's hash uses their content."""

    to: Literal["data", "model", "target", "job", "metric", "engine", "executor", "provider", "run"]


DATASETS = {"attacks": Path(__file__).parent / "evaluation" / "attacks.jsonl"}
"""Datasets of ours, by the word that names them; a file of that name comes first."""
NAMED_FILE = re.compile(r"(.*\.(?:json|py|yaml))((?:[:@].*)?)", re.DOTALL)
"""A file that a metric's option names, and which of the things in it."""


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


def _absolute_data(path: Path) -> Path:
    return DATASETS[str(path)] if str(path) in DATASETS and not path.exists() else _absolute(path)


def _absolute_folder(name: str) -> str:
    path = Path(name).expanduser()
    return str(path.resolve()) if "/" in name and path.is_dir() else name


def _absolute_options(text: str) -> str:
    """A metric's name, the files that its options name made absolute."""
    name, mark, query = text.partition("?")
    return name + mark + "&".join(_absolute_option(part) for part in query.split("&"))


def _absolute_option(part: str) -> str:
    key, equals, value = part.partition("=")
    if key == "model" and (folder := _absolute_folder(unquote(value))) != unquote(value):
        return f"{key}{equals}{quote(folder, safe='/:@')}"
    found = NAMED_FILE.fullmatch(unquote(value))
    if found is None or not Path(found[1]).is_file():
        return part
    return f"{key}{equals}{quote(f'{Path(found[1]).resolve()}{found[2]}', safe='/:@')}"


# A job runs in a folder of its own, so what a user names from where he stands is made absolute at once.
DataFile = Annotated[Path, Refers("data"), AfterValidator(_absolute_data)]
"""A dataset on disk; its content enters the spec's hash."""
Folder = Annotated[Path, AfterValidator(_absolute)]
"""Where relative paths begin."""
ModelName = Annotated[str, Refers("model"), AfterValidator(_absolute_folder)]
"""`tiny`, a path, a hub id with an optional `@revision`, or an adapter's name; its content enters the spec's hash."""
TargetName = Annotated[str, Refers("target")]
"""`provider/model?key=value`, or the name of an endpoint."""
MetricName = Annotated[str, Refers("metric"), AfterValidator(_absolute_options)]
"""A metric's name, with options as `name?key=value&key=value`."""
SPAN_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
Span = Annotated[str, Field(pattern=r"^([0-9]+(\.[0-9]+)?[smh])?$")]
"""How long: `90s`, `10m` or `2h`; empty says nothing."""
JobId = Annotated[str, Refers("job")]
"""Id or unique prefix of a job, or its name."""


def seconds(span: str) -> float | None:
    """A Span in seconds; None for an empty one."""
    return float(span[:-1]) * SPAN_UNITS[span[-1]] if span else None


def Arg(default: Any = ..., **rules: Any) -> Any:  # noqa: N802 - reads like pydantic's Field
    """A positional field; a tuple takes all the words that are left."""
    return Field(default, json_schema_extra={"positional": True}, **rules)


@dataclass(frozen=True, kw_only=True)
class Option:
    """One field of a Spec as a user meets it on a command line."""

    name: str
    """`max_length`; the flag is `--max-length`."""
    kind: Literal["flag", "text", "list", "map"]
    positional: bool
    required: bool
    default: Any
    choices: tuple[str, ...]
    refers: str | None
    help: str
    metavar: str
    short: str | None = None
    """One letter for the flag, as `-o`."""
    bare: str | None = None
    """What the flag alone means, without a value; None: it needs one."""

    @property
    def flag(self) -> str:
        """The word on the command line."""
        return "--" + self.name.replace("_", "-")


@cache
def options(spec: type[Spec]) -> tuple[Option, ...]:
    """The options of `spec`, in the order they are written."""
    return tuple(_option(name, info) for name, info in spec.model_fields.items())


def read(spec: type[SpecT], words: Sequence[Any], *, given: Mapping[str, Any] | None = None) -> SpecT:
    """Words of a command line as a Spec; a word may be any object, and stays one.

    Args:
        spec: what to read.
        words: `["--rank", "8", "data.jsonl"]`; `--name=value` and `--no-flag` too, `--` ends the flags.
        given: fields already known (a cell's YAML body); words win.

    Raises:
        UsageError: for an unknown flag, a missing value or field, or a value that does not fit.
    """
    by_flag = {option.flag: option for option in options(spec)}
    by_flag |= {option.short: option for option in options(spec) if option.short}
    by_flag |= {"--no-" + o.flag[2:]: o for o in options(spec) if o.kind == "flag"}
    values: dict[str, Any] = dict(given or {})
    loose: list[Any] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            loose += rest
            break
        if not (isinstance(word, str) and (word.startswith("--") or word in by_flag)):
            loose.append(word)
            continue
        flag, equals, inline = word.partition("=")
        option = by_flag.get(flag)
        if option is None:
            raise UsageError(f"unknown option {flag!r}.", next=did_you_mean(flag, by_flag))
        values[option.name] = _value(option, flag, inline if equals else None, rest)
    _place(spec, loose, values)
    return build(spec, values)


def build(spec: type[SpecT], values: Mapping[str, Any]) -> SpecT:
    """A Spec from named values, lists as `a,b` and maps as `a=1,b=2` allowed.

    Raises:
        UsageError: in one line, for the first value that does not fit.
    """
    by_name = {option.name: option for option in options(spec)}
    ready: dict[str, Any] = {}
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in by_name:
            raise UsageError(f"unknown option {key!r}.", next=did_you_mean(name, by_name))
        ready[name] = _split(by_name[name], value)
    try:
        return spec.model_validate(ready)
    except ValidationError as error:
        raise _explained(error, by_name) from None


def _split(option: Option, value: Any) -> Any:
    if option.kind == "list" and isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if option.kind == "list" and isinstance(value, (list, tuple)):
        return tuple(part for item in value for part in (_split(option, item) if isinstance(item, str) else (item,)))
    if option.kind == "map" and isinstance(value, str):
        pairs = (part.partition("=") for part in value.split(","))
        return {key.strip(): text.strip() for key, _, text in pairs}
    return value


def _value(option: Option, flag: str, inline: str | None, rest: list[Any]) -> Any:
    if option.kind == "flag":
        if inline is not None:
            return inline
        return not flag.startswith("--no-") or option.flag == flag
    if inline is not None:
        return inline
    if not rest or (isinstance(rest[0], str) and rest[0].startswith("--")):
        if option.bare is not None:
            return option.bare
        raise UsageError(f"{flag} needs a value: {flag} {option.metavar}.")
    return rest.pop(0)


def _place(spec: type[Spec], loose: list[Any], values: dict[str, Any]) -> None:
    places = [option for option in options(spec) if option.positional and option.name not in values]
    for option in places:
        if not loose:
            return
        if option.kind == "list":
            values[option.name], loose = tuple(loose), []
        else:
            values[option.name] = loose.pop(0)
    if loose:
        raise UsageError(f"unexpected word {loose[0]!r}.", next="Options start with --; quote text with spaces.")


def _explained(error: ValidationError, by_name: Mapping[str, Option]) -> UsageError:
    first = error.errors()[0]
    option = by_name.get(str(first["loc"][0])) if first["loc"] else None
    shown = (option.metavar if option.positional else option.flag) if option else "options"
    if option and first["type"] == "missing":
        return UsageError(f"{shown} is missing: {option.help}")
    if option and first["type"] == "too_short" and not first["input"]:
        return UsageError(f"{shown} is empty, expected at least one: {option.help}")
    message = first["msg"].removeprefix("Value error, ")
    return UsageError(f"{shown} {first['input']!r}: {message[0].lower()}{message[1:]}.")


def _option(name: str, info: FieldInfo) -> Option:
    inner = _without_none(info.annotation)
    kind: Literal["flag", "text", "list", "map"] = "text"
    if inner is bool:
        kind = "flag"
    elif get_origin(inner) is tuple:
        kind = "list"
    elif get_origin(inner) is dict:
        kind = "map"
    refers = next((m.to for m in _marks(info) if isinstance(m, Refers)), None)
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    positional = bool(extra.get("positional"))
    metavar = str(
        extra.get("metavar") or (name.upper() if positional else refers.upper() if refers else _type_name(inner))
    )
    return Option(
        name=name,
        kind=kind,
        positional=positional,
        required=info.is_required(),
        default=None if info.default is PydanticUndefined else info.default,
        choices=_choices(inner),
        refers=refers,
        help=" ".join((info.description or "").split()),
        metavar=f"[{metavar}]" if "bare" in extra else metavar + ("..." if kind == "list" and positional else ""),
        short=str(short) if (short := extra.get("short")) else None,
        bare=str(bare) if (bare := extra.get("bare")) else None,
    )


def _marks(info: FieldInfo) -> list[Any]:
    inside = [mark for part in get_args(info.annotation) for mark in getattr(part, "__metadata__", ())]
    return [*info.metadata, *inside]


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) is Annotated:
        return _without_none(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _without_none(next(a for a in get_args(annotation) if a is not type(None)))
    return annotation


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(str(value) for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(str(member.value) for member in annotation)
    return ()


def _type_name(annotation: Any) -> str:
    if choices := _choices(annotation):
        return "|".join(choices)
    if get_origin(annotation) in (tuple, list):
        return "a,b"
    if get_origin(annotation) is dict:
        return "a=b"
    return {Path: "PATH", str: "TEXT", int: "N", float: "X"}.get(annotation, "VALUE")
