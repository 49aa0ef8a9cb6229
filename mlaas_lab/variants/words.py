"""The words that make a target a variant: read, taken off, and named by the content of their files.

They say what a target is told; where it is and how it samples is said by its other words, of which this knows none.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from mlaas_lab import data
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.redaction import redacted
from mlaas_lab.schema import Target
from mlaas_lab.variants import corpus, prompts

WORDS = ("prompt", "shots", "retrieve", "top_k", "by")
TOP_K = 3
"""Passages beside a question, unless the target says otherwise."""
BY = {"words": "mlaas_lab.variants.bm25:Ranking", "meaning": "mlaas_lab.variants.meaning:Ranking"}
"""How passages are ranked, the first unless the target says otherwise; and what does it."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a target says of itself as a variant; files are not looked at yet."""

    prompt: str | None = None
    """A file, a file's name without its ending, or the text itself."""
    shots: int = 0
    examples: Path | None = None
    """Where the shots come from; None: the train part of what is asked."""
    retrieve: Path | None = None
    top_k: int = TOP_K
    by: str = next(iter(BY))
    """What orders passages; one of BY."""


def shown(target: Target) -> str:
    """`target` as a message says it: without what looks like a key."""
    return repr(redacted(str(target)))


def bare(target: Target) -> Target:
    """`target` without those words: where it is and how it samples."""
    return replace(target, params=tuple(pair for pair in target.params if pair[0] not in WORDS))


def read(target: Target, folder: Path) -> Words | None:
    """What `target` says; a relative path begins at `folder`. None where it is no variant.

    Raises:
        UsageError: for a word that says nothing, or no number where one belongs.
    """
    said = {word: target.get(word) for word in WORDS if target.get(word) is not None}
    if not said:
        return None
    for word, text in said.items():
        if not (text or "").strip():
            raise UsageError(f"target {shown(target)}: {word} is empty.")
    for word, example in (("top_k", "3"), ("by", "meaning")):
        if word in said and "retrieve" not in said:
            hint = f"Write retrieve=FILE&{word}={example}."
            raise UsageError(f"target {shown(target)}: {word} goes with retrieve.", next=hint)
    by = said.get("by") or next(iter(BY))
    if by not in BY:
        hint = did_you_mean(by, BY) or f"Expected {' or '.join(BY)}."
        raise UsageError(f"target {shown(target)}: passages are not ranked by {by!r}.", next=hint)
    shots, _, examples = (said.get("shots") or "").partition("@")
    retrieve = said.get("retrieve")
    return Words(
        prompt=said.get("prompt"),
        shots=_number(target, "shots", shots) if "shots" in said else 0,
        examples=placed(examples, folder) if examples else None,
        retrieve=placed(retrieve, folder) if retrieve else None,
        top_k=_number(target, "top_k", said.get("top_k") or str(TOP_K)),
        by=by,
    )


def placed(name: str, folder: Path) -> Path:
    """The path that `name` means where relative ones begin at `folder`."""
    return folder / os.path.expanduser(name)


def named(target: Target, folder: Path) -> str:
    """`target` as text, with a SHA-256 over the content of its variant's files if it has any.

    Raises:
        UsageError: for a word that cannot be used.
        DataError: for a file that cannot be read.
    """
    words = read(target, folder)
    if words is None:
        return str(target)
    try:
        return f"{target} {hashlib.sha256(' '.join(_contents(words, folder)).encode()).hexdigest()}"
    except DataError as error:
        raise said_of(target, error) from None


def said_of(target: Target, error: DataError) -> DataError:
    """`error`, and whose words led to it."""
    return DataError(f"target {shown(target)}: {error.message}", next=error.next)


def _contents(words: Words, folder: Path) -> Iterator[str]:
    if words.prompt is not None:
        found = prompts.located(words.prompt, folder)
        yield "text" if found is None else data.sha256(found)
    if words.examples is not None:
        yield data.sha256(words.examples)
    if words.retrieve is not None:
        for name, path in corpus.files(words.retrieve):
            yield f"{name} {data.sha256(path)}"


def _number(target: Target, word: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        wanted = "N or N@FILE, with N" if word == "shots" else "a number,"
        raise UsageError(f"target {shown(target)}: {word} must be {wanted} 1 or more, not {text!r}.")
    return number
