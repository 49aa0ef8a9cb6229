"""`providers`: whom one can prompt, what each needs, whether it is set, and what its contract was checked against."""

import getpass
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from mlaas_lab import keychain, registry
from mlaas_lab.commands import Command
from mlaas_lab.commands._vendors import Vendor, every
from mlaas_lab.environment import KEY_FILES, given
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.view import Badge, Code, Column, Facts, Shown, Table, Tone, View
from mlaas_lab.view.formats import count

FIRST_STEPS = (
    "No key is set yet. Without one: `ask hello --targets echo/any`, or practise with an emulator:"
    " `emulate openai`, then `ask hello --targets openai/gpt-4.1-mini?emulated=yes`. With one: put it in the"
    " environment, or in the system's keyring: `providers openai --set-key`."
)


class Providers(Spec):
    """List whom one can prompt: what each vendor needs, whether it is set, what its contract was checked against."""

    name: Annotated[str | None, Refers("provider")] = Arg(None)
    """Show this one in full."""
    set_key: bool = False
    """Ask for its key, without showing it, and keep it in the system's keyring."""
    forget_key: bool = False
    """Remove its key from the system's keyring."""
    variable: str | None = None
    """Which of its keys, by the name of its environment variable; by default those of its first signature."""


@dataclass(frozen=True, kw_only=True)
class ProviderList(Shown):
    """Vendors as they stood when the command ran."""

    vendors: Sequence[Vendor]
    whole: bool = False
    """One vendor, in full."""
    done: str = ""
    """What was done with its key."""

    def view(self) -> View:
        """One row a vendor, or all of one."""
        return _card(self.vendors[0], self.done) if self.whole else _list(self.vendors)

    def as_json(self) -> JSON:
        """`{providers: [{name, title, ready, example, needs, keys, parameters, apis, regions, …}], next}`."""
        return {"providers": [vendor.as_json() for vendor in self.vendors], "next": self.done or _next(self.vendors)}


def _list(vendors: Sequence[Vendor]) -> View:
    columns: list[Column | str] = [
        "Name",
        "Key",
        Column(title="Needs", wrap=True),
        Column(title="Ways in", wrap=True),
        Column(title="Regions", align="right", format=count),
        Column(title="Checked against", wrap=True),
        "Vendor",
    ]
    rows = [
        [
            one.name,
            _badge(one),
            one.needs(short=True),
            ", ".join(_way(name, streams=api.streams) for name, api in one.ways),
            len(one.provider.regions) or None,
            _kinds(one.provider.checked),
            one.provider.title,
        ]
        for one in vendors
    ]
    keyed = [one for one in vendors if one.asks_for_keys]
    summary = f"{sum(one.ready for one in keyed)} of {len(keyed)} vendors have their key set."
    notes = [told] if (told := _next(vendors)) else []
    notes.append("Every way in streams but those marked so. `providers NAME` shows one in full, with an example.")
    return View(title="Providers", summary=summary, table=Table(columns=columns, rows=rows), notes=notes)


def _card(one: Vendor, done: str) -> View:
    keys = [(name, f"set, in the {where}" if where else "not set") for name, where in one.keys.items()]
    facts: list[tuple[str, str]] = [
        ("Needs", one.needs()),
        *keys,
        *((f"Way in: {_way(name, streams=api.streams)}", f"checked against {api.checked}") for name, api in one.ways),
        ("Regions", ", ".join(one.provider.regions) or "none to choose"),
        ("Practice", f"emulate {one.practice}, then {_with(one.example, 'emulated=yes')}" if one.practice else "none"),
        *([("Library", one.missing)] if one.missing else []),
    ]
    columns: list[Column | str] = [
        "Word of a target",
        Column(title="What it says", wrap=True),
        Column(title="Example", wrap=True),
        Column(title="From", wrap=True),
    ]
    rows = [
        [p.name, p.about, p.example, ", ".join([*p.env, *([f"default {p.default}"] if p.default else [])])]
        for p in one.provider.parameters
    ]
    return View(
        title=one.provider.title,
        badge=_badge(one),
        summary=done,
        marks=[Facts(rows=facts), Code(label="Example", text=f"ask hello --targets '{one.example}'")],
        table=Table(columns=columns, rows=rows) if rows else None,
        notes=[] if one.ready or done else [_next([one])],
    )


