"""Who decided what, when, on which evidence and by which rule; and a new signature under it."""

from collections.abc import Mapping
from typing import Any

from mlaas_lab.dashboard.case import Cut
from mlaas_lab.dashboard.pages import Page
from mlaas_lab.dashboard.said import ONE_RUN, Field, Form, checked
from mlaas_lab.errors import LabError
from mlaas_lab.reviewing import Desk, Signed
from mlaas_lab.view import Badge, Column, Facts, Table, Tone, View

HASH = "SHA-256 over the records, the reviews, the rule and the comparison's settings"


def _build(cut: Cut) -> list[View]:
    desk = cut.desk
    if desk is None:
        return [View(title="", summary=ONE_RUN)]
    return [desk.log().view(), _evidence(desk), *_rule(cut, desk)]


def _evidence(desk: Desk) -> View:
    """What a signature of now would stand on."""
    try:
        now = desk.evidence()
    except LabError as error:
        return View(title="Evidence now", summary=str(error))
    reviews = now.parts["reviews"]
    rows = [
        ("Records", now.parts["records"]),
        *((f"Review {name}", digest) for name, digest in (reviews.items() if isinstance(reviews, dict) else ())),
        ("All of it", now.digest),
    ]
    return View(title="Evidence now", marks=[Facts(rows=rows)], notes=[f"{HASH}."])


def _rule(cut: Cut, desk: Desk) -> list[View]:
    """What the rule says of each target."""
    if cut.case.rule is None:
        return []
    rows: list[tuple[Any, ...]] = []
    for target in desk.targets:
        try:
            found = cut.case.rule(desk, target)
        except LabError as error:
            rows.append((target, Badge(text="cannot be told", tone=Tone.MILD), str(error)))
            continue
        holds = Badge(text="holds", tone=Tone.GOOD) if found.ok else Badge(text="does not hold", tone=Tone.BAD)
        rows.append((target, holds, "\n".join(found.lines)))
    return [View(title="The rule", table=Table(columns=["Target", "Rule", Column(title="Why", wrap=True)], rows=rows))]


def form(cut: Cut, by: str, *, fixed: bool) -> Form | None:
    """What a signature says; None where there is nothing to sign for.

    Args:
        cut: the records.
        by: who it probably is.
        fixed: they signed in by that name.
    """
    desk = cut.desk
    if desk is None:
        return None
    first = next((one for one in cut.where.target if one in desk.targets), desk.targets[0])
    return Form(
        act="Sign",
        fields=[
            Field(name="target", label="Decide for", value=first, choices=desk.targets),
            Field(name="by", label="Signed by", value=by, fixed=fixed, needed=True),
            Field(name="comment", label="Why", long=True),
        ],
    )


def sign(cut: Cut, said: Mapping[str, Any]) -> Signed:
    """Sign what the form says.

    Raises:
        UsageError, DataError: as a `Desk` has it.
    """
    desk = checked(cut.desk, ONE_RUN)
    rule = cut.case.rule(desk, said["target"]) if cut.case.rule is not None and said["target"] in desk.targets else None
    return desk.sign(target=said["target"], by=said["by"], rule=rule, comment=said["comment"])


page = Page(name="decision", title="Decision", build=_build, alive=True)
