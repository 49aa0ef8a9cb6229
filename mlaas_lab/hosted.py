"""What hosted targets would ask for the tokens that a server of one's own has read and written.

Those that the last evaluations and load tests asked: they are what one's own server is there instead of. A target that
no list prices is left out.
"""

import time

from mlaas_lab import pricing
from mlaas_lab.schema import Target, Usage, Work
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.view.endpoints import Asked

JOBS = 30
"""The newest so many are looked at."""
MOST = 3
CALL = 10_000
"""Tokens of one call, at which no list asks more for length; what it costs is taken in proportion."""
TASKS = ("eval", "load")


def asked(store: Store, settings: Settings, work: Work | None) -> list[Asked]:
    """What each would ask for what `work` says was read and written, at its list price of today."""
    read, written = (work.input_tokens or 0.0, work.output_tokens or 0.0) if work else (0.0, 0.0)
    if read + written <= 0:
        return []
    n_input = round(CALL * read / (read + written))
    usage = Usage(input_tokens=n_input, output_tokens=CALL - n_input)
    found, book, now = [], pricing.lists(settings), time.time()
    for target in _targets(store):
        cost = pricing.cost(target, usage, at=now, book=book)
        if cost.usd is not None and cost.source != "free":
            each = float(cost.usd) / CALL
            source = f"{cost.source}, {cost.date}"
            found.append(
                Asked(target=target.name, usd=each * (read + written), usd_per_million=each * 1e6, source=source)
            )
    return found[:MOST]


def _targets(store: Store) -> list[Target]:
    """Hosted ones, those that were asked last first."""
    words = [word for job in store.jobs(limit=JOBS) if job.task in TASKS for word in job.spec.get("targets", ())]
    parsed = [Target.parse(word) for word in dict.fromkeys(words)]
    return [one for one in parsed if one.provider is not None and not pricing.is_local(one)]
