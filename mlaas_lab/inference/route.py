"""From a target to the place where it is prompted: its provider, its address, and whether a key may go there."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mlaas_lab import registry, telemetry
from mlaas_lab.errors import AuthFailed, TimedOut, UsageError, did_you_mean
from mlaas_lab.inference.waking import wake
from mlaas_lab.inference.words import address, chosen, filled, request_words, shown, signature, words
from mlaas_lab.providers import Api, Provider
from mlaas_lab.redaction import redacted
from mlaas_lab.schema import Endpoint, EndpointState, Target
from mlaas_lab.settings import Settings
from mlaas_lab.signing import Keys, Sign, bearer, key
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.telemetry import Telemetry
from mlaas_lab.unix_socket import over_http, socket_of
from mlaas_lab.wires import Params

CONCURRENCY = 8
BATCHING_ENGINES = {"transformers": 16, "vllm": 32}
"""Engines that answer a batch together, and how many requests fill it."""
OURS = "the endpoint's own key"
"""What the key of a server of ours is called; it stands in the folder of its job, and no variable holds it."""
EMULATED = "emulated-"
"""How the endpoint of an emulator is called: this and its provider."""
AUTHORITY = "ca.pem"
"""In the folder of an emulator's job, if it speaks TLS."""
STARTING_S = 600.0
"""How long an endpoint that is starting is waited for; its job gives up long before."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """All the client needs to prompt one target."""

    target: Target
    api: Api
    provider: Provider
    model: str
    """What is sent as the model's name."""
    place: Target
    """The target with every parameter filled in, from the environment and the provider's defaults."""
    url: str = ""
    stream_url: str = ""
    sign: Sign | None = None
    """None where no key may go: to any host that is not the key's own."""
    keys: Keys = key
    """Where the signature's secrets come from."""
    hosts: tuple[str, ...] = ()
    """Ends of the names of other hosts that the key may go to."""
    private: bool = False
    """It may be at a loopback or private address: the target says so itself."""
    emulated: bool = False
    """A loopback emulator answers, not the vendor."""
    unchecked: bool = False
    """An endpoint of ours answers that nobody compared with the model that was trained."""
    socket: str | None = None
    """Path of the Unix socket that it listens on, if it is none of a port."""
    authority: Path | None = None
    """Certificate that an emulator's own is of, if it speaks TLS."""
    concurrency: int = CONCURRENCY
    """Requests at once, unless somebody asks for more or fewer."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    telemetry: Telemetry | None = None
    """Who is told of its calls."""

    @cached_property
    def name(self) -> str:
        """What the target is called."""
        return self.target.name

    @property
    def region(self) -> str | None:
        """Where it is asked, when the target has regions."""
        return self.place.get("region")

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """What requests for a whole answer say besides what every connection says and their signature."""
        return {**self.api.headers(self.place), **self.api.whole_headers}

    @cached_property
    def stream_headers(self) -> Mapping[str, str]:
        """The same for streams."""
        return {**self.api.headers(self.place), **self.api.stream_headers}

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        """What every body holds besides what the wire writes."""
        return dict(self.api.fields(self.place))

    def params(self, params: Params) -> Params:
        """`params` with what the target says itself."""
        return replace(params, **self.overrides) if self.overrides else params


def resolve(target: Target | str, settings: Settings) -> Route:
    """The route to `target`; an endpoint of ours that is still starting is waited for.

    Raises:
        UsageError: for an unknown provider, endpoint or parameter, with the nearest matches.
        AuthFailed: if its key is not set.
        TimedOut: if the endpoint does not come up.
        MissingExtra: if telemetry is on and its library is not installed.
    """
    target = parsed(target)
    try:
        route, telling = _resolved(target, settings), telemetry.of(settings)
    except AuthFailed as error:
        # Keys know no target.
        error.message = f"target {shown(target)}: {error.message}"
        raise
    return route if telling is None else replace(route, telemetry=telling)


def _resolved(target: Target, settings: Settings) -> Route:
    if target.provider is None:
        return _ours(target, _endpoint(target.model, settings), settings)
    provider: Provider = registry.load("provider", target.provider)
    if provider.reply is not None:
        overrides = request_words(target, known=())
        return Route(
            target=target, api=provider, provider=provider, model=target.model, place=target, overrides=overrides
        )
    overrides = request_words(target, known=words(provider))
    api = chosen(provider, target)
    emulated = target.get("emulated") is not None
    there, authority = emulator(target, provider, settings) if emulated else (target, None)
    place = filled(provider, there)
    url = address(api, place, stream=False)
    api = api.spoken_at(place)
    sign, keys = signature(provider, api, place, url)
    if sign and sign.library:
        registry.resolve(sign.library)
    for name in sign.keys if sign else ():
        keys(name)
    return Route(
        target=target,
        api=api,
        provider=provider,
        model=target.model,
        place=place,
        url=url,
        stream_url=address(api, place, stream=True),
        sign=sign,
        keys=keys,
        hosts=() if emulated else provider.hosts,
        private=place.get("base_url") is not None,
        emulated=emulated,
        authority=authority,
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
        raise UsageError(f"{redacted(str(error))}.") from None


def emulator(target: Target, provider: Provider, settings: Settings) -> tuple[Target, Path | None]:
    """`target` at the loopback emulator that speaks for its provider, and the authority that its certificate is of.

    `emulated=yes` finds a running one; an address names it.

    Raises:
        UsageError: if none is running.
    """
    where = target.get("emulated") or ""
    if where.startswith(("http://127.0.0.1:", "https://127.0.0.1:")):
        return replace(target, params=(*target.params, ("base_url", where))), None
    if where != "yes":
        raise UsageError(
            f"target {str(target)!r}: emulated={where} is neither yes nor an address.", next="Write emulated=yes."
        )
    try:
        found = _endpoint(f"{EMULATED}{provider.emulator or target.provider}", settings)
    except UsageError:
        raise UsageError(
            f"target {str(target)!r}: no emulator of {target.provider} is running.",
            next=f"Start it: emulate {target.provider}",
        ) from None
    authority = settings.jobs_dir / found.job_id / AUTHORITY
    return replace(target, params=(*target.params, ("base_url", found.base_url))), authority


def _ours(target: Target, endpoint: Endpoint, settings: Settings) -> Route:
    provider: Provider = registry.load("provider", "openai")
    base_url = over_http(endpoint.base_url)
    place = replace(target, model=endpoint.model, params=(*target.params, ("base_url", base_url)))
    kept = JobFolder(settings.jobs_dir / endpoint.job_id).key
    own = kept.read_text() if kept.exists() else ""
    return Route(
        target=target,
        api=provider.spoken_at(place),
        provider=provider,
        model=endpoint.model,
        sign=bearer(OURS) if own else None,
        keys=lambda _name: own,
        place=place,
        url=provider.address(place, stream=False),
        stream_url=provider.address(place, stream=True),
        private=True,
        socket=socket_of(endpoint.base_url),
        unchecked=endpoint.unchecked,
        concurrency=BATCHING_ENGINES.get(endpoint.engine, CONCURRENCY),
        overrides=request_words(target, known=()),
    )


def _endpoint(name: str, settings: Settings) -> Endpoint:
    store = Store(settings.store_path)
    patience, woken = time.monotonic() + STARTING_S, False
    try:
        while (found := store.endpoint(name)) is None or not found.ready:
            if not woken and (found is None or found.state is EndpointState.SLEEPING):
                woken = wake(name, store, settings, within_s=STARTING_S)
                if not woken:
                    raise _no_endpoint(name, [endpoint.name for endpoint in store.endpoints()], asleep=bool(found))
                continue
            if time.monotonic() > patience:
                state = found.state if found else EndpointState.STARTING
                where = f"logs {found.job_id}" if found else "jobs"
                raise TimedOut(f"endpoint {name!r} is still {state}.", next=f"See why: {where}")
            time.sleep(0.2)
        return found
    finally:
        store.close()


def _no_endpoint(name: str, known: list[str], *, asleep: bool) -> UsageError:
    if asleep:
        return UsageError(f"endpoint {name!r} sleeps, and no front runs that could wake it.", next="Start one: front")
    if name in registry.names("provider"):
        return UsageError(f"target {name!r} names a provider but no model.", next=f"Write {name}/MODEL.")
    near = did_you_mean(name, known)
    if near is None and known:
        near = f"Running: {', '.join(sorted(known))}."
    return UsageError(
        f"no endpoint {name!r} is running.", next=near or f"Start it: serve {name}, or write provider/model."
    )
