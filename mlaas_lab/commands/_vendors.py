"""What a user must know of a vendor: what it needs, whether that is set (never the value), and a target that works."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from urllib.parse import quote

from mlaas_lab import keychain, registry
from mlaas_lab.emulators import Emulator
from mlaas_lab.environment import KEY_FILES, given, secret
from mlaas_lab.providers import Api, Parameter, Provider
from mlaas_lab.schema import JSON
from mlaas_lab.signing import Sign


@dataclass(frozen=True)
class Vendor:
    """One provider, as it stands on this machine."""

    name: str
    provider: Provider

    @property
    def ways(self) -> tuple[tuple[str, Api], ...]:
        """Every way in; the first has no name."""
        return (("", self.provider), *self.provider.apis.items())

    @property
    def here(self) -> bool:
        """It answers in this process."""
        return self.provider.reply is not None

    @property
    def anywhere(self) -> bool:
        """It has no address of its own, so it asks for a key only where somebody made it."""
        return any(parameter.name == "base_url" and parameter.required for parameter in self.provider.parameters)

    @cached_property
    def signs(self) -> tuple[Sign, ...]:
        """The signatures of all ways in, each once."""
        return tuple(dict.fromkeys(sign for _, api in self.ways for sign in api.signs))

    @cached_property
    def keys(self) -> dict[str, str | None]:
        """Every variable that it takes keys from, and where the key is: in the environment, a file, the keyring."""
        names = dict.fromkeys(name for sign in self.signs for name in (*sign.keys, *sign.optional))
        return {name: _where(name) for name in names}

    @cached_property
    def ready(self) -> bool:
        """It can be asked: all keys of one signature are set, or it needs none."""
        return self.here or self.anywhere or any(all(self.keys[name] for name in sign.keys) for sign in self.signs)

    @property
    def asks_for_keys(self) -> bool:
        """Nobody is answered without a key."""
        return not (self.here or self.anywhere)

    @property
    def needed(self) -> tuple[Parameter, ...]:
        """The parameters without which nobody can be asked."""
        return tuple(parameter for parameter in self.provider.parameters if parameter.required)

    @property
    def missing(self) -> str | None:
        """The command that adds a library it lacks."""
        absent = (sign.library for sign in self.signs if sign.library and not _installed(sign.library))
        return next((registry.missing_extra(library.partition(".")[0]).next for library in absent), None)

    @cached_property
    def practice(self) -> str | None:
        """The emulator that speaks for it."""
        name = self.provider.emulator or self.name
        return name if name in registry.names("emulator") else None

    @cached_property
    def example(self) -> str:
        """A target of it, once its own names stand in place of ours."""
        if self.here or self.practice is None:
            return f"{self.name}/any"
        emulator: Emulator = registry.load("emulator", self.practice)
        words = [word for word in emulator.target.split("&") if word]
        given_by = {word.partition("=")[0] for word in words}
        needed = [one for one in self.needed if one.name not in given_by]
        words += [f"{one.name}={quote(one.example, safe=':/@,')}" for one in needed]
        return f"{self.name}/{emulator.model}" + (f"?{'&'.join(words)}" if words else "")

    def needs(self, *, short: bool = False) -> str:
        """Keys and parameters, in words; `short` names the first of several keys that would do."""
        if self.here:
            return "nothing"
        sets = dict.fromkeys(" and ".join(sign.keys) for sign in self.signs)
        keys = next(iter(sets), "") if short else " or ".join(sets)
        keys = f"key_env={keys} if the server asks" if self.anywhere else keys
        params = [one.name if short else f"{one.name}{_from(one)}" for one in self.needed]
        return "; ".join([*params, keys] if self.anywhere else [keys, *params])

    def as_json(self) -> dict[str, JSON]:
        """All of it."""
        return {
            "name": self.name,
            "title": self.provider.title,
            "ready": self.ready,
            "example": self.example,
            "needs": self.needs(),
            "keys": [{"name": name, "set": where is not None, "where": where} for name, where in self.keys.items()],
            "parameters": [_parameter(one) for one in self.provider.parameters],
            "apis": [
                {
                    "name": name,
                    "keys": [list(sign.keys) for sign in api.signs],
                    "streams": api.streams,
                    "checked": api.checked,
                }
                for name, api in self.ways
            ],
            "regions": list(self.provider.regions),
            "emulator": self.practice,
            "missing": self.missing,
        }


def every() -> Iterator[Vendor]:
    """All vendors that are registered, by name."""
    for name in registry.names("provider"):
        yield Vendor(name, registry.load("provider", name))


def _where(name: str) -> str | None:
    if given(name):
        return "environment"
    if name in KEY_FILES:
        return "file" if secret(name) else None
    return "keyring" if keychain.found(name) else None


def _installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:
        return False


def _from(parameter: Parameter) -> str:
    return f" (or {parameter.env[0]})" if parameter.env else ""


def _parameter(one: Parameter) -> dict[str, JSON]:
    return {
        "name": one.name,
        "about": one.about,
        "example": one.example,
        "required": one.required,
        "default": one.default,
        "env": list(one.env),
        "set": any(given(name) for name in one.env),
    }
