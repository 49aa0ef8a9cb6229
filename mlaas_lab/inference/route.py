"""From a target to the place where it is prompted: its provider, its address, and whether a key may go there."""

import ipaddress
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from mlaas_lab import registry
from mlaas_lab.errors import TimedOut, UsageError, did_you_mean
from mlaas_lab.providers import Provider
from mlaas_lab.schema import Endpoint, Target
from mlaas_lab.settings import Settings
from mlaas_lab.signing import Sign, bearer, key
from mlaas_lab.store import Store
from mlaas_lab.wires import Params

CONCURRENCY = 8
BATCHING_ENGINES = {"transformers": 16}
"""Engines that answer a batch together, and how many requests fill it."""
STARTING_S = 600.0
"""How long an endpoint that is starting is waited for; its job gives up long before."""

REQUEST: Mapping[str, Callable[[str], Any]] = {
    "max_tokens": int,
    "temperature": float,
    "top_p": float,
    "seed": int,
    "stop": lambda text: (text,),
}
"""Parameters of a target that win over the request's own."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """All the client needs to prompt one target."""

    target: Target
    provider: Provider
    model: str
    """What is sent as the model's name."""
    url: str = ""
    stream_url: str = ""
    sign: Sign | None = None
    """None where no key may go: to any host that is not the key's own."""
    private: bool = False
    """It may be at a loopback or private address: the target says so itself."""
    concurrency: int = CONCURRENCY
    """Requests at once, unless somebody asks for more or fewer."""
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def name(self) -> str:
        """The target as text."""
        return str(self.target)

    def params(self, params: Params) -> Params:
        """`params` with what the target says itself."""
        return replace(params, **self.overrides) if self.overrides else params


def resolve(target: Target | str, settings: Settings) -> Route:
    """The route to `target`; an endpoint of ours that is still starting is waited for.

    Raises:
        UsageError: for an unknown provider, endpoint or parameter, with the nearest matches.
        AuthFailed: if its key is not set.
        TimedOut: if the endpoint does not come up.
    """
    target = parsed(target)
    if target.provider is None:
        return _ours(target, _endpoint(target, settings))
    provider: Provider = registry.load("provider", target.provider)
    overrides = _overrides(target, known=() if provider.reply else ("base_url", "key_env", *provider.params))
    if provider.reply is not None:
        return Route(target=target, provider=provider, model=target.model, overrides=overrides)
    url = _address(provider, target, stream=False)
    sign = _sign(provider, target, url)
    for name in sign.keys if sign else ():
        key(name)
    return Route(
        target=target,
        provider=provider,
        model=target.model,
        url=url,
        stream_url=_address(provider, target, stream=True),
        sign=sign,
        private=target.get("base_url") is not None,
        overrides=overrides,
    )


def parsed(target: Target | str) -> Target:
    """`target` as a Target.

    Raises:
        UsageError: if it has no model.
    """
    if isinstance(target, Target):
        return target
    try:
        return Target.parse(target)
    except ValueError as error:
        raise UsageError(f"{error}.") from None


def _ours(target: Target, endpoint: Endpoint) -> Route:
    provider: Provider = registry.load("provider", "openai")
    place = replace(target, model=endpoint.model, params=(*target.params, ("base_url", endpoint.base_url)))
    return Route(
        target=target,
        provider=provider,
        model=endpoint.model,
        url=provider.address(place, stream=False),
        stream_url=provider.address(place, stream=True),
        private=True,
        concurrency=BATCHING_ENGINES.get(endpoint.engine, CONCURRENCY),
        overrides=_overrides(target, known=()),
    )


def _endpoint(target: Target, settings: Settings) -> Endpoint:
    store = Store(settings.store_path)
    patience = time.monotonic() + STARTING_S
    try:
        while (found := store.endpoint(target.model)) is not None and not found.ready:
            if time.monotonic() > patience:
                raise TimedOut(f"endpoint {found.name!r} is still starting.", next=f"See why: logs {found.job_id}")
            time.sleep(0.2)
        if found is None:
            raise _no_endpoint(target.model, [endpoint.name for endpoint in store.endpoints()])
        return found
    finally:
        store.close()


def _no_endpoint(name: str, known: list[str]) -> UsageError:
    if name in registry.names("provider"):
        return UsageError(f"target {name!r} names a provider but no model.", next=f"Write {name}/MODEL.")
    near = did_you_mean(name, known)
    if near is None and known:
        near = f"Running: {', '.join(sorted(known))}."
    return UsageError(
        f"no endpoint {name!r} is running.", next=near or f"Start it: serve {name}, or write provider/model."
    )


def _overrides(target: Target, known: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, text in target.params:
        if name in REQUEST:
            try:
                found[name] = REQUEST[name](text)
            except ValueError:
                raise UsageError(f"target {str(target)!r}: {name} must be a number, not {text!r}.") from None
        elif name not in known:
            offered = (*REQUEST, *known)
            hint = did_you_mean(name, offered) or f"Known: {', '.join(offered)}."
            raise UsageError(f"target {str(target)!r}: unknown parameter {name!r}.", next=hint)
    return found


def _address(provider: Provider, target: Target, *, stream: bool) -> str:
    url = provider.address(target, stream=stream)
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"target {str(target)!r}: {url!r} is no address.", next="Write http://host:port/v1 as base_url."
        )
    if parts.username or parts.password:
        raise UsageError("a base_url holds no password.", next="Name the key's environment variable: key_env=NAME.")
    if target.get("base_url") is None and _is_private(parts.hostname or ""):
        raise UsageError(f"target {str(target)!r} leads to a private address.", next="Say so: base_url=….")
    return url


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _sign(provider: Provider, target: Target, url: str) -> Sign | None:
    """The provider's signature on its own host; elsewhere the key that the target names, or none."""
    if (name := target.get("key_env")) is not None:
        if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            # What stands there may be a key: it is not repeated.
            raise UsageError(
                "key_env is the name of an environment variable, not a key.", next="Write key_env=MY_API_KEY."
            )
        return bearer(name)
    if target.get("base_url") is None:
        return provider.sign
    own = replace(target, params=tuple((k, v) for k, v in target.params if k != "base_url"))
    same = _origin(provider.address(own, stream=False)) == _origin(url)
    return provider.sign if same else None


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
