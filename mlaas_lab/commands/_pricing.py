"""What `price` and `estimate` share: a target with its region, and why one has no price."""

from dataclasses import dataclass, replace

from mlaas_lab import pricing, registry, variants
from mlaas_lab.environment import secret
from mlaas_lab.errors import DataError, UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.providers import Provider
from mlaas_lab.schema import Target, Usage

OWN = "Give a price of your own: a YAML file, named by the setting `prices`."
MACHINE = "Price the machine: estimate --gpu NAME --cloud NAME."


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a target has no price, and what to do about it."""

    text: str
    next: str

    def __str__(self) -> str:
        return f"{self.text}. {self.next}"


def book(lab: Lab) -> pricing.Lists:
    """The price lists that apply.

    Raises:
        DataError: if the user's own cannot be used.
    """
    found = pricing.lists(lab.settings)
    if found.trouble:
        raise DataError(found.trouble)
    return found


def placed(word: str, lab: Lab) -> Target:
    """The target `word`, with what environment and provider say of its place, and without what it is told as a variant.

    Raises:
        UsageError: for an unknown provider, endpoint or parameter, with the nearest matches.
    """
    from mlaas_lab.inference import parsed
    from mlaas_lab.inference.words import request_words, words

    target = variants.bare(parsed(word))
    if target.provider is None:
        return _endpoint(target, lab)
    provider: Provider = registry.load("provider", target.provider)
    request_words(target, known=words(provider))
    params = dict(target.params)
    for parameter in provider.parameters:
        given = next((value for name in parameter.env if (value := secret(name))), parameter.default)
        if given is not None:
            params.setdefault(parameter.name, given)
    return replace(target, params=tuple(params.items()))


def reason(target: Target, at: float, lists: pricing.Lists) -> Reason | None:
    """Why a call of `target` has no price; None if it has one."""
    one = Usage(input_tokens=1, output_tokens=1)
    if pricing.cost(target, one, at=at, book=lists).usd is not None:
        return None
    if target.provider is None:
        return Reason(text="it is served here and costs what the machine costs", next=MACHINE)
    if pricing.is_local(target):
        return Reason(text="it listens on this machine or in a private network", next=MACHINE)
    if not pricing.sold_per_token(target):
        return Reason(text="its machine is rented by the hour, not per token", next=MACHINE)
    if found := pricing.prices(target, at=at, book=lists):
        return _unusable(found)
    if places := pricing.regions_of(target, book=lists):
        here = f" and not in {target.get('region')}" if target.get("region") else ""
        return Reason(text=f"its price is known in {', '.join(places)}{here}", next=f"Write ?region={places[0]}.")
    near = did_you_mean(target.model, pricing.models(target.provider, book=lists))
    return Reason(text=f"no price list knows {target.provider}/{target.model}", next=f"{near} {OWN}" if near else OWN)


def amount(price: pricing.Price) -> str:
    """Every digit of the price, with its currency."""
    digits = f"{price.value.normalize():f}"
    whole, _, part = digits.partition(".")
    text = f"{int(whole):,}.{part.ljust(2, '0')}"
    return f"${text}" if price.currency == "USD" else f"{price.currency} {text}"


def _unusable(found: tuple[pricing.Price, ...]) -> Reason:
    unknown = next((price.currency for price in found if price.usd is None), None)
    if unknown is not None:
        how = "cny_per_usd" if unknown == "CNY" else "rates in your own price list"
        return Reason(text=f"nobody says what a dollar buys in {unknown}", next=f"Set {how}.")
    if any(price.suspect for price in found):
        return Reason(text="the only price at hand is suspect", next=OWN)
    return Reason(text="the list prices no text that goes in or comes out", next=OWN)


def _endpoint(target: Target, lab: Lab) -> Target:
    known = [endpoint.name for endpoint in lab.store.endpoints()]
    if target.model in known:
        return target
    providers = registry.names("provider")
    if target.model in providers:
        raise UsageError(f"target {target.model!r} names a provider but no model.", next=f"Write {target.model}/MODEL.")
    near = did_you_mean(target.model, [*known, *providers])
    raise UsageError(f"no endpoint {target.model!r} is running.", next=near or "Write provider/model.")
