"""One review of two targets: a file of lines, and what its lines add up to.

Later entries replace earlier ones, an undo is an entry too, so nothing that somebody said is ever lost. Which target
stands left is drawn anew for each reviewer and sample from the review's seed: neither a habit of looking left nor what
was seen before tells them apart.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from mlaas_lab.errors import DataError
from mlaas_lab.reviewing import lines
from mlaas_lab.reviewing.ordering import Side
from mlaas_lab.schema import JSON

LONGEST = 4000
"""Characters of a comment; of a name, see NAME."""
NAME = 120


class Preference(StrEnum):
    """What a reviewer says of two answers."""

    A = "a"
    B = "b"
    TIE = "tie"
    BOTH_BAD = "both_bad"
    SKIP = "skip"


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a review was begun; its first line."""

    a: str
    b: str
    metric: str | None
    seed: int
    blind: bool
    at: float


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one reviewer said of one sample."""

    by: str
    sample: str
    prefers: Preference
    left: Side
    """Who stood left."""
    blind: bool
    """The reviewer did not know who was who, and had not seen it of this sample."""
    answers: str
    """Digest of the two answers it is about."""
    at: float
    """UTC."""


Key = tuple[str, str]
"""Reviewer and sample."""


@dataclass
class _State:
    """What the lines so far add up to."""

    setup: Setup | None = None
    said: dict[Key, Said] = field(default_factory=dict)
    comments: dict[Key, str] = field(default_factory=dict)
    named: set[Key] = field(default_factory=set)
    done: dict[str, list[tuple[str, str, Any]]] = field(default_factory=dict)
    """Reviewer → what can be undone: event, sample, and what stood there before."""

    def take(self, line: Mapping[str, Any]) -> None:
        """One more line; what is none of ours is passed over."""
        try:
            match line.get("event"):
                case "review" if self.setup is None:
                    self.setup = Setup(**{key: line[key] for key in Setup.__dataclass_fields__})
                case "verdict":
                    one = _said(line)
                    self._put("verdict", self.said, (one.by, one.sample), one)
                case "comment":
                    self._put("comment", self.comments, (str(line["by"]), str(line["sample"])), str(line["words"]))
                case "named":
                    self.named.add((str(line["by"]), str(line["sample"])))
                case "undo":
                    self._undo(str(line["by"]))
        except (KeyError, TypeError, ValueError):
            return

    def _put(self, event: str, place: dict[Key, Any], key: Key, value: object) -> None:
        self.done.setdefault(key[0], []).append((event, key[1], place.get(key)))
        place[key] = value

    def _undo(self, by: str) -> None:
        if not self.done.get(by):
            return
        event, sample, before = self.done[by].pop()
        place: dict[Key, Any] = self.said if event == "verdict" else self.comments
        if before is None:
            place.pop((by, sample), None)
        else:
            place[by, sample] = before


class Review:
    """Two targets, and all that was said of their answers."""

    def __init__(self, path: Path) -> None:
        """Reads the file at `path`, which has to be there."""
        self.path = path
        self.refresh()

    @classmethod
    def begin(
        cls, folder: Path, a: str, b: str, *, metric: str | None = None, blind: bool = False, seed: int | None = None
    ) -> Self:
        """The review of `a` and `b` in `folder`, begun if there is none; in whichever order they were named then.

        Raises:
            DataError: if it cannot be written or read.
        """
        path = folder / f"review-{_pair_id(a, b)}.jsonl"
        if not any(row.get("event") == "review" for row in lines.rows(path)):
            drawn = secrets.randbits(32) if seed is None else seed
            setup = Setup(a=a, b=b, metric=metric, seed=drawn, blind=blind, at=time.time())
            lines.append(path, {"event": "review", **asdict(setup)})
        return cls(path)

    def refresh(self) -> None:
        """Read what others said since."""
        self._state = _State()
        for line in lines.rows(self.path):
            self._state.take(line)

    @property
    def setup(self) -> Setup:
        """How it was begun.

        Raises:
            DataError: if the file does not say it.
        """
        if self._state.setup is None:
            raise DataError(f"{self.path} has no first line; it is no review.")
        return self._state.setup

    @property
    def said(self) -> Mapping[Key, Said]:
        """The last that each reviewer said of each sample."""
        return self._state.said

    @property
    def comments(self) -> Mapping[Key, str]:
        """Comments, in the same way; an empty one is none."""
        return {key: words for key, words in self._state.comments.items() if words}

    def names_seen(self, by: str, sample: str) -> bool:
        """Whether that reviewer has seen who is who."""
        return (by, sample) in self._state.named

    def left(self, by: str, sample: str) -> Side:
        """Who stands left for that reviewer."""
        drawn = hashlib.sha256(f"{self.setup.seed}\0{by}\0{sample}".encode(errors="replace")).digest()
        return "a" if drawn[0] % 2 == 0 else "b"

    def say(self, said: Said) -> None:
        """Keep a verdict."""
        self._add({"event": "verdict", **asdict(said), "prefers": str(said.prefers)})

    def comment(self, by: str, sample: str, words: str) -> None:
        """Keep a comment; an empty one takes it away."""
        self._add({"event": "comment", "by": by, "sample": sample, "words": words[:LONGEST], "at": time.time()})

    def name(self, by: str, sample: str) -> None:
        """Keep that the reviewer has seen who is who."""
        if not self.names_seen(by, sample):
            self._add({"event": "named", "by": by, "sample": sample, "at": time.time()})

    def undo(self, by: str) -> str | None:
        """Take back the last that `by` said; the sample it was about, None if nothing is left to take back."""
        done = self._state.done.get(by)
        if not done:
            return None
        sample = done[-1][1]
        self._add({"event": "undo", "by": by, "sample": sample, "at": time.time()})
        return sample

    def _add(self, line: Mapping[str, JSON]) -> None:
        kept = lines.clean(dict(line))
        lines.append(self.path, kept)
        self._state.take(kept)


def found(folder: Path) -> list[Review]:
    """All reviews in `folder`."""
    return [Review(path) for path in sorted(folder.glob("review-*.jsonl")) if _begun(lines.rows(path))]


def _begun(rows: Iterable[Mapping[str, Any]]) -> bool:
    return any(row.get("event") == "review" for row in rows)


def _said(line: Mapping[str, Any]) -> Said:
    known = {key: line[key] for key in Said.__dataclass_fields__}
    return Said(**{**known, "prefers": Preference(line["prefers"])})


def _pair_id(a: str, b: str) -> str:
    first, second = sorted((a, b))
    return hashlib.sha256(f"{first}\0{second}".encode(errors="replace")).hexdigest()[:12]