def _badge(one: Vendor) -> Badge:
    if not one.asks_for_keys:
        return Badge(text="none", tone=Tone.GOOD)
    return Badge(text="set", tone=Tone.GOOD) if one.ready else Badge(text="not set")


def _way(name: str, *, streams: bool) -> str:
    return (name or "default") + ("" if streams else " (in one piece)")


def _kinds(checked: str) -> str:
    """What kinds of thing stand behind a contract; which, says the card."""
    return ", ".join(dict.fromkeys(part.partition(":")[0].strip() for part in checked.split(";") if part.strip()))


def _with(target: str, word: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}{word}"


def _next(vendors: Sequence[Vendor]) -> str:
    """What to do where nothing is set."""
    keyed = [one for one in vendors if one.asks_for_keys]
    if not keyed or any(one.ready for one in keyed):
        return ""
    if len(vendors) > 1:
        return FIRST_STEPS
    name = next(iter(keyed[0].signs[0].keys), "its key")
    return f"Set {name} in the environment, or keep it in the system's keyring: `providers {keyed[0].name} --set-key`."


def _run(args: Providers, lab: Lab) -> ProviderList:
    del lab
    if args.set_key and args.forget_key:
        raise UsageError("--set-key and --forget-key say the opposite.")
    if args.name is None:
        if args.set_key or args.forget_key:
            raise UsageError("whose key?", next="Write providers NAME --set-key.")
        return ProviderList(vendors=tuple(every()))
    one = Vendor(args.name, registry.load("provider", args.name))
    done = _kept(one, args.variable) if args.set_key else _forgotten(one, args.variable) if args.forget_key else ""
    # Made anew: what it says of its keys was read before.
    return ProviderList(vendors=(Vendor(one.name, one.provider),), whole=True, done=done)


def _kept(one: Vendor, variable: str | None) -> str:
    names = _variables(one, variable)
    done = []
    for name in names:
        keychain.keep(name, _asked(name))
        done.append(f"{name} is kept in the system's keyring" + (SHADOWED if given(name) else "") + ".")
    return " ".join(done)


SHADOWED = ", but the environment has one too, and that one is used"


def _forgotten(one: Vendor, variable: str | None) -> str:
    names = _variables(one, variable)
    return " ".join(
        f"{name} is removed from the system's keyring." if keychain.forget(name) else f"{name} was not in the keyring."
        for name in names
    )


def _variables(one: Vendor, variable: str | None) -> tuple[str, ...]:
    """The variables whose keys are meant.

    Raises:
        UsageError: if there is none, or not that one; a key in its place is not repeated.
        MissingExtra: without the library.
    """
    known = [name for name in one.keys if name not in KEY_FILES]
    if not known:
        raise UsageError(f"{one.name} takes no key that a keyring could hold.", next=f"See: providers {one.name}")
    if variable is not None and variable not in known:
        raise UsageError(
            f"--variable is none of {one.name}'s.", next=did_you_mean(variable, known) or f"Known: {', '.join(known)}."
        )
    if not keychain.installed():
        raise registry.missing_extra(keychain.LIBRARY)
    first = next(sign.keys for sign in one.signs if not set(sign.keys).isdisjoint(known))
    return (variable,) if variable else tuple(name for name in first if name in known)


def _asked(name: str) -> str:
    """The key, as a terminal or a notebook reads passwords: a kernel puts its own question in getpass' place.

    Raises:
        UsageError: if nobody can be asked unseen, or what was typed is no key.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            value = getpass.getpass(f"{name} (not shown): ").strip()
    except (getpass.GetPassWarning, EOFError, RuntimeError):
        raise UsageError(
            "nobody can be asked for a key here without showing it.",
            next=f"Use a terminal or a notebook, or set {name} in the environment.",
        ) from None
    if not value or not value.isascii() or not value.isprintable():
        raise UsageError(f"that is no key, and {name} stays as it is.", next="Keys are printable ASCII.")
    return value


command = Command(args=Providers, run=_run, examples=("providers", "providers azure", "providers openai --set-key"))
