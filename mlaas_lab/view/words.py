"""Sentences that text and HTML share."""

from mlaas_lab.view.formats import count, duration, number, usd
from mlaas_lab.view.model import ProgressBar


def progress_words(mark: ProgressBar) -> str:
    """`training: 120/400 steps · 14.2 steps/s · 20 s left`; "unknown" in place of a lie."""
    if mark.total is None and mark.n == 0:
        return mark.phase or "starting"
    total = f"/{count(mark.total)}" if mark.total is not None else ""
    parts = [f"{mark.phase + ': ' if mark.phase else ''}{count(mark.n)}{total} {mark.unit}"]
    if mark.rate:
        parts.append(f"{number(mark.rate)} {mark.unit}/s")
    done = mark.total is not None and mark.n >= mark.total
    if not done:
        parts.append(f"{duration(mark.eta_s)} left" if mark.eta_s is not None else "time left unknown")
    if mark.spent:
        parts.append(mark.spent)
    return " · ".join(parts)


def spent_words(spent_usd: float | None, *, cap_usd: float | None = None, n_unpriced: int = 0) -> str:
    """`$0.0123 of $0.5`, `$0.0123`, `at least $0.0123`, `unpriced`; empty where nothing was bought."""
    if cap_usd is not None:
        return f"{usd(spent_usd or 0)} of {usd(cap_usd)}"
    if n_unpriced:
        return f"at least {usd(spent_usd)}" if spent_usd else usd(None)
    return "" if spent_usd is None else usd(spent_usd)
