"""A split: which chats are trained on and which are held out, decided by a seed and nothing else.

A chat's place follows from a hash of seed and question, so it does not move when rows are added in another order, and
chats that ask the same never stand on both sides.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from mlaas_lab.data.chats import Chat
from mlaas_lab.errors import DataError

By = Literal["group", "reference"]


@dataclass(frozen=True, kw_only=True)
class Split:
    """Two parts that share no question and together are everything, each in the order of the file."""

    train: tuple[Chat, ...]
    test: tuple[Chat, ...]
    share: float
    """Of the rows, asked for the test part."""
    seed: int
    by: By | None


def split(chats: Sequence[Chat], *, test: float, seed: int = 0, by: By | None = None) -> Split:
    """Hold out a share of the chats.

    Args:
        chats: with unique ids, as `load` gives them.
        test: share of rows to hold out, above 0 and below 1.
        seed: another seed, another split.
        by: keep the shares of each group, or of each reference answer, alike on both sides.

    Raises:
        DataError: if one side would be empty, or if `by` names something that no chat has.
    """
    strata = _strata(chats, by)
    wanted = min(max(1, round(len(chats) * test)), len(chats) - 1)
    held: set[str] = set()
    for units, quota in zip(strata, _quotas(strata, wanted, len(chats)), strict=True):
        held |= _held_out(units, quota, seed)
    questions = [unit for units in strata for unit in units]
    if len(questions) < 2:
        raise DataError(
            f"{len(chats)} rows that all ask the same cannot be split: one side would be empty.",
            next="Add rows with other questions.",
        )
    if not held:  # each question is asked more often than the test part has room for
        held.update(min(questions, key=lambda unit: (len(unit[1]), _rank(seed, unit[0])))[1])
    return Split(
        train=tuple(chat for chat in chats if chat.id not in held),
        test=tuple(chat for chat in chats if chat.id in held),
        share=test,
        seed=seed,
        by=by,
    )


Unit = tuple[str, list[str]]
"""A question and the ids of the chats that ask it."""


def _strata(chats: Sequence[Chat], by: By | None) -> list[list[Unit]]:
    if by == "group" and chats and not any(chat.group for chat in chats):
        raise DataError("no row has a group to split by.", next="Name its column: --map COLUMN=group.")
    units: dict[str, list[Chat]] = defaultdict(list)
    for chat in chats:
        units[chat.asked].append(chat)
    strata: dict[str, list[Unit]] = defaultdict(list)
    for question, members in units.items():
        strata[_stratum(members[0], by)].append((question, [chat.id for chat in members]))
    return [strata[name] for name in sorted(strata)]


def _stratum(chat: Chat, by: By | None) -> str:
    match by:
        case None:
            return ""
        case "group":
            return chat.group or ""
        case "reference":
            return chat.answer or ""


def _quotas(strata: list[list[Unit]], wanted: int, rows: int) -> list[int]:
    """How many rows each stratum gives, by largest remainder; ties by the order of names."""
    exact = [Fraction(sum(len(ids) for _, ids in units) * wanted, rows) for units in strata]
    quotas = [int(share) for share in exact]
    for index in sorted(range(len(exact)), key=lambda i: (quotas[i] - exact[i], i))[: wanted - sum(quotas)]:
        quotas[index] += 1
    return quotas


def _held_out(units: list[Unit], quota: int, seed: int) -> set[str]:
    held: set[str] = set()
    for _, ids in sorted(units, key=lambda unit: _rank(seed, unit[0])):
        if len(held) + len(ids) <= quota:
            held.update(ids)
    return held


def _rank(seed: int, question: str) -> bytes:
    return hashlib.sha256(f"{seed} {question}".encode()).digest()
