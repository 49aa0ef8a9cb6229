"""Two targets' answers side by side, judged by a person; without a server, what was said so far."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.dashboard.said import ONE_RUN, Field, Form, checked, words
from mlaas_lab.errors import LabError
from mlaas_lab.reviewing import Desk
from mlaas_lab.reviewing import review as reviews
from mlaas_lab.reviewing.tally import Tally
from mlaas_lab.schema import JSON
from mlaas_lab.view import Column, Table, View
from mlaas_lab.view.formats import count
from mlaas_lab.widgets.reviewed import Reviewed

NOBODY = "Nobody has begun a review."
TWO = "A review is between two targets, and these records have one."


def _build(cut: Cut) -> list[View]:
    desk = cut.desk
    if desk is None:
        return [View(title="", summary=ONE_RUN)]
    if len(desk.targets) < 2:
        return [View(title="", summary=TWO)]
    told = [one.view() for one in _tallies(cut, desk)]
    return told or [View(title="", summary=NOBODY)]


def begun(cut: Cut) -> list[View]:
    """Who reviews what, and how far they are; not what they say, since who reads it may review the same, blind."""
    desk = checked(cut.desk, ONE_RUN)
    rows = [
        (one.a, one.b, person.name, sum(person.counts), one.n)
        for one in _tallies(cut, desk)
        for person in one.reviewers
    ]
    if not rows:
        return [View(title="", summary=NOBODY)]
    numbers = [Column(title=title, align="right", format=count) for title in ("Judged", "Of")]
    table = Table(columns=["Between", "and", "Reviewer", *numbers], rows=rows)
    note = "A review shows its results to who has judged all of it, or reveals the names; so does an export."
    return [View(title="Reviews so far", table=table, notes=[note])]


def _tallies(cut: Cut, desk: Desk) -> Iterator[Tally]:
    """What all reviewers said in each review; what cannot be read any more is left out."""
    for one in reviews.found(desk.folder):
        with suppress(LabError):
            yield _tally(cut, desk, (one.setup.a, one.setup.b))


def _tally(cut: Cut, desk: Desk, between: tuple[str, str]) -> Tally:
    # Which samples both answered stays the same, and takes a while to find; what was said is read again.
    sitting = cut.once(f"review of {between!r}", lambda: desk.sit(by="somebody", between=between))
    return desk.tally(sitting)


def form(cut: Cut, by: str, *, fixed: bool) -> Form | None:
    """What a reviewer says before a review; None where there is nothing to review.

    Args:
        cut: the records.
        by: who it probably is.
        fixed: they signed in by that name.
    """
    desk = cut.desk
    if desk is None or len(desk.targets) < 2:
        return None
    known = desk.targets
    first, second = [*[one for one in cut.where.target if one in known], *known][:2]
    second = second if second != first else next(one for one in known if one != first)
    metric = cut.where.metric[0] if len(cut.where.metric) == 1 else ""
    return Form(
        act="Begin, or go on",
        fields=[
            Field(name="by", label="Reviewer", value=by, fixed=fixed, needed=True),
            Field(name="a", label="Between", value=first, choices=known),
            Field(name="b", label="and", value=second, choices=known),
            Field(name="blind", label="Hide who is who", value=True),
        ],
        hidden={"metric": metric},
    )


def begin(cut: Cut, said: Mapping[str, Any]) -> Reviewed:
    """The review that the form asked for.

    Raises:
        UsageError, DataError: as a `Desk` has it.
    """
    desk = checked(cut.desk, ONE_RUN)
    by, a, b = (words(said.get(name)) for name in ("by", "a", "b"))
    blind = said.get("blind") is True
    sitting = desk.sit(by=by, between=(a, b), blind=blind, metric=words(said.get("metric")))
    told: list[str] = ["review", desk.run_id or str(desk.table), "--between", f"{a},{b}", "--by", by]
    return Reviewed(desk=desk, sitting=sitting, words=[*told, *([] if blind else ["--no-blind"])])


def state(reviewed: Reviewed) -> dict[str, JSON]:
    """What the page begins with."""
    reviewed.sitting.see(reviewed.sitting.at)
    return {"content": reviewed.content, "now": reviewed.now()}


page = Page(name="review", title="Review", build=_build, alive=True)
