"""When to try again: the one place that decides it, and it does not sleep.

Full jitter on an exponential base (Brooker 2015, "Exponential Backoff And Jitter"), so that callers that failed at once
do not come back at once. What the vendor asks for in Retry-After wins, and is jittered upwards only.
"""

import math
import random
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

BASE_S = 0.5
MOST_S = 8.0


def pause_s(failures: int, asked_s: float | None) -> float:
    """Seconds to wait after so many failures in a row, at least 1; `asked_s` is what the vendor asked for."""
    if asked_s is not None:
        return asked_s + random.uniform(0, min(MOST_S, 0.1 + 0.1 * asked_s))  # noqa: S311 - no secret
    return random.uniform(0, min(MOST_S, BASE_S * 2 ** (failures - 1)))  # noqa: S311 - no secret


def asked_s(headers: Mapping[str, str]) -> float | None:
    """What Retry-After asks for, in seconds from now; None when there is none, or nonsense."""
    if (ms := _number(headers.get("retry-after-ms"))) is not None:
        return ms / 1000
    text = headers.get("retry-after")
    if text is None or (seconds := _number(text)) is not None:
        return None if text is None else seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
