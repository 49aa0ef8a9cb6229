"""A dataset looked over before anything is paid for: what cannot be read, what repeats, what leaks, what is cut off.

Bad rows are errors. Everything else is counted and left to the user.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from mlaas_lab.data import personal, reading
from mlaas_lab.data.chats import Chat, numbered
from mlaas_lab.data.report import Found, Percentiles, Report, Tokens
from mlaas_lab.data.rows import BadRow
from mlaas_lab.data.snapshots import MANIFEST, resolve, sha256
from mlaas_lab.schema import Message

Counter = Callable[[list[Message]], int]


def check(
    path: Path,
    *,
    mapping: Mapping[str, str] | None = None,
    count_tokens: Counter | None = None,
    max_length: int | None = None,
    against: Path | None = None,
) -> Report:
    """Look a dataset over; a snapshot's train part is compared with its test part.

    Args:
        path: a file that `load` reads, or a snapshot.
        mapping: column → field, for both files.
        count_tokens: the base's tokens in a chat; without it lengths are unknown.
        max_length: tokens of a chat that training keeps, for the forecast.
        against: another file, whose questions should not be asked here.

    Raises:
        DataError: if a file itself is broken or has no rows.
    """
    place = resolve(path)
    chats, bad = _sorted(place, mapping)
    lengths = _lengths(chats, bad, count_tokens) if count_tokens else None
    other = against or _held_out(path)
    known = reading.load(other, mapping=mapping) if other else None
    distinct, duplicates, conflicts = _repeats(chats)
    return Report(
        path=path,
        sha256=sha256(path),
        rows=len(chats) + len(bad),
        bad=tuple(sorted(bad, key=lambda row: row.line)),
        turns=sum(len(chat.messages) for chat in chats),
        groups=len({chat.group for chat in chats if chat.group}),
        answers=len({chat.answer for chat in chats if chat.answer}),
        tokens=_tokens(lengths, chats, max_length) if lengths is not None else None,
        one_sided=Found.of(chat.line for chat in chats if chat.one_sided),
        duplicates=Found.of(duplicates),
        conflicts=Found.of(conflicts),
        near_duplicates=_near(distinct),
        leakage=_leakage(chats, known) if known is not None else None,
        against=other,
        personal=_personal(chats),
    )


def _sorted(place: Path, mapping: Mapping[str, str] | None) -> tuple[list[Chat], list[reading.Bad]]:
    chats: list[Chat] = []
    bad: list[reading.Bad] = []
    for row in reading.scan(place, mapping=mapping):
        if isinstance(row, Chat):
            chats.append(row)
        else:
            bad.append(row)
    if not chats and not bad:
        raise reading.no_rows(place)
    return list(numbered(chats)), bad


def _lengths(chats: list[Chat], bad: list[reading.Bad], count: Counter) -> list[int]:
    """Tokens of each chat; those that the base's template refuses move to the bad rows."""
    lengths: list[int] = []
    kept: list[Chat] = []
    for chat in chats:
        try:
            lengths.append(count(list(chat.messages)))
        except BadRow as error:
            bad.append(reading.Bad(line=chat.line, message=str(error)))
        else:
            kept.append(chat)
    chats[:] = kept
    return lengths


def _held_out(path: Path) -> Path | None:
    folder = path.expanduser()
    return folder / "test.jsonl" if os.path.isfile(folder / MANIFEST) else None


def _repeats(chats: Sequence[Chat]) -> tuple[list[Chat], list[tuple[int, int]], list[tuple[int, int]]]:
    """Chats that ask something new; lines that repeat a chat; lines that ask the same and answer differently."""
    seen: dict[str, dict[str, int]] = defaultdict(dict)
    distinct: list[Chat] = []
    duplicates: list[tuple[int, int]] = []
    conflicts: list[tuple[int, int]] = []
    for chat in chats:
        answers = seen[chat.asked]
        answer = " ".join((chat.answer or "").split())
        if not answers:
            distinct.append(chat)
        elif answer in answers:
            duplicates.append((chat.line, answers[answer]))
        else:
            conflicts.append((chat.line, next(iter(answers.values()))))
        answers.setdefault(answer, chat.line)
    return distinct, duplicates, conflicts


def _near(distinct: Sequence[Chat]) -> Found:
    # numpy costs 0.1 s to import: only where it is used.
    from mlaas_lab.data.similar import repeats

    pairs = repeats([chat.asked for chat in distinct])
    return Found.of((distinct[pair.index].line, distinct[pair.of].line) for pair in pairs)


def _leakage(chats: Sequence[Chat], known: Sequence[Chat]) -> Found:
    """Lines whose question the other file asks too, or nearly."""
    from mlaas_lab.data.similar import repeats

    lines = {chat.asked: chat.line for chat in reversed(known)}
    texts, others = [chat.asked for chat in chats], list(lines)
    pairs = {pair.index: lines[others[pair.of]] for pair in repeats(texts, others=others)}
    pairs |= {index: lines[text] for index, text in enumerate(texts) if text in lines}
    return Found.of((chats[index].line, pairs[index]) for index in sorted(pairs))


def _personal(chats: Iterable[Chat]) -> dict[str, Found]:
    lines: dict[str, list[int]] = {kind: [] for kind in personal.FORMS}
    for chat in chats:
        for kind in {kind for message in chat.messages for kind in personal.kinds_in(message.content)}:
            lines[kind].append(chat.line)
    return {kind: Found.of(found) for kind, found in lines.items()}


def _tokens(lengths: list[int], chats: Sequence[Chat], max_length: int | None) -> Tokens:
    cut = [] if max_length is None else [i for i, length in enumerate(lengths) if length > max_length]
    return Tokens(
        percentiles=Percentiles.of(lengths),
        total=sum(lengths),
        max_length=max_length,
        truncated=None if max_length is None else Found.of(chats[i].line for i in cut),
        lost=None if max_length is None else sum(lengths[i] - max_length for i in cut),
    )
