"""Keys go to their own host and into no message; private addresses are for targets that say so."""

from dataclasses import replace

import pytest
from loopback import (
    Fault,
    Loopback,
)

from mlaas_lab import errors
from mlaas_lab.inference import Limits, failures, resolve
from mlaas_lab.schema import Target

TEXT = "Grüße an die 世界 heute"
"""What `ask` asks, and the server answers."""


class TestKeys:
    KEY = "sk-secret-1234567890"

    @pytest.fixture(autouse=True)
    def key(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", self.KEY)
        monkeypatch.setenv("OTHER_KEY", "other-secret")

    def test_no_key_leaves_for_another_host(self, ask):
        with Loopback() as server:
            ask(server)
            assert self.KEY not in repr(server.requests)

    def test_the_key_goes_to_its_own_host_only(self, settings):
        own = resolve("openai/m", settings)
        assert own.sign is not None
        assert own.url == "https://api.openai.com/v1/chat/completions"
        assert not own.private
        for same in ("https://api.openai.com/v1", "https://api.openai.com/v2/"):
            assert resolve(f"openai/m?base_url={same}", settings).sign is not None
        for other in (
            "http://api.openai.com/v1",
            "https://api.openai.com:444/v1",
            "https://api.openai.com.evil.org/v1",
        ):
            assert resolve(f"openai/m?base_url={other}", settings).sign is None

    def test_a_key_that_the_target_names(self, ask):
        with Loopback(key="other-secret") as server:
            assert ask(server, query="&key_env=OTHER_KEY").text == TEXT
        assert server.requests[0].headers["Authorization"] == "Bearer other-secret"

    @pytest.mark.parametrize("stream", [False, True])
    def test_wrong_key_is_named_and_never_shown(self, ask, stream):
        with Loopback(key="another") as server:
            with pytest.raises(errors.AuthFailed) as caught:
                ask(server, query="&key_env=OTHER_KEY", stream=stream)
            assert len(server.requests) == 1
        assert "OTHER_KEY" in str(caught.value)
        assert "other-secret" not in str(caught.value) + repr(caught.value) + repr(caught.value.__dict__)
        assert caught.value.__cause__ is None

    def test_without_blanking_it_would_be_shown(self, ask, monkeypatch):
        """The control."""
        monkeypatch.setattr(failures, "blanked", lambda text, secrets: text)
        with Loopback(key="another") as server, pytest.raises(errors.AuthFailed, match="other-secret"):
            ask(server, query="&key_env=OTHER_KEY")

    def test_missing_key_is_said_before_anything_is_sent(self, settings, monkeypatch):
        monkeypatch.delenv("OPENAI_API_KEY")
        with pytest.raises(errors.AuthFailed, match="OPENAI_API_KEY is not set"):
            resolve("openai/m", settings)

    def test_a_key_in_place_of_its_name_is_not_repeated(self, settings):
        with pytest.raises(errors.UsageError) as caught:
            resolve(f"openai/m?key_env={self.KEY}&base_url=http://127.0.0.1:1/v1", settings)
        assert self.KEY not in str(caught.value)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_not_followed(self, ask, status):
        with Loopback() as elsewhere:
            away = Fault(status=status, headers={"Location": f"{elsewhere.base_url}/chat/completions"}, body=b"")
            with Loopback(faults=[away]) as server, pytest.raises(errors.NotFound, match=r"redirects to 127\.0\.0\.1"):
                ask(server, query="&key_env=OTHER_KEY")
            assert elsewhere.requests == []


class TestPrivateAddresses:
    def test_a_name_that_leads_into_this_network_is_not_followed(self, asked, settings):
        with Loopback() as server:
            url = f"http://localhost:{server.port}/v1/chat/completions"
            allowed = replace(resolve(f"openai/any?base_url={server.base_url}", settings), url=url)
            route = replace(allowed, target=Target.parse("openai/any"), private=False)
            with pytest.raises(errors.Unreachable, match="private address"):
                asked(route, limits=Limits(retries=0))
            assert server.requests == []
            assert asked(allowed).text == TEXT  # the control: only the guard stood between
