"""Values as people read them; None is a dash, or the word that says what is unknown."""

import math
import time
from typing import Any

DASH = "–"


def plain(value: Any) -> str:
    """Text as it is; numbers shortened; None as a dash."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    return number(value) if isinstance(value, float) else str(value)


def number(value: float | None) -> str:
    """Three significant digits: `0.0312`, `4.71`, `1,250`."""
    if value is None or not math.isfinite(value):
        return DASH
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 1e-4:
        return f"{value:.1e}"
    return f"{value:.3g}" if size < 100 else f"{value:.0f}"


def count(value: float | None) -> str:
    """`12,345`."""
    return DASH if value is None else f"{value:,.0f}"


def percent(share: float | None) -> str:
    """A share as `82 %`; one decimal below 10 %, and near 100 %."""
    if share is None or not math.isfinite(share):
        return DASH
    value = 100 * share
    rounded = round(value)
    exact = math.isclose(value, rounded, abs_tol=1e-9)
    fine = (abs(value) < 10 or 99 < abs(value) < 100) and not exact
    return f"{value:.1f} %" if fine else f"{rounded} %"


def points(share: float | None) -> str:
    """A difference of shares in points, with its sign: `+82`."""
    if share is None or not math.isfinite(share):
        return DASH
    value = 100 * share
    return f"{value:+.1f}" if abs(value) < 10 and not math.isclose(value, round(value)) else f"{value:+.0f}"


def p_value(p: float | None) -> str:
    """`0.031`, or `< 0.001`."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def seconds(value_s: float | None) -> str:
    """A latency: `340 ms`, `1.25 s`."""
    if value_s is None or not math.isfinite(value_s):
        return DASH
    if 0 < abs(value_s) < 0.9995:
        value_ms = 1000 * value_s
        return f"{value_ms:.2g} ms" if value_ms < 10 else f"{value_ms:.0f} ms"
    return f"{value_s:.3g} s" if value_s < 100 else duration(value_s)


def duration(value_s: float | None) -> str:
    """How long something took or will take: `8 s`, `3 min 12 s`, `2 h 5 min`."""
    if value_s is None or not math.isfinite(value_s):
        return DASH
    whole = round(value_s)
    if whole < 60:
        return f"{whole} s" if value_s >= 1 or value_s == 0 else "< 1 s"
    minutes, rest_s = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s" if rest_s else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def usd(value_usd: Any) -> str:
    """Dollars to a sensible digit, cents in whole; None is `unpriced`, which is not 0."""
    if value_usd is None:
        return "unpriced"
    value = float(value_usd)
    if value == 0:
        return "$0"
    if value >= 1:
        return f"${value:,.2f}"
    if value < 1e-6:
        return "< $0.000001"
    places = 2 - math.floor(math.log10(value))
    whole, _, rest = f"{value:.{min(6, places)}f}".rstrip("0").partition(".")
    return f"${whole}.{rest:0<2}"


def size(value_bytes: float | None) -> str:
    """`12 kB`, `3.4 GB`: powers of 1,000."""
    if value_bytes is None:
        return DASH
    value, units = float(value_bytes), ["B", "kB", "MB", "GB", "TB"]
    while abs(value) >= 999.5 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def when(at: float | None) -> str:
    """A UTC time as `2026-11-22 02:40`."""
    return DASH if at is None else time.strftime("%Y-%m-%d %H:%M", time.gmtime(at))
