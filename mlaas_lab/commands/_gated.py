"""What a gate is held against: the rules that somebody wrote, and the records of runs that have ended."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlaas_lab.commands import _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.gating import Rule, parse
from mlaas_lab.lab import Lab

if TYPE_CHECKING:
    import polars as pl


def rules(word: str) -> tuple[list[Rule], str]:
    """The rules in the file `word`, or in `word` itself; and as they are written.

    Raises:
        UsageError: if there are none, or one cannot be read.
        DataError: if the file cannot be read.
    """
    path = Path(word).expanduser()
    if _is_file(path):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            raise DataError(f"{word} cannot be read: {reason}.") from None
    elif path.suffix and " " not in word and not any(sign in word for sign in "<>=≤≥"):
        raise DataError(f"{word} does not exist; expected a file of rules.")
    else:
        text = word
    found = parse(text)
    if not found:
        raise UsageError("there is no rule to hold it against.", next="A gate without a rule would let all through.")
    return found, text


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # Rules may be longer than any file's name.
        return False


def records(word: str, lab: Lab) -> "tuple[pl.DataFrame, list[Mapping[str, Any]]]":
    """The records that `word` names, and what their evaluations were asked with."""
    source = _sources.find(word, lab)
    frame = _sources.read(source)
    if frame.is_empty():
        raise DataError(f"{word}: no records yet.")
    if source.unfinished:
        raise DataError(f"{word} is {source.state}: what is not finished passes no gate.", next=f"wait {word}")
    known = [job.spec for job in _sources.measured_by(frame, source, lab)]
    return frame, known or ([source.asked] if source.asked else [])
