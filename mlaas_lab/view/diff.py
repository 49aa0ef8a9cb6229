"""Which words of a text differ from another's: pure, and bounded, since a model may write without end."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

WORD = re.compile(r"\s+|\w+|[^\w\s]")
LIMIT = 600
"""Words and gaps compared; what lies behind is shown unmarked."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A stretch of text, and whether it differs."""

    text: str
    differs: bool


def against(text: str, other: str) -> list[Piece]:
    """`text` in pieces; those that differ have no counterpart in `other`. Case counts, spacing does not."""
    mine, theirs = WORD.findall(text), WORD.findall(other)
    head, rest = mine[:LIMIT], "".join(mine[LIMIT:])
    words = [(i, word) for i, word in enumerate(head) if not word.isspace()]
    kept = _kept([word for _, word in words], [word for word in theirs[:LIMIT] if not word.isspace()])
    differs = [False] * len(head)
    for (i, _), same in zip(words, kept, strict=True):
        differs[i] = not same
    for i in range(1, len(head) - 1):
        differs[i] = differs[i] or (head[i].isspace() and differs[i - 1] and differs[i + 1])
    return [*_joined(head, differs), *([Piece(text=rest, differs=False)] if rest else [])]


def _kept(mine: list[str], theirs: list[str]) -> list[bool]:
    kept = [False] * len(mine)
    for block in SequenceMatcher(None, mine, theirs, autojunk=False).get_matching_blocks():
        kept[block.a : block.a + block.size] = [True] * block.size
    return kept


def _joined(words: Sequence[str], differs: Sequence[bool]) -> list[Piece]:
    pieces: list[Piece] = []
    for word, flag in zip(words, differs, strict=True):
        if pieces and pieces[-1].differs == flag:
            pieces[-1] = Piece(text=pieces[-1].text + word, differs=flag)
        else:
            pieces.append(Piece(text=word, differs=flag))
    return pieces
