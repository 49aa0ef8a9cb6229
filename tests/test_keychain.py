"""Keys from the system's keyring: only where the environment has none, asked once, and never a traceback."""

import subprocess
import sys

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from mlaas_lab import keychain
from mlaas_lab.environment import given, secret
from mlaas_lab.errors import MissingExtra
from mlaas_lab.inference import resolve


class Memory(KeyringBackend):
    """A keyring that forgets with the process."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.kept, self.asked = {}, []

    def get_password(self, service, username):
        self.asked.append((service, username))
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if (service, username) not in self.kept:
            raise PasswordDeleteError("none")
        del self.kept[service, username]


class Broken(Memory):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def get_password(self, service, username, password=None):
        raise self.error

    set_password = delete_password = get_password


@pytest.fixture
def use(monkeypatch):
    """Puts a backend in place, before anything was asked."""
    before = keyring.get_keyring()
    monkeypatch.setattr(keychain, "_known", {})

    def use(backend):
        keyring.set_keyring(backend)
        return backend

    yield use
    keyring.set_keyring(before)


def test_the_keyring_is_asked_once_and_only_for_what_the_environment_lacks(use, monkeypatch):
    memory = use(Memory())
    memory.kept["mlaas_lab", "OPENAI_API_KEY"] = "from-keyring"
    monkeypatch.setenv("OTHER_API_KEY", "from-environment")
    assert [secret("OPENAI_API_KEY") for _ in range(3)] == ["from-keyring"] * 3
    assert secret("OTHER_API_KEY") == "from-environment"
    assert [secret("MISSING_API_KEY") for _ in range(3)] == [None] * 3
    assert memory.asked == [("mlaas_lab", "OPENAI_API_KEY"), ("mlaas_lab", "MISSING_API_KEY")]
    assert given("OPENAI_API_KEY") is None
    monkeypatch.setenv("OPENAI_API_KEY", "wins")
    assert secret("OPENAI_API_KEY") == "wins"


def test_a_target_is_signed_with_it(use, settings):
    use(Memory()).kept["mlaas_lab", "OPENAI_API_KEY"] = "from-keyring"
    route = resolve("openai/m", settings)
    assert route.keys("OPENAI_API_KEY") == "from-keyring"


def test_keep_and_forget(use):
    memory = use(Memory())
    assert secret("A_KEY") is None
    keychain.keep("A_KEY", "value")
    assert secret("A_KEY") == "value"
    assert memory.kept == {("mlaas_lab", "A_KEY"): "value"}
    assert keychain.forget("A_KEY")
    assert secret("A_KEY") is None
    assert not keychain.forget("A_KEY")
    assert memory.kept == {}


@pytest.mark.parametrize("error", [KeyringLocked("locked"), RuntimeError("no bus"), OSError(5, "gone")])
def test_one_that_is_locked_or_broken_holds_no_key(use, error):
    use(Broken(error))
    assert secret("A_KEY") is None
    with pytest.raises(MissingExtra, match="A_KEY"):
        keychain.keep("A_KEY", "canary-0123456789")


def test_a_message_does_not_hold_the_key(use):
    use(Broken(RuntimeError("canary-0123456789 refused")))
    with pytest.raises(MissingExtra) as caught:
        keychain.keep("A_KEY", "canary-0123456789")
    assert "canary" not in str(caught.value) + repr(caught.value)


def test_a_key_in_the_environment_costs_no_import():
    script = (
        "import sys\n"
        "from mlaas_lab.environment import secret\n"
        "print(secret('A_KEY'), 'keyring' in sys.modules, secret('B_KEY'), 'keyring' in sys.modules)\n"
    )
    env = {"A_KEY": "here", "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "here False None True", done.stderr


def test_without_the_library_there_is_no_key(monkeypatch):
    script = (
        "import sys\n"
        "sys.meta_path.insert(0, type('No', (), {'find_spec': staticmethod(\n"
        "    lambda name, *_: (_ for _ in ()).throw(ModuleNotFoundError(name)) if name == 'keyring' else None)}))\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'keyring' else real(name, *more)\n"
        "from mlaas_lab import keychain\n"
        "print(keychain.found('A_KEY'), keychain.installed())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "None False", done.stderr
