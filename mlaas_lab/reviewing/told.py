"""A review as a View: how far it is, what one reviewer said, and who is preferred once names may be known."""

import time

from mlaas_lab.reviewing.desk import Desk
from mlaas_lab.reviewing.sitting import WORDS, Sitting
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count, when

SHOWN = 50
"""Verdicts that are listed; the file has all."""


def told(desk: Desk, sitting: Sitting) -> View:
    """One reviewer's review.

    Raises:
        DataError: if what others said cannot be read.
    """
    children = [] if sitting.hidden else [desk.tally(sitting).view()]
    return View(
        title="Review",
        summary=progress(sitting),
        notes=_notes(sitting),
        children=[*children, *_listed(sitting)],
    )


def progress(sitting: Sitting) -> str:
    """`12 of 40 samples judged by ada, 2 of them skipped`."""
    skipped = f", {count(sitting.skipped)} of them skipped" if sitting.skipped else ""
    return f"{count(sitting.done)} of {count(sitting.total)} samples judged by {sitting.by}{skipped}."


def _notes(sitting: Sitting) -> list[str]:
    setup, found = sitting.review.setup, [f"As of {when(time.time())} UTC; {sitting.review.path} has every word since."]
    if sitting.hidden:
        found.append("Who is who, and who is preferred, is told when all are judged, or with --no-blind.")
    else:
        found.append(f"Between {setup.a} and {setup.b}.")
    if sitting.pairs.metric:
        found.append(f"Those that {sitting.pairs.metric} scores differently come first.")
    return found


def _verdict(sitting: Sitting, at: int) -> str | None:
    """What was said of a sample: by its name where that may be known."""
    word = sitting.said(at)
    if word in ("left", "right") and not sitting.hidden:
        left = sitting.left(at)
        chosen = left if word == "left" else "b" if left == "a" else "a"
        return f"{sitting.pairs.a if chosen == 'a' else sitting.pairs.b} is better"
    return WORDS[word] if word else None


def _listed(sitting: Sitting) -> list[View]:
    """What this reviewer said, as a table; sides as they stood."""
    rows = []
    for at, pair in enumerate(sitting.order):
        word, comment = sitting.said(at), sitting.comment_on(at)
        if word or comment:
            rows.append((pair.sample, _verdict(sitting, at), comment or None))
    if not rows:
        return []
    columns: list[Column | str] = ["Sample", "Verdict", Column(title="Comment", wrap=True)]
    left = [f"{count(len(rows) - SHOWN)} more are in {sitting.review.path}."] if len(rows) > SHOWN else []
    return [View(title="Verdicts", table=Table(columns=columns, rows=rows[:SHOWN]), notes=left)]
