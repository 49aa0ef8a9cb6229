"""Shots: examples with their answers, put before the question.

They are drawn by a seed, the same for every question, and the first two of three are those of two. An example that is
asked too would give its answer away: a file that holds one is refused, and one that nearly repeats a question is never
drawn.
"""

import random
from collections.abc import Sequence
from pathlib import Path

from mlaas_lab import data
from mlaas_lab.data import Chat
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Sample

ELSEWHERE = "Take them from other rows: a snapshot's train part (data check FILE --out DIR) has none of its test part."


def drawn(n: int, path: Path, *, seed: int, samples: Sequence[Sample] = ()) -> tuple[Chat, ...]:
    """`n` examples of the chat file or snapshot `path`, none of which is among `samples`.

    Raises:
        DataError: for a file that cannot be read, has too few of them, or holds what is asked.
    """
    from mlaas_lab.data.similar import repeats

    chats = data.load(path)
    asked = list(dict.fromkeys(Chat(id=one.id, messages=one.messages).asked for one in samples if one.messages))
    _check_leak(chats, frozenset(asked), path)
    # Of those that ask the same, the first.
    distinct = {chat.asked: chat for chat in reversed(chats) if not chat.one_sided}
    near = {pair.index for pair in repeats(list(distinct), others=asked)} if asked and distinct else set()
    left = [chat for at, chat in enumerate(distinct.values()) if at not in near]
    if len(left) < n:
        besides = f" besides {len(near)} that nearly repeat what is asked" if near else ""
        raise DataError(
            f"{path} has {len(left)} different examples with an answer{besides}, and shots asks for {n}.",
            next="Ask for fewer, or name a larger file: shots=N@FILE.",
        )
    random.Random(seed).shuffle(left)  # noqa: S311 - no secret
    return tuple(left[:n])


def _check_leak(chats: Sequence[Chat], asked: frozenset[str], path: Path) -> None:
    leaked = [chat.id for chat in chats if chat.asked in asked]
    if leaked:
        raise DataError(
            f"{len(leaked)} of the {len(chats)} examples in {path} are asked too, the first is {leaked[0]!r}:"
            " their answers would be given away.",
            next=ELSEWHERE,
        )
