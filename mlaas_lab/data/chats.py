"""A chat: one row of a dataset as it is trained on, and the sample it becomes when a target is asked.

This file knows neither files nor formats.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from mlaas_lab.schema import Message, Sample


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A whole conversation, the last answer included."""

    id: str
    """Unique in its file: the row's own id or a hash of its content, with `-2`, `-3` … for repeats."""
    messages: tuple[Message, ...]
    group: str | None = None
    contexts: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)
    """Where it stood in its file, from 1."""

    @property
    def answer(self) -> str | None:
        """The last assistant turn, if the chat ends with one."""
        last = self.messages[-1]
        return last.content if last.role == "assistant" else None

    @property
    def question(self) -> tuple[Message, ...]:
        """The turns before the answer."""
        return self.messages if self.answer is None else self.messages[:-1]

    @cached_property
    def asked(self) -> str:
        """The question without system message, case, spacing and punctuation; equal ones ask the same."""
        text = "\n".join(message.content for message in self.question if message.role != "system")
        # A question that is only signs folds to nothing and stays as it stands.
        return re.sub(r"[\W_]+", " ", text.lower()).strip() or text.strip()

    @property
    def one_sided(self) -> bool:
        """Nobody asks, or nobody answers."""
        asked = any(m.role in ("user", "tool") and m.content.strip() for m in self.messages)
        return not asked or not (self.answer or "").strip()


def samples(chats: Iterable[Chat]) -> list[Sample]:
    """What an evaluation asks: each chat without its last answer, which becomes the reference."""
    return [Sample(id=c.id, messages=c.question, reference=c.answer, contexts=c.contexts, group=c.group) for c in chats]


def content_id(messages: Iterable[Message]) -> str:
    """A hash of what was said and by whom: 16 hex digits."""
    digest = hashlib.sha256()
    for message in messages:
        content = message.content.encode()
        digest.update(f"{message.role} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def numbered(chats: Iterable[Chat]) -> Iterator[Chat]:
    """The same chats with ids that are unique: a repeat gets `-2`, the next `-3`."""
    seen: Counter[str] = Counter()
    for chat in chats:
        name = chat.id
        seen[chat.id] += 1
        while seen[chat.id] > 1 and (name := f"{chat.id}-{seen[chat.id]}") in seen:
            seen[chat.id] += 1
        if name != chat.id:
            seen[name] += 1
        yield chat if name == chat.id else replace(chat, id=name)
