"""What a call or an hour costs, with the source and the day of the price. Unknown is unknown: never 0.

Of the user's own lists, genai-prices and our dated lists (`prices/*.yaml`), the first that knows a target prices it.
Nothing is fetched.
"""

from mlaas_lab.pricing.calls import UNPRICED, cost, is_local, models, prices, regions_of, sold_per_token
from mlaas_lab.pricing.entries import CALL_UNITS, Rate
from mlaas_lab.pricing.hours import gpus, hourly
from mlaas_lab.pricing.lists import NONE, Lists, lists, vendors
from mlaas_lab.pricing.price import Price, rate_words

__all__ = [
    "CALL_UNITS",
    "NONE",
    "UNPRICED",
    "Lists",
    "Price",
    "Rate",
    "cost",
    "gpus",
    "hourly",
    "is_local",
    "lists",
    "models",
    "prices",
    "rate_words",
    "regions_of",
    "sold_per_token",
    "vendors",
]
