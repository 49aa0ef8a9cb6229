"""What an hour of a GPU costs, for endpoints and jobs on a rented machine."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from mlaas_lab.pricing.calls import day_of
from mlaas_lab.pricing.entries import HOUR, SECOND, Entry
from mlaas_lab.pricing.lists import NONE, Lists, ours, valid
from mlaas_lab.pricing.price import Price, priced


def hourly(cloud: str, gpu: str, region: str | None, at: float, *, book: Lists = NONE) -> Price | None:
    """What an hour of one GPU costs on demand; its note says if the machine around it is not in the price.

    Args:
        cloud: `aws`, `gcp`, `azure`, … or any vendor of the user's lists.
        gpu: `h100`, `a100-80gb`, `l4`.
        region: the cloud's name for it; None takes the cheapest that is listed.
        at: when, UTC in seconds.
        book: the user's own price lists.
    """
    if book.trouble:
        return None
    for entries in (book.own(cloud), ours(cloud)):
        mine = [entry for entry in entries if gpu and _gpu(entry) == gpu.lower()]
        places = [region] if region else list(dict.fromkeys(entry.region or None for entry in mine))
        held = [entry for place in places for entry in valid(mine, region=place, day=day_of(at))]
        known = [price for entry in held if not (price := _hour(entry, book, day_of(at))).suspect]
        if known:
            return min(known, key=lambda price: price.value if price.usd is None else price.usd)
    return None


def gpus(cloud: str, *, book: Lists = NONE) -> list[str]:
    """GPUs with a price by the hour in `cloud`, and where: `h100 in us-east-1`."""
    entries = [entry for entry in (*book.own(cloud), *ours(cloud)) if _gpu(entry) and entry.confidence == "read"]
    return list(dict.fromkeys(f"{_gpu(e)} in {e.region}" if e.region else _gpu(e) for e in entries))


def _gpu(entry: Entry) -> str:
    if entry.unit == HOUR:
        return entry.gpu.lower()
    return entry.unit.removeprefix(SECOND).removeprefix("gpu-") if entry.unit.startswith(SECOND) else ""


def _hour(entry: Entry, book: Lists, day: date) -> Price:
    """The price of one hour of one GPU."""
    seconds = Decimal(1 if entry.unit == HOUR else 3600)
    machine = f"{entry.model}, {entry.gpus} × {_gpu(entry)}" if entry.model else ""
    note = "; ".join(part for part in (machine, entry.note) if part)
    price = priced(entry, book, day)
    return replace(price, unit=f"hour of {_gpu(entry)}", value=entry.value * seconds / entry.gpus, note=note)
