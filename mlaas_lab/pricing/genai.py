"""Prices that genai-prices ships: the big vendors, with their history, cache tiers and tiers by length.

It is imported at the first hosted call, and fetches nothing. Its input holds cache reads and writes, and its output
reasoning, as ours do; what has no price of its own costs what the whole costs. Its list is read, and the sum is ours:
its own takes a fifth of a millisecond a call.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from mlaas_lab.pricing.entries import CACHED, INPUT, OUTPUT, REASONING, REQUESTS, WRITTEN
from mlaas_lab.pricing.price import Price
from mlaas_lab.schema import Target

VENDORS = {"bedrock": "aws", "vertex": "google", "gemini": "google"}
"""Our provider → theirs, where the names differ."""
NOT_PER_TOKEN = frozenset({"azureml", "sagemaker", "pai_eas", "vllm"})
"""Providers of rented or own machines: whatever a model there is called, it is not billed per token."""
KEYS = {
    "input_mtok": INPUT,
    "cache_read_mtok": CACHED,
    "cache_write_mtok": WRITTEN,
    "output_mtok": OUTPUT,
    "output_reasoning_mtok": REASONING,
    "requests_kcount": REQUESTS,
}
"""Their prices that a text call can meet → our units."""


def prices(target: Target, *, base_url: str | None, at: float) -> tuple[Price, ...]:
    """Their prices of `target` at that time; empty where they have none."""
    place = _place(target, base_url)
    found = None if place is None else _model(*place)
    if found is None:
        return ()
    return _listed(_Listed(found, found.get_prices(dt.datetime.fromtimestamp(at, dt.UTC))))


def models(provider: str) -> list[str]:
    """Names of the models that they price for one of our providers."""
    from genai_prices.data_snapshot import get_snapshot

    wanted = VENDORS.get(provider, provider)
    return [model.id for one in get_snapshot().providers if one.id == wanted for model in one.models]


@cache
def source() -> str:
    """Where these prices come from."""
    return f"genai-prices {version('genai-prices')}"


@lru_cache(maxsize=1024)
def _model(name: str, provider_id: str | None, url: str | None) -> Any:
    """Their model of that name, of a provider or at an address; None where they have none."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, model = get_snapshot().find_provider_model(name, None, provider_id, url)
    except LookupError:
        return None
    # Their search also takes names that only resemble a provider's.
    return model if provider_id in (None, provider.id) else None


class _Listed:
    """A model's prices at some time, known by which they are: they do not change while this process lives."""

    def __init__(self, model: Any, prices: Any) -> None:
        self.model, self.prices = model, prices

    def __hash__(self) -> int:
        return id(self.prices)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Listed) and other.prices is self.prices


@lru_cache(maxsize=1024)
def _listed(found: _Listed) -> tuple[Price, ...]:
    since = _since(found.model.prices, found.prices)
    listed = [
        Price(unit=unit, value=value, source=source(), since=since, above_input_tokens=above)
        for key, unit in KEYS.items()
        for above, value in _tiers(getattr(found.prices, key))
    ]
    return tuple(sorted(listed, key=lambda price: price.above_input_tokens))


def _place(target: Target, base_url: str | None) -> tuple[str, str | None, str | None] | None:
    """The model, and the provider of theirs or the address that sells it; None where they cannot know."""
    if base_url is not None:
        return target.model, None, base_url
    name = target.provider or ""
    if name in NOT_PER_TOKEN:
        return None
    if name == "huggingface":
        model, colon, back_end = target.model.rpartition(":")
        return (model, f"huggingface_{back_end}", None) if colon else None
    return target.model, VENDORS.get(name, name), None


def _tiers(price: Any) -> Iterator[tuple[int, Decimal]]:
    if price is None:
        return
    if isinstance(price, Decimal):
        yield 0, price
        return
    yield 0, price.base
    for tier in price.tiers:
        yield tier.start, tier.price


def _since(prices: Any, used: Any) -> str | None:
    """The day on which the prices that were `used` began."""
    if not isinstance(prices, list):
        return None
    days = (getattr(one.constraint, "start_date", None) for one in prices if one.prices is used)
    return next((day.isoformat() for day in days if day is not None), None)
