"""A prompt: what is said to a target before the question, and the words around it.

A text is a system prompt, or a template if it holds `{question}`; YAML or JSON may say both. Braces of any other kind
are text: a prompt often shows JSON.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mlaas_lab.data import files
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.schema import Passage

ENDINGS = (".txt", ".md", ".yaml", ".yml", ".json")
QUESTION, CONTEXTS = "{question}", "{contexts}"
PLACES = re.compile(r"\{(question|contexts)\}")
BESIDE = f"Use these passages to answer.\n\n{CONTEXTS}\n\nQuestion: {QUESTION}"
"""The template of a target that retrieves and has none of its own."""
NONE_FOUND = "(none was found)"


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What stands around a question."""

    system: str | None = None
    """In place of the system prompt that the data has."""
    template: str | None = None
    """In place of the last question; holds `{question}`, and `{contexts}` where passages are shown."""


def located(text: str, folder: Path) -> Path | None:
    """The file that `text` names, its ending left out or not; None where `text` is the prompt itself.

    Raises:
        UsageError: if two files have that name.
        DataError: if it can be no prompt, and no file has that name.
    """
    place = str(folder / os.path.expanduser(text))
    if os.path.isfile(place):
        return Path(place)
    found = [Path(place + ending) for ending in ENDINGS if os.path.isfile(place + ending)]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise UsageError(f"prompt={text} may be {names}.", next="Write the ending too.")
    if found:
        return found[0]
    if len(text.split()) > 1 and not text.endswith(ENDINGS):
        return None
    raise files.absent(Path(place))


def read(text: str, folder: Path) -> Prompt:
    """The prompt that `text` is or names.

    Raises:
        UsageError: if two files have that name.
        DataError: for a file that is not there, is empty, or says something else.
    """
    path = located(text, folder)
    if path is None:
        return _plain("the prompt", text)
    try:
        said = b"".join(line for _, line in files.lines(path)).decode().strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: byte {error.start} is none of a character.") from None
    if not said:
        raise DataError(f"{path} is empty: there is nothing to say.")
    return _structured(path, said) if path.suffix in (".yaml", ".yml", ".json") else _plain(str(path), said)


def filled(template: str, question: str, contexts: Sequence[Passage] | None) -> str:
    """`template` with its places filled; what is put in is not looked at again."""
    shown = "\n\n".join(f"[{at}] {passage.text}" for at, passage in enumerate(contexts or (), start=1))
    told = {"question": question, "contexts": shown or NONE_FOUND}
    return PLACES.sub(lambda place: told[place[1]], template)


def _plain(name: str, text: str) -> Prompt:
    if PLACES.search(text):
        return Prompt(template=_asking(name, text))
    return Prompt(system=text)


def _asking(name: str, template: str) -> str:
    if QUESTION not in template:
        raise DataError(f"{name} shows no question.", next=f"Write {QUESTION} where it belongs.")
    return template


def _structured(path: Path, text: str) -> Prompt:
    try:
        found: Any = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        kind = "JSON" if path.suffix == ".json" else "YAML"
        raise DataError(f"{path} is no {kind}: {' '.join(str(error).split())[:120]}.") from None
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path} says no prompt.", next="Expected system, template, or both.")
    for name, value in found.items():
        if name not in ("system", "template"):
            hint = did_you_mean(str(name), ("system", "template"))
            raise DataError(f"{path}: unknown field {name!r}.", next=hint or "A prompt has system and template.")
        if not isinstance(value, str) or not value.strip() or re.search("[\ud800-\udfff]", value):
            raise DataError(f"{path}: {name} is no text.")
    if "template" in found:
        _asking(f"{path}: the template", found["template"])
    return Prompt(**found)
