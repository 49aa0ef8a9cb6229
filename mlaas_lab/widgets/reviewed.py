"""The kernel's side of a live review: a message in, where the reviewer stands out.

What a page may not know while names are hidden is not sent to it. It knows no widget: whatever carries messages can
ask it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pydantic import Field

from mlaas_lab.errors import UsageError
from mlaas_lab.reviewing import Desk, Sitting
from mlaas_lab.reviewing.review import LONGEST
from mlaas_lab.reviewing.told import progress, told
from mlaas_lab.schema import JSON
from mlaas_lab.view import View
from mlaas_lab.view.diff import against
from mlaas_lab.view.formats import count, number
from mlaas_lab.widgets import cards, content, twin
from mlaas_lab.widgets.kernel import web
from mlaas_lab.widgets.messages import Kinds, Message, answered
from mlaas_lab.widgets.texts import NAME, plain, text


class See(Message):
    """Come to a sample."""

    at: int = Field(ge=0)
    whole: bool = False
    """Texts in full."""


class Judge(Message):
    """Say which answer is better."""

    at: int = Field(ge=0)
    said: Literal["left", "right", "tie", "both_bad", "skip"]


class Comment(Message):
    """Say something in words."""

    at: int = Field(ge=0)
    words: str = Field(max_length=LONGEST)


class Undo(Message):
    """Take back the last that was said."""


class Hide(Message):
    """Hide who is who, or reveal it."""

    hidden: bool


class Results(Message):
    """What the review says so far."""


KINDS: Kinds = {
    "see": See,
    "judge": Judge,
    "comment": Comment,
    "undo": Undo,
    "hide": Hide,
    "results": Results,
}


@dataclass(frozen=True)
class Reviewed:
    """What a live review stands on."""

    desk: Desk
    sitting: Sitting
    words: Sequence[str]
    """The command that shows it, word by word, without `mlaas`."""
    links: Sequence[tuple[str, str]] = ()
    """Words and address of pages that know more."""

    @cached_property
    def content(self) -> dict[str, JSON]:
        """What never changes."""
        metric = self.sitting.pairs.metric
        first = [text(f"those that {metric} scores apart first", NAME)] if metric else []
        return {
            "title": "Review",
            "facts": [text(self.sitting.by, NAME), *first],
            "links": [[text(words), url] for words, url in self.links if web(url)],
            "code": twin.magic(list(self.words)),
            "longest": LONGEST,
        }

    def now(self, said: str = "", *, whole: bool = False) -> dict[str, JSON]:
        """Where the reviewer stands, and the sample before them."""
        sitting = self.sitting
        at = sitting.at
        card = self._card(at, whole=whole)
        return {
            "at": at,
            "total": sitting.total,
            "done": sitting.done,
            "share": round(sitting.done / sitting.total, 4) if sitting.total else None,
            "progress": text(progress(sitting)),
            "hidden": sitting.hidden,
            "ended": sitting.ended,
            "verdict": sitting.said(at),
            "comment": plain(sitting.comment_on(at), LONGEST),
            "next": sitting.next_open(at + 1),
            "card": card,
            "said": said,
        }

    def results(self) -> list[JSON]:
        """What the review says so far; nothing that tells who is who while that is hidden."""
        return content.sections(list(told(self.desk, self.sitting).children))

    def still(self) -> View:
        """The same without a script."""
        return told(self.desk, self.sitting)

    def answer(self, message: object) -> Mapping[str, JSON] | None:
        """What to send back; None for what is no message of ours."""
        return answered(message, KINDS, self._answer)

    def _answer(self, message: Message) -> dict[str, JSON]:
        sitting = self.sitting
        match message:
            case See():
                sitting.see(message.at)
                return self._told(whole=message.whole)
            case Judge():
                return self._judged(message)
            case Comment():
                sitting.comment(message.at, message.words)
                return self._told("Comment kept." if message.words.strip() else "No comment.")
            case Undo():
                at = sitting.undo()
                return self._told("Nothing is left to undo." if at is None else f"Taken back: sample {at + 1}.")
            case Hide():
                sitting.hide(message.hidden)
                sitting.see(sitting.at)
                return self._told(self._hiding(message.hidden))
            case Results():
                return {"kind": "results", "sections": self.results()}
            case _:
                raise UsageError(f"nothing answers {message.kind!r}.")

    def _judged(self, message: Judge) -> dict[str, JSON]:
        """The verdict is on the disk; then the next sample that nothing was said of."""
        sitting = self.sitting
        sitting.judge(message.at, message.said)
        said = f"Sample {message.at + 1}: {SAYS[message.said]}."
        following = sitting.next_open(message.at + 1)
        if following is None:
            return self._told(f"{said} All {count(sitting.total)} are judged.")
        sitting.see(following)
        return self._told(said)

    def _hiding(self, wanted: bool) -> str:
        if wanted and not self.sitting.hidden:
            return "All are judged: there is nothing left to hide."
        return "Names are hidden." if wanted else "Names are shown; verdicts from here on are not blind."

    def _told(self, said: str = "", *, whole: bool = False) -> dict[str, JSON]:
        return {"kind": "now", "now": self.now(said, whole=whole)}

    def _card(self, at: int, *, whole: bool) -> dict[str, JSON]:
        """The question and both answers, the left one first."""
        sitting = self.sitting
        pair = sitting.order[at]
        rows = dict(zip(("a", "b"), sitting.pairs.records(pair), strict=True))
        sides = ("a", "b") if sitting.left(at) == "a" else ("b", "a")
        both = [rows[side] for side in sides]
        # The same sample as a comparison shows it, so that one file knows how a record reads.
        metrics = [] if sitting.hidden or sitting.pairs.metric is None else [sitting.pairs.metric]
        placed = [{**row, "sample": at, "place": place} for place, row in enumerate(both)]
        card = cards.card(placed, metrics=metrics, mine=(), whole=whole)
        chars = cards.WHOLE_CHARS if whole else cards.CHARS
        texts = [plain(row["output"] or "", chars) for row in both]
        marked = [against(texts[0], texts[1]), against(texts[1], texts[0])]
        answers = [
            _answer(answer, [[one.text, one.differs] for one in pieces], hidden=sitting.hidden)
            for answer, pieces in zip(card["answers"], marked, strict=True)
        ]
        return {**card, "answers": answers, "apart": _apart(pair.gap, pair.differs)}


SAYS = {
    "left": "the left one is better",
    "right": "the right one is better",
    "tie": "a tie",
    "both_bad": "both are bad",
    "skip": "skipped",
}


def _answer(answer: Mapping[str, Any], pieces: list[list[Any]], *, hidden: bool) -> dict[str, JSON]:
    """One side; while names are hidden, only its words."""
    return {
        "name": None if hidden else answer["target"],
        "pieces": pieces if not answer["error"] else [],
        "error": ("no answer" if hidden else answer["error"]) if answer["error"] else "",
        "scores": [] if hidden else answer["scores"],
        "facts": [] if hidden else answer["facts"],
    }


def _apart(gap: float | None, differs: bool) -> str:
    """Why this sample stands where it does."""
    if gap:
        return f"scores differ by {number(abs(gap))}"
    return "only the words differ" if differs else "the same words"
