"""Who answers in an emulator: an echo, a script, or a model of ours. One word is one token, unless the model counts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import orjson

from mlaas_lab.emulators import Answer, Mind, Question
from mlaas_lab.errors import DataError
from mlaas_lab.inference import Params, complete, resolve
from mlaas_lab.schema import Message
from mlaas_lab.settings import Settings

LONGEST_TOKENS = 1024
"""Of an answer, when the question does not say."""


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


def asking(target: str, settings: Settings) -> Mind:
    """A model of ours, or any other target, answers.

    Raises:
        LabError: if there is no such target.
    """
    route = resolve(target, settings)

    def mind(question: Question) -> Answer:
        turns = tuple(Message(role=_role(role), content=text) for role, text in question.turns)
        params = Params(max_tokens=question.max_tokens or LONGEST_TOKENS, temperature=question.temperature)
        done = complete(route.target, turns, settings=settings, params=params)
        words = re.findall(r"\s*\S+\s*$|\s*\S+", done.text) or ([done.text] if done.text else [])
        return Answer(
            pieces=tuple(words),
            finish="length" if done.finish_reason == "length" else "stop",
            input_tokens=done.usage.input_tokens or sum(len(text.split()) for _, text in question.turns),
            output_tokens=done.usage.output_tokens or len(words),
        )

    return mind


def _role(role: str) -> Literal["system", "user", "assistant", "tool"]:
    match role:
        case "system" | "developer":
            return "system"
        case "assistant" | "model":
            return "assistant"
        case _:
            return "user"


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
