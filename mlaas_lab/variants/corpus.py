"""A corpus: texts cut into passages, of which those that fit a question are shown beside it.

JSON lines are passages as they stand; Markdown and text are cut at headings and empty lines. How passages are ranked
is another's business: whatever has `top` will do.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from mlaas_lab import registry
from mlaas_lab.data import files as reading
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Passage

ROWS, HEADED, TEXT = (".jsonl", ".ndjson"), (".md", ".markdown"), (".txt",)
EXPECTED = "Expected JSON lines with a text each (.jsonl), Markdown (.md), text (.txt), or a folder of them."
TEXTS, SOURCES = ("text", "content", "passage"), ("source", "id", "title", "url")
"""What a row may call its text, and where it is from."""
HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can say it, and nobody can be sent it."""
LONGEST = 1_200
"""Characters of a passage that is cut from a text; about 300 tokens."""


class Ranks(Protocol):
    """What orders passages by how well they fit: words here; vectors would have the same face."""

    def top(self, question: str, k: int) -> list[tuple[int, float]]:
        """The places of the at most `k` that fit best, best first, each with its score."""


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Passages, and what ranks them."""

    sources: tuple[str, ...]
    """Where each is from: what its row says, or `FILE:LINE`."""
    texts: tuple[str, ...]
    ranks: Ranks

    def find(self, question: str, k: int) -> tuple[Passage, ...]:
        """At most `k` passages, best first; none where none fits."""
        found = self.ranks.top(question, k)
        return tuple(Passage(source=self.sources[at], text=self.texts[at], score=score) for at, score in found)


def read(path: Path, ranking: Callable[[Sequence[str]], Ranks] | None = None) -> Corpus:
    """The corpus in `path`, a file or a folder, ranked by BM25 unless `ranking` does it otherwise.

    Raises:
        DataError: for what cannot be read, or has no passage.
    """
    found = [passage for name, file in files(path) for passage in _passages(name, file)]
    if not found:
        raise DataError(f"{path} has no passage: all of it is empty.", next=EXPECTED)
    sources, texts = zip(*found, strict=True)
    ranking = ranking or registry.resolve("mlaas_lab.variants.bm25:Ranking")
    return Corpus(sources=sources, texts=texts, ranks=ranking(texts))


def files(path: Path) -> list[tuple[str, Path]]:
    """The files of a corpus and what each is called, in the order of their names; hidden ones are none of it.

    Raises:
        DataError: if there are none.
    """
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise reading.absent(path)
        if not _readable(path.name):
            raise DataError(f"{path} has no format we read.", next=EXPECTED)
        return [(path.name, path)]
    inside = [(file.relative_to(path), file) for file in sorted(path.rglob("*")) if file.is_file()]
    found = [
        (str(name), file)
        for name, file in inside
        if _readable(file.name) and not any(part.startswith(".") for part in name.parts)
    ]
    if not found:
        raise DataError(f"{path} holds no passages.", next=EXPECTED)
    return found


def _readable(name: str) -> bool:
    return _ending(name) in (*ROWS, *HEADED, *TEXT)


def _ending(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _passages(name: str, path: Path) -> Iterator[tuple[str, str]]:
    """Source and text of each passage of one file."""
    if _ending(name) in ROWS:
        for line, raw in reading.lines(path):
            if raw.strip():
                yield _row(name, path, line, raw)
        return
    for line, text in _cut(_blocks(path, headed=_ending(name) in HEADED)):
        yield f"{name}:{line}", text


def _row(name: str, path: Path, line: int, raw: bytes) -> tuple[str, str]:
    try:
        row: Any = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}:{line}: broken JSON ({' '.join(str(error).split())[:80]}).") from None
    fields = row if isinstance(row, dict) else {"text": row}
    text = next((fields[field] for field in TEXTS if fields.get(field)), None)
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{path}:{line}: the row has no text, expected it in {', '.join(TEXTS)}.")
    if HALF.search(text):
        raise DataError(f"{path}:{line}: the text holds half of a surrogate pair, expected Unicode text.")
    source = next((fields[field] for field in SOURCES if fields.get(field)), f"{name}:{line}")
    return HALF.sub("?", str(source)), text.strip()


def _blocks(path: Path, *, headed: bool) -> Iterator[tuple[int, str, bool]]:
    """Each run of lines that are not empty: where it begins, its text, and whether it is a heading."""
    begun, block = 0, list[str]()
    for line, raw in chain(reading.lines(path), [(0, b"")]):
        try:
            text = raw.decode().rstrip()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{line}: byte {error.start} is not UTF-8, expected UTF-8 text.") from None
        heading = headed and text.startswith("#")
        if block and (not text.strip() or heading):
            yield begun, "\n".join(block), False
            block = []
        if heading:
            yield line, text.lstrip("#").strip(), True
        elif text.strip():
            begun, block = begun if block else line, [*block, text]


def _cut(blocks: Iterator[tuple[int, str, bool]]) -> Iterator[tuple[int, str]]:
    """Blocks joined to passages: a heading begins one, and none is longer than LONGEST."""
    begun, parts, only_headings = 0, list[str](), True
    for line, text, heading in blocks:
        full = len(text) + sum(map(len, parts)) > LONGEST
        if parts and not only_headings and (heading or full):
            yield from _pieces(begun, parts)
            parts = []
        if not parts:
            begun, only_headings = line, True
        parts.append(text)
        only_headings = only_headings and heading
    if parts:
        yield from _pieces(begun, parts)


def _pieces(line: int, parts: Sequence[str]) -> Iterator[tuple[int, str]]:
    text = "\n\n".join(part for part in parts if part)
    while len(text) > LONGEST:
        at = text.rfind(" ", LONGEST // 2, LONGEST)
        at = LONGEST if at < 0 else at
        yield line, text[:at].strip()
        text = text[at:].strip()
    if text:
        yield line, text
