"""What a call costs, with the source and the day of the price. Unknown is unknown: never 0.

Prices come from genai-prices, which ships them; nothing is fetched. It is imported at the first hosted call.
"""

import ipaddress
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from urllib.parse import urlsplit

from mlaas_lab.schema import Cost, Target, Usage

MICRO = Decimal("0.000001")
UNPRICED = Cost(usd=None)


def cost(target: Target, usage: Usage, *, at: float) -> Cost:
    """The cost of one call, rounded up once to a whole micro-dollar.

    Unpriced is what we serve ourselves, what listens on this machine, what is in no price list, and what did not count
    its tokens.

    Args:
        target: what was prompted.
        usage: what it reports.
        at: when, UTC in seconds: prices change.
    """
    if target.provider == "echo":
        return Cost(usd=Decimal(0), source="free", date=_day(at))
    if target.provider is None or usage.input_tokens is None or usage.output_tokens is None:
        return UNPRICED
    base_url = target.get("base_url")
    if base_url is not None and _here(base_url):
        return UNPRICED
    usd = _price(target, usage, base_url, at)
    if usd is None:
        return UNPRICED
    return Cost(usd=usd.quantize(MICRO, rounding=ROUND_UP), source=_source(), date=_day(at))


def _price(target: Target, usage: Usage, base_url: str | None, at: float) -> Decimal | None:
    import genai_prices

    counted = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    place = {"provider_id": target.provider} if base_url is None else {"provider_api_url": base_url}
    try:
        found = genai_prices.calc_price(
            counted, target.model, **place, genai_request_timestamp=datetime.fromtimestamp(at, UTC)
        )
    except (LookupError, ValueError):
        # ValueError: counts that contradict each other, such as more cached tokens than input.
        return None
    return Decimal(found.total_price)


@cache
@lru_cache
def _here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


@cache
def _source() -> str:
    return f"genai-prices {version('genai-prices')}"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
