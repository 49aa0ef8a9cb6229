"""Keys in the system's keyring (macOS Keychain, Windows Credential Manager, Secret Service), if `keyring` is installed.

Each name is looked up once a process. A keyring that is not there, is locked or fails holds no key; only who wants to
keep one is told why he cannot.
"""

import sys
import threading
from importlib.util import find_spec

from mlaas_lab.errors import MissingExtra

SERVICE = "mlaas_lab"
"""What our entries in the keyring are called."""
LIBRARY = "keyring"
FAILURES = (
    ("jeepney.wrappers", "DBusErrorResponse"),
    ("secretstorage.exceptions", "SecretStorageException"),
    ("win32ctypes.pywin32.pywintypes", "error"),
)
"""Errors of the libraries behind `keyring` that it lets through."""

_known: dict[str, str | None] = {}
_turn = threading.Lock()


def installed() -> bool:
    """Whether the library is there."""
    return find_spec(LIBRARY) is not None


def found(name: str) -> str | None:
    """The key that is kept under the name of an environment variable; never shown, logged or stored elsewhere."""
    with _turn:
        if name not in _known:
            _known[name] = _asked(name)
        return _known[name]


def keep(name: str, value: str) -> None:
    """Keep a key; the next process finds it too.

    Raises:
        MissingExtra: if there is no keyring that takes it.
    """
    import keyring

    try:
        keyring.set_password(SERVICE, name, value)
    except _failures():
        raise MissingExtra("no keyring on this system takes a key.", next=f"Set {name} in the environment.") from None
    with _turn:
        _known[name] = value


def forget(name: str) -> bool:
    """Remove a key; whether there was one."""
    was = found(name) is not None
    if was:
        import keyring

        try:
            keyring.delete_password(SERVICE, name)
        except _failures():
            raise MissingExtra(f"the keyring does not let {name} go.", next="Unlock it, and try again.") from None
    with _turn:
        _known[name] = None
    return was


def _asked(name: str) -> str | None:
    if not installed():
        return None
    import keyring

    try:
        return keyring.get_password(SERVICE, name) or None
    except _failures():
        return None


def _failures() -> tuple[type[Exception], ...]:
    from keyring.errors import KeyringError

    loaded = ((sys.modules.get(module), name) for module, name in FAILURES)
    return (KeyringError, OSError, RuntimeError, ValueError, *(getattr(m, name) for m, name in loaded if m))
