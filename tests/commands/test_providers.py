"""`providers`: what each vendor needs and whether it is set, never the value; keys go into the keyring unseen."""

import getpass
import json

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

import mlaas_lab as ml
from mlaas_lab import keychain, registry
from mlaas_lab.cli import main
from mlaas_lab.commands import _complete
from mlaas_lab.commands._vendors import Vendor
from mlaas_lab.commands.providers import command
from mlaas_lab.environment import KEY_FILES, secret
from mlaas_lab.errors import MissingExtra, UsageError
from mlaas_lab.inference import resolve
from mlaas_lab.spec import read

NAMES = registry.names("provider")
CANARY = "sk-canary-0123456789abcdef"


class Memory(KeyringBackend):
    """A keyring that forgets with the process."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("none")


@pytest.fixture(autouse=True)
def memory(home, monkeypatch):
    """An empty keyring."""
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    monkeypatch.setattr(keychain, "_known", {})
    yield memory
    keyring.set_keyring(before)


@pytest.fixture
def typed(monkeypatch):
    """What the user types when a key is asked for, and what he was asked."""
    asked = []

    def typed(value):
        monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or value)
        return asked

    return typed


def run(lab, *words):
    return command.run(read(command.args, words), lab)


@pytest.mark.parametrize("name", NAMES)
class TestEveryProvider:
    def test_it_says_what_it_needs(self, name, lab):
        row = run(lab, name).as_json()["providers"][0]
        assert row["title"]
        assert row["needs"]
        assert row["apis"][0]["name"] == ""
        for way in row["apis"]:
            kinds = {part.partition(":")[0].strip() for part in way["checked"].split(";")}
            assert kinds & {"SDK", "specification", "example", "documentation"}, way
        assert name in str(run(lab, name))

    def test_its_example_leads_somewhere(self, name, settings, monkeypatch, tmp_path):
        vendor = Vendor(name, registry.load("provider", name))
        for variable in vendor.keys:
            monkeypatch.setenv(variable, str(tmp_path / "key.json") if variable in KEY_FILES else "a-key-0123456789")
        vendor = Vendor(name, vendor.provider)
        assert vendor.ready
        route = resolve(vendor.example, settings)
        assert str(route.target) == vendor.example


def test_one_row_a_provider(lab):
    found = run(lab)
    assert [row["name"] for row in found.as_json()["providers"]] == list(NAMES)
    text = str(found)
    assert all(name in text for name in NAMES)
    assert "<table" in found._repr_html_()


def test_nothing_set_says_the_next_step(lab):
    found = run(lab)
    assert found.as_json()["next"].startswith("No key is set yet.")
    assert "ask hello --targets echo/any" in str(found)
    assert "0 of" in str(found)


def test_a_set_key_is_named_and_never_shown(lab, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    assert main(["providers", "--json"]) == 0
    out = capsys.readouterr().out
    assert "canary" not in out
    rows = {row["name"]: row for row in json.loads(out)["providers"]}
    assert rows["openai"]["ready"]
    assert rows["openai"]["keys"] == [{"name": "OPENAI_API_KEY", "set": True, "where": "environment"}]
    assert not rows["azure"]["ready"]
    assert json.loads(out)["next"] == ""
    for shown in (str(run(lab)), run(lab)._repr_html_(), str(run(lab, "openai"))):
        assert "canary" not in shown
    assert "set, in the environment" in str(run(lab, "openai"))


def test_a_vendor_without_an_address_needs_no_key(lab):
    row = run(lab, "vllm").as_json()["providers"][0]
    assert row["ready"]
    assert "key_env=VLLM_API_KEY" in row["needs"]
    assert row["example"].endswith("?base_url=http://127.0.0.1:8000/v1")


def test_unknown_name_gets_the_nearest(lab):
    with pytest.raises(UsageError, match=r"unknown provider 'opnai'\. Did you mean 'openai'"):
        run(lab, "opnai")


def test_python_has_it_although_a_package_has_its_name(home):
    import mlaas_lab.providers

    assert [vendor.name for vendor in ml.providers().vendors] == list(NAMES)
    assert mlaas_lab.providers.Provider


def test_names_complete():
    assert _complete.candidates(" providers open") == ["openai", "openrouter"]


class TestKeys:
    def test_a_key_is_asked_for_and_kept(self, lab, memory, typed):
        asked = typed(f" {CANARY}\n")
        found = run(lab, "openai", "--set-key")
        assert memory.kept == {("mlaas_lab", "OPENAI_API_KEY"): CANARY}
        assert asked == ["OPENAI_API_KEY (not shown): "]
        assert secret("OPENAI_API_KEY") == CANARY
        assert "set, in the keyring" in str(found)
        assert "canary" not in str(found) + json.dumps(found.as_json()) + found._repr_html_()

    def test_and_removed(self, lab, memory, typed):
        typed(CANARY)
        run(lab, "openai", "--set-key")
        assert "is removed" in str(run(lab, "openai", "--forget-key"))
        assert memory.kept == {}
        assert secret("OPENAI_API_KEY") is None
        assert "was not in the keyring" in str(run(lab, "openai", "--forget-key"))

    def test_one_of_several(self, lab, memory, typed):
        typed(CANARY)
        run(lab, "azure", "--set-key", "--variable", "AZURE_OPENAI_AD_TOKEN")
        assert list(memory.kept) == [("mlaas_lab", "AZURE_OPENAI_AD_TOKEN")]

    def test_a_pair_is_asked_for_together(self, lab, memory, typed):
        asked = typed(CANARY)
        run(lab, "sagemaker", "--set-key")
        assert len(asked) == len(memory.kept) == 2

    def test_the_environment_still_wins_and_that_is_said(self, lab, typed, monkeypatch):
        typed(CANARY)
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        assert "the environment has one too" in run(lab, "openai", "--set-key").done

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--set-key",), "whose key"),
            (("openai", "--set-key", "--forget-key"), "say the opposite"),
            (("echo", "--set-key"), "takes no key"),
            (("azure", "--set-key", "--variable", CANARY), "is none of azure's"),
        ],
    )
    def test_wrong_words_get_one_line(self, lab, words, said):
        with pytest.raises(UsageError) as caught:
            run(lab, *words)
        assert said in str(caught.value)
        assert "canary" not in str(caught.value)

    @pytest.mark.parametrize("value", ["", "  ", "schlüssel", "two\nlines"])
    def test_what_is_no_key_is_not_kept(self, lab, memory, typed, value):
        typed(value)
        with pytest.raises(UsageError, match="that is no key"):
            run(lab, "openai", "--set-key")
        assert memory.kept == {}

    @pytest.mark.parametrize("error", [EOFError, getpass.GetPassWarning, RuntimeError])
    def test_where_nobody_can_be_asked_unseen_nobody_is(self, lab, memory, monkeypatch, error):
        def refuse(prompt):
            raise error("no terminal")

        monkeypatch.setattr(getpass, "getpass", refuse)
        with pytest.raises(UsageError, match="without showing it"):
            run(lab, "openai", "--set-key")

    def test_without_the_library_the_extra_is_named(self, lab, monkeypatch):
        monkeypatch.setattr(keychain, "installed", lambda: False)
        with pytest.raises(MissingExtra, match=r"mlaas_lab\[keyring\]"):
            run(lab, "openai", "--set-key")
