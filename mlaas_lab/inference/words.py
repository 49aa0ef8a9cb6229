"""The words of a target: what each means, whether it is one, and whether a key may go where they lead."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from mlaas_lab.environment import given
from mlaas_lab.errors import AuthFailed, UsageError, did_you_mean
from mlaas_lab.providers import Api, Parameter, Provider
from mlaas_lab.redaction import is_secret, redacted
from mlaas_lab.schema import Target
from mlaas_lab.signing import Keys, Sign, bearer, key

REQUEST: Mapping[str, Callable[[str], Any]] = {
    "max_tokens": int,
    "temperature": lambda text: None if text == "none" else float(text),
    "top_p": float,
    "seed": int,
    "stop": lambda text: (text,),
}
"""Parameters of a target that win over the request's own."""
PACE = ("rpm", "tpm")
"""Requests and tokens a minute that the target allows."""
PLACE = ("base_url", "key_env", "emulated")
"""Parameters of a target that say where it is."""
NAME = "as"
"""The parameter that says what to call it."""

KEEP = "Put it in an environment variable, or in the keyring: mlaas providers NAME --set-key."


def shown(target: Target) -> str:
    """`target` as a message says it: without what looks like a key."""
    return repr(redacted(str(target)))


def words(provider: Provider) -> tuple[str, ...]:
    """The parameters that a target of `provider` may have besides those of the request."""
    ways = ("api",) if provider.apis else ()
    return (*(parameter.name for parameter in provider.parameters), *ways, *PLACE, *PACE, NAME)


def request_words(target: Target, known: tuple[str, ...]) -> dict[str, Any]:
    """What the target says of its requests.

    Raises:
        UsageError: for a parameter that is neither of the request nor `known`, or a value that is no number.
    """
    found: dict[str, Any] = {}
    for name, text in target.params:
        if name in REQUEST:
            found[name] = _number(target, name, text, REQUEST[name])
        elif name not in (*known, NAME):
            if is_secret(name):
                raise UsageError(f"target {shown(target)}: a key does not belong in a target.", next=KEEP)
            offered = (*REQUEST, *known)
            hint = did_you_mean(name, offered) or f"Known: {', '.join(offered)}."
            raise UsageError(f"target {shown(target)}: unknown parameter {name!r}.", next=hint)
    return found


def pace(target: Target) -> tuple[float | None, float | None]:
    """Requests and tokens a minute that `target` says it allows; None where it does not say.

    Raises:
        UsageError: for what is no positive number.
    """
    requests, tokens = (
        None if (text := target.get(name)) is None else _number(target, name, text, _positive) for name in PACE
    )
    return requests, tokens


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _number(target: Target, name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except ValueError:
        raise UsageError(f"target {shown(target)}: {name} must be a number, not {text!r}.") from None


def chosen(provider: Provider, target: Target) -> Api:
    """The way in that `target` names, or the first.

    Raises:
        UsageError: for one that there is not.
    """
    name = target.get("api")
    if name is None:
        return provider
    if name not in provider.apis:
        hint = did_you_mean(name, provider.apis) or f"Known: {', '.join(provider.apis)}; without api= it is the first."
        raise UsageError(f"target {shown(target)}: unknown api {name!r}.", next=hint)
    return provider.apis[name]


def filled(provider: Provider, target: Target) -> Target:
    """`target` with the parameters that it leaves to the environment or to the provider.

    Raises:
        UsageError: for one that is missing, or that could lead elsewhere.
    """
    params = dict(target.params)
    for parameter in provider.parameters:
        value = target.get(parameter.name) or _from_environment(parameter) or parameter.default
        if value is None and parameter.required and "base_url" not in params:
            where = f", or set {' or '.join(parameter.env)}" if parameter.env else ""
            raise UsageError(
                f"target {shown(target)} does not say its {parameter.name}: {parameter.about}.",
                next=f"Write ?{parameter.name}={parameter.example}{where}.",
            )
        if value is None:
            continue
        if not re.fullmatch(parameter.pattern, value):
            raise UsageError(
                f"target {shown(target)}: {value!r} is no {parameter.name}.", next=f"One is {parameter.example!r}."
            )
        params[parameter.name] = value
    return replace(target, params=tuple(params.items()))


def _from_environment(parameter: Parameter) -> str | None:
    return next((value for name in parameter.env if (value := given(name))), None)


def address(api: Api, place: Target, *, stream: bool) -> str:
    """Where `place` is prompted.

    Raises:
        UsageError: for what is no address, holds a password, or is private without the target saying so.
    """
    url = api.address(place, stream=stream)
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise UsageError(
            f"target {shown(place)}: {url!r} is no address.", next="Write http://host:port/v1 as base_url."
        )
    if parts.username or parts.password:
        raise UsageError("a base_url holds no password.", next="Name the key's environment variable: key_env=NAME.")
    if place.get("base_url") is None and _is_private(parts.hostname or ""):
        raise UsageError(f"target {shown(place)} leads to a private address.", next="Say so: base_url=….")
    return url


def _is_private(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def signature(provider: Provider, api: Api, place: Target, url: str) -> tuple[Sign | None, Keys]:
    """How requests to `url` are signed, and with whose keys: a key goes to its own hosts, or where `key_env` sends it.

    Raises:
        UsageError: if `key_env` is no name.
        AuthFailed: if no key is set for any of the provider's signatures.
    """
    if place.get("emulated") is not None:
        return next(iter(api.signs), None), _practice
    name = place.get("key_env")
    if name is not None:
        return _named(api, name)
    if not at_home(provider, api, place, url) or not api.signs:
        return None, key
    ready = next((sign for sign in api.signs if sign.ready), None)
    if ready is None:
        wanted = " or ".join(" and ".join(sign.keys) for sign in api.signs)
        raise AuthFailed(
            f"{wanted} is not set.",
            next=f"Put the key in environment variable {api.signs[0].keys[0]}, or keep it in the keyring:"
            f" mlaas providers {place.provider} --set-key.",
        )
    return ready, key


def at_home(provider: Provider, api: Api, place: Target, url: str) -> bool:
    """Whether `url` is at the key's own host, or at one that the provider vouches for."""
    if place.get("base_url") is None:
        return True
    host = urlsplit(url).hostname or ""
    if urlsplit(url).scheme == "https" and any(host.endswith(end) for end in provider.hosts):
        return True
    own = replace(place, params=tuple((k, v) for k, v in place.params if k != "base_url"))
    return origin(api.address(own, stream=False)) == origin(url)


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _named(api: Api, name: str) -> tuple[Sign, Keys]:
    """The signature with the key in environment variable `name`, wherever the target is."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        # What stands there may be a key: it is not repeated.
        raise UsageError("key_env is the name of an environment variable, not a key.", next="Write key_env=MY_API_KEY.")
    if not api.signs:
        return bearer(name), key
    first = api.signs[0].keys[0]
    sign = replace(api.signs[0], keys=(name, *api.signs[0].keys[1:]))
    return sign, lambda asked: key(name if asked == first else asked)


def _practice(name: str) -> str:
    """The key that emulators take; a real one never goes to them."""
    return f"emulated-{name}"
