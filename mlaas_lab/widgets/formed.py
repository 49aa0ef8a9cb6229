"""The options of a task as a form: what a page shows of them, and what its Spec says of what somebody types.

The Spec alone decides what fits; the page knows no rule. It knows no widget: whatever carries messages can ask it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Option, Spec, build, options
from mlaas_lab.widgets import twin
from mlaas_lab.widgets.messages import Kinds, Message, answered
from mlaas_lab.widgets.texts import NAME, text

FORMS = {"N": "whole number", "X": "number", "TEXT": "", "PATH": "file"}
"""What a command line writes for a value → what somebody is to type."""
LONGEST = 10_000
"""Characters of a value."""


class Typed(Message):
    """What is in the fields now; one that is empty is left out."""

    values: dict[str, str] = Field(max_length=200)


class Submit(Typed):
    """Run it."""


KINDS: Kinds = {"typed": Typed, "submit": Submit}


@dataclass(frozen=True, kw_only=True)
class Formed:
    """A form for one command that makes a job."""

    name: str
    """Of the command."""
    spec: type[Spec]
    """Its options."""
    first: tuple[str, ...]
    """Names of those that are the task's own; the others stand folded below."""
    about: str
    """What it does."""
    run: Callable[[list[str]], Any]
    """Runs the command with these words; what it returns has an `id` if it is a job."""

    @property
    def content(self) -> dict[str, JSON]:
        """What never changes."""
        return {
            "title": text(self.name, NAME),
            "about": text(self.about),
            "fields": [self._field(option) for option in sorted(options(self.spec), key=lambda one: not one.required)],
            "opening": self._checked({}),
        }

    def answer(self, message: object) -> Mapping[str, JSON] | None:
        """What to send back; None for what is no message of ours."""
        return answered(message, KINDS, self._answer)

    def _answer(self, message: Message) -> dict[str, JSON]:
        match message:
            case Submit():
                return self._submitted(message.values)
            case Typed():
                return self._checked(message.values)
            case _:
                raise UsageError(f"nothing answers {message.kind!r}.")

    def _submitted(self, values: Mapping[str, str]) -> dict[str, JSON]:
        checked = self._checked(values)
        if checked["wrong"]:
            return checked
        made = self.run(twin.words(self.spec, self._read(values)))
        job_id = getattr(made, "id", None)
        code = twin.magic(["attach", job_id]) if job_id else ""
        return {"kind": "told", "said": f"Job {job_id} is {made.state}." if job_id else "Done.", "code": code}

    def _checked(self, values: Mapping[str, str]) -> dict[str, JSON]:
        """The line that does the same, and what does not fit: the Spec's own words, and the field they are about."""
        line, wrong, field = twin.magic([self.name]), "", ""
        try:
            read = self._read(values)
            line = twin.magic([self.name, *twin.words(self.spec, read)])
            build(self.spec, read)
        except UsageError as error:
            wrong = str(error)
            starts = ((o, (o.flag, o.metavar) if o.positional else (o.flag,)) for o in options(self.spec))
            field = next((o.name for o, said in starts if wrong.startswith(tuple(f"{w} " for w in said))), "")
        return {"kind": "checked", "line": line, "wrong": text(wrong), "field": field}

    def _read(self, values: Mapping[str, str]) -> dict[str, JSON]:
        known = {option.name: option for option in options(self.spec)}
        strange = next((name for name in values if name not in known), None)
        if strange is not None or any(len(value) > LONGEST for value in values.values()):
            raise UsageError(f"there is no field {strange!r}." if strange else "that is too long for a field.")
        return {name: _value(known[name], value) for name, value in values.items() if value != ""}

    def _field(self, option: Option) -> dict[str, JSON]:
        return {
            "name": option.name,
            "label": option.name.replace("_", " "),
            "kind": "choice" if option.choices or option.kind == "flag" else "text",
            "choices": ["yes", "no"] if option.kind == "flag" else list(option.choices),
            "default": text(_shown(option), NAME),
            "required": option.required,
            "help": text(option.help),
            "form": text(FORMS.get(option.metavar, option.metavar.lower()), NAME),
            "own": option.name in self.first,
        }


def _value(option: Option, value: str) -> JSON:
    return value == "yes" if option.kind == "flag" and value in ("yes", "no") else value


def _shown(option: Option) -> str:
    """A default as somebody would type it; empty where there is none."""
    if isinstance(option.default, bool):
        return "yes" if option.default else "no"
    return "" if option.default is None else twin.said(option.default)
