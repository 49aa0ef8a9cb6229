"""One reviewer before one review: where they are, what they may see, and what they say.

While it is blind, nothing of who is who leaves this file: no name, no score, no time and no price. It goes on where the
reviewer stopped.
"""

import time
from functools import cached_property
from typing import Literal

from mlaas_lab.errors import UsageError
from mlaas_lab.reviewing.ordering import Pair, Pairs, Side
from mlaas_lab.reviewing.review import NAME, Preference, Review, Said

Word = Literal["left", "right", "tie", "both_bad", "skip"]
WORDS: dict[Word, str] = {
    "left": "left is better",
    "right": "right is better",
    "tie": "tie",
    "both_bad": "both bad",
    "skip": "skipped",
}
"""What a reviewer can say, as it is told."""


class Sitting:
    """What one reviewer sees and says."""

    def __init__(
        self, review: Review, pairs: Pairs, *, by: str, blind: bool | None = None, limit: int | None = None
    ) -> None:
        """It begins at the first sample that `by` has said nothing of.

        Args:
            review: what was said so far.
            pairs: of the review's targets, in its order.
            by: the reviewer.
            blind: whether names are hidden; None: as the review was begun.
            limit: only the first so many samples.

        Raises:
            UsageError: if the reviewer has no name.
        """
        self.by = " ".join(by.split())[:NAME].encode(errors="replace").decode()
        if not self.by:
            raise UsageError("a review needs the name of who reviews.", next="Give it with --by NAME.")
        self.review = review
        self.pairs = pairs
        self.order: tuple[Pair, ...] = pairs.order if limit is None else pairs.order[:limit]
        self._hidden = review.setup.blind if blind is None else blind
        self._digests: dict[str, str] = {}
        self.at = self.next_open(0) or 0

    @property
    def total(self) -> int:
        """Samples."""
        return len(self.order)

    @property
    def done(self) -> int:
        """Samples that this reviewer has said something of; one that was skipped too."""
        return len(self._mine())

    @property
    def skipped(self) -> int:
        """Of these, skipped."""
        return sum(one.prefers is Preference.SKIP for one in self._mine())

    @property
    def ended(self) -> bool:
        """Something was said of every sample."""
        return self.done >= self.total

    @property
    def hidden(self) -> bool:
        """Names are not shown: the reviewer did not reveal them, and the review has not ended."""
        return self._hidden and not self.ended

    def hide(self, wanted: bool) -> None:
        """Hide names, or reveal them."""
        self._hidden = wanted

    def left(self, at: int) -> Side:
        """Who stands left."""
        return self.review.left(self.by, self.order[at].sample)

    def see(self, at: int) -> Pair:
        """Come to a sample; that its names were seen is kept, since a later verdict on it is not blind.

        Raises:
            UsageError: if there is none.
        """
        if not 0 <= at < self.total:
            raise UsageError(f"there is no sample {at + 1} of {self.total}.")
        self.at = at
        pair = self.order[at]
        if not self.hidden and (self.by, pair.sample) not in self.review.said:
            self.review.name(self.by, pair.sample)
        return pair

    def said(self, at: int) -> Word | None:
        """What this reviewer said of a sample, in words of left and right."""
        found = self._current(self.order[at])
        if found is None:
            return None
        if found.prefers in (Preference.A, Preference.B):
            return "left" if str(found.prefers) == self.left(at) else "right"
        return WORD_OF[found.prefers]

    def comment_on(self, at: int) -> str:
        """The reviewer's comment; empty for none."""
        return self.review.comments.get((self.by, self.order[at].sample), "")

    def judge(self, at: int, word: Word) -> None:
        """Say which of two answers is better; on the disk when this returns.

        Raises:
            UsageError: if there is no such sample or word.
            DataError: if it cannot be written.
        """
        if word not in WORDS:
            raise UsageError(f"{word!r} is no verdict.", next=f"Known: {', '.join(WORDS)}.")
        pair = self.see(at)
        left = self.left(at)
        self.review.say(
            Said(
                by=self.by,
                sample=pair.sample,
                prefers=_preference(word, left),
                left=left,
                blind=self.hidden and not self.review.names_seen(self.by, pair.sample),
                answers=self._digest(pair),
                at=time.time(),
            )
        )

    def comment(self, at: int, words: str) -> None:
        """Say something in words; nothing takes it away.

        Raises:
            UsageError, DataError: as for `judge`.
        """
        pair = self.see(at)
        if words.strip() != self.comment_on(at):
            self.review.comment(self.by, pair.sample, words.strip())

    def undo(self) -> int | None:
        """Take back the last that was said, and come to its sample; None if there is nothing to take back."""
        sample = self.review.undo(self.by)
        if sample is None:
            return None
        self.at = self._places.get(sample, self.at)
        return self.at

    def next_open(self, start: int) -> int | None:
        """The next sample from `start` on that nothing was said of, else the first such; None if all are done."""
        places = [*range(start, self.total), *range(min(start, self.total))]
        return next((at for at in places if self._current(self.order[at]) is None), None)

    def _mine(self) -> list[Said]:
        """What this reviewer said that still counts."""
        mine = [self._places[sample] for by, sample in self.review.said if by == self.by and sample in self._places]
        found = [self._current(self.order[at]) for at in mine]
        return [one for one in found if one is not None]

    def _current(self, pair: Pair) -> Said | None:
        """What was said of these very answers."""
        found = self.review.said.get((self.by, pair.sample))
        return found if found is not None and found.answers == self._digest(pair) else None

    def _digest(self, pair: Pair) -> str:
        if pair.sample not in self._digests:
            self._digests[pair.sample] = self.pairs.digest(pair)
        return self._digests[pair.sample]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {pair.sample: at for at, pair in enumerate(self.order)}


WORD_OF: dict[Preference, Word] = {
    Preference.TIE: "tie",
    Preference.BOTH_BAD: "both_bad",
    Preference.SKIP: "skip",
}


def _preference(word: Word, left: Side) -> Preference:
    match word:
        case "left":
            return Preference(left)
        case "right":
            return Preference.B if left == "a" else Preference.A
        case _:
            return Preference(word)
