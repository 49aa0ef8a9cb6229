"""What people review and sign: a run by its word as a `Desk`, and a gate's rules held against it."""

import getpass
from typing import TYPE_CHECKING

from mlaas_lab.commands import _gated, _sources
from mlaas_lab.errors import DataError
from mlaas_lab.gating import About, check
from mlaas_lab.lab import Lab
from mlaas_lab.tasks.eval import GROUPED

if TYPE_CHECKING:
    from mlaas_lab.reviewing import Desk, Ruled

SETTINGS = ("seed", "margin", "grouped")
"""What decides how records are compared."""


def desk(word: str, lab: Lab) -> "Desk":
    """The records that `word` names, with all that people said of them.

    Raises:
        UsageError, TrackingError: if it names nothing, or something without records.
        DataError: if there are none yet.
    """
    from mlaas_lab.reviewing import Desk

    source = _sources.find(word, lab)
    frame = _sources.read(source)
    if frame.is_empty():
        raise DataError(f"{word}: no records yet.")
    jobs = _sources.measured_by(frame, source, lab)
    asked = [job.spec for job in jobs] or ([source.asked] if source.asked else [])
    return Desk(
        table=source.path,
        settings=lab.settings,
        frame=frame,
        job=source.job,
        run_id=source.run_id,
        comparison={name: _sources.agreed(asked, name) for name in SETTINGS},
    )


def ruled(word: str, at: "Desk", lab: Lab, *, target: str, baseline: str | None = None) -> "Ruled":
    """The rules in the file `word`, or in `word` itself, held against the records for one target.

    Raises:
        UsageError, DataError: as for `gate`.
    """
    from mlaas_lab.reviewing import Ruled

    found, text = _gated.rules(word)
    frame = None if baseline is None else _gated.records(baseline, lab)[0]
    grouped = GROUPED[at.comparison.get("grouped") or "auto"]
    about = About(target=target, seed=int(at.comparison.get("seed") or 0), grouped=grouped)
    checked = check(found, at.records, frame, about)
    return Ruled(
        text=text,
        ok=all(one.ok for one in checked),
        lines=tuple(one.line() for one in checked),
        about={"target": target, "baseline": baseline},
    )


def somebody(by: str) -> str:
    """Who it is: the name that was given, else the one of this login; empty where there is none."""
    if by.strip():
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        # A container's user may have a number only.
        return ""
