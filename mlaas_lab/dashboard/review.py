"""Two targets' answers side by side, judged by a person; without a server, what was said so far."""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.dashboard.said import ONE_RUN, Field, Form, checked, words
from mlaas_lab.errors import LabError
from mlaas_lab.reviewing import Desk
from mlaas_lab.reviewing import review as reviews
from mlaas_lab.schema import JSON
from mlaas_lab.view import View
from mlaas_lab.widgets.reviewed import Reviewed

TWO = "A review is between two targets, and these records have one."


def _build(cut: Cut) -> list[View]:
    desk = cut.desk
    if desk is None:
        return [View(title="", summary=ONE_RUN)]
    if len(desk.targets) < 2:
        return [View(title="", summary=TWO)]
    told = [view for one in reviews.found(desk.folder) if (view := _told(desk, one.setup.a, one.setup.b)) is not None]
    return told or [View(title="", summary="Nobody has begun a review.")]


def _told(desk: Desk, a: str, b: str) -> View | None:
    """What all reviewers said in one review; None of what cannot be read any more."""
    try:
        return desk.tally(desk.sit(by="somebody", between=(a, b))).view()
    except LabError:
        return None


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
