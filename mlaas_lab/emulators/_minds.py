"""Who answers in an emulator: an echo, or a script. One word is one token."""

import re
from collections.abc import Mapping
from pathlib import Path

import orjson

from mlaas_lab.emulators import Answer, Mind, Question
from mlaas_lab.errors import DataError


def echo(question: Question) -> Answer:
    """The last turn again."""
    return said(question, question.turns[-1][1] if question.turns else "")


def scripted(answers: Mapping[str, str]) -> Mind:
    """Answers by what the last turn says; an echo for all else."""

    def mind(question: Question) -> Answer:
        last = question.turns[-1][1] if question.turns else ""
        return said(question, answers.get(last, last))

    return mind


def script(path: Path) -> Mind:
    """A script from JSONL rows `{"prompt": …, "completion": …}`.

    Raises:
        DataError: naming the first line that is none.
    """
    answers: dict[str, str] = {}
    try:
        lines = path.expanduser().read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
            answers[row["prompt"]] = str(row["completion"])
        except (ValueError, LookupError, TypeError):
            raise DataError(f'{path}:{n}: expected {{"prompt": …, "completion": …}}.') from None
    return scripted(answers)


def said(question: Question, text: str) -> Answer:
    """`text` as the answer to `question`, cut where it may say no more."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])
    kept = words if question.max_tokens is None else words[: question.max_tokens]
    return Answer(
        pieces=tuple(kept),
        finish="stop" if len(kept) == len(words) else "length",
        input_tokens=sum(len(turn.split()) for _, turn in question.turns),
        output_tokens=len(kept),
    )
