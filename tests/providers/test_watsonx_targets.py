"""watsonx.ai by its targets: regions, who pays, deployments, and tokens that expire while it is asked."""

import asyncio

import pytest
from emulated import target

from mlaas_lab import errors, registry
from mlaas_lab.emulators import Emulator
from mlaas_lab.emulators._iam import Issuer
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Server
from mlaas_lab.emulators.watsonx import Watsonx
from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message

TURN = (Message(role="user", content="hi there"),)


@pytest.fixture
def served():
    """A running emulator whose tokens are taken so many times."""
    servers = []

    def served(**issuer):
        vendor = Watsonx(issuer=Issuer(key="WATSONX_APIKEY", **issuer))
        model: Emulator = registry.load("emulator", "watsonx")
        emulator = Emulator(title="t", vendor=lambda: vendor, model=model.model, target=model.target)
        server = Server(emulator, mind=echo)
        server.__enter__()
        servers.append(server)
        return server, vendor

    yield served
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def many(settings):
    """So many calls by one client, one after the other or some at once."""

    def many(text, n, limits, *, at_once=1):
        route = resolve(text, settings)

        async def all_of_them():
            async with Client(limits) as client:
                rows = [[client.complete(route, TURN) for _ in range(at_once)] for _ in range(n // at_once)]
                return [done for row in rows for done in await asyncio.gather(*row)]

        return on_loop(all_of_them())

    return many


ONE_RETRY = Limits(timeout_s=20, retries=1)


class TestTokens:
    def test_one_serves_many_calls(self, served, many):
        server, vendor = served()
        assert [done.text for done in many(target(server, "watsonx"), 5, ONE_RETRY)] == ["hi there"] * 5
        assert vendor.issuer.issued == 1

    @pytest.mark.parametrize("api", ["", "api=generation"])
    def test_one_that_expires_early_is_renewed_within_the_retries(self, served, many, api):
        server, vendor = served(uses=2)
        done = many(target(server, "watsonx", query=api), 5, ONE_RETRY)
        assert [one.text for one in done] == ["hi there"] * 5
        # Two calls a token: the third and the fifth find it expired, and each of them tries once more.
        tried = [[attempt.error for attempt in one.attempts] for one in done]
        assert tried == [[None], [None], ["auth_failed", None], [None], ["auth_failed", None]]
        assert vendor.issuer.issued == 3
        assert len(server.asked) == 5 + 2 + 3

    def test_many_calls_at_once_share_the_renewal(self, served, many):
        server, vendor = served(uses=8)
        done = many(target(server, "watsonx"), 24, ONE_RETRY, at_once=8)
        assert [one.text for one in done] == ["hi there"] * 24
        assert [len(one.attempts) for one in done] == [1] * 8 + [2] * 16
        assert vendor.issuer.issued == 3

    def test_no_retries_are_no_renewal(self, served, many):
        server, vendor = served(uses=2)
        with pytest.raises(errors.AuthFailed, match="expired"):
            many(target(server, "watsonx"), 3, Limits(timeout_s=20, retries=0))
        assert vendor.issuer.issued == 1

    def test_a_client_that_keeps_its_token_fails(self, served, many, monkeypatch):
        """The control: who never forgets a token that was refused gets no further."""
        monkeypatch.setattr("mlaas_lab.inference.tokens.Tokens.refused", lambda self, route, token: False)
        server, _ = served(uses=2)
        with pytest.raises(errors.AuthFailed) as caught:
            many(target(server, "watsonx"), 3, ONE_RETRY)
        assert caught.value.code == "authentication_token_expired"

    def test_one_that_is_never_taken_is_renewed_once(self, served, many):
        server, vendor = served(uses=0)
        with pytest.raises(errors.AuthFailed) as caught:
            many(target(server, "watsonx"), 1, Limits(timeout_s=20, retries=5))
        assert len(caught.value.attempts) == 2
        assert vendor.issuer.issued == 2
        assert "Bearer" not in str(caught.value)
        assert ".ey" not in str(caught.value)


class TestAddresses:
    @pytest.fixture(autouse=True)
    def keys(self, monkeypatch):
        monkeypatch.setenv("WATSONX_APIKEY", "k" * 44)
        for name in ("WATSONX_REGION", "WATSONX_PROJECT_ID", "WATSONX_SPACE_ID"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize(
        ("text", "url", "stream_url"),
        [
            (
                "watsonx/ibm/granite-4-h-small?project=p",
                "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat?version=2026-10-14",
                "https://us-south.ml.cloud.ibm.com/ml/v1/text/chat_stream?version=2026-10-14",
            ),
            (
                "watsonx/ibm/granite-4-h-small?region=eu-de&space=s&api=generation&version=2025-01-31",
                "https://eu-de.ml.cloud.ibm.com/ml/v1/text/generation?version=2025-01-31",
                "https://eu-de.ml.cloud.ibm.com/ml/v1/text/generation_stream?version=2025-01-31",
            ),
            (
                "watsonx/deployments/my-own?region=jp-tok",
                "https://jp-tok.ml.cloud.ibm.com/ml/v1/deployments/my-own/text/chat?version=2026-10-14",
                "https://jp-tok.ml.cloud.ibm.com/ml/v1/deployments/my-own/text/chat_stream?version=2026-10-14",
            ),
        ],
    )
    def test_they_follow_from_the_target(self, text, url, stream_url, settings):
        route = resolve(text, settings)
        assert (route.url, route.stream_url) == (url, stream_url)

    def test_the_environment_fills_in_what_the_target_leaves_out(self, settings, monkeypatch):
        monkeypatch.setenv("WATSONX_REGION", "eu-gb")
        monkeypatch.setenv("WATSONX_PROJECT_ID", "p-of-the-environment")
        route = resolve("watsonx/m", settings)
        assert route.url.startswith("https://eu-gb.ml.cloud.ibm.com/")
        assert route.fields == {"project_id": "p-of-the-environment"}
        assert resolve("watsonx/m?space=s", settings).fields == {"space_id": "s"}
        assert resolve("watsonx/deployments/d", settings).fields == {}

    def test_somebody_must_pay(self, settings):
        with pytest.raises(errors.InvalidRequest, match="set WATSONX_PROJECT_ID"):
            resolve("watsonx/m", settings).fields  # noqa: B018

    @pytest.mark.parametrize("word", ["version=today", "region=eu-de.evil.com/", "project=../x"])
    def test_words_that_lead_elsewhere(self, word, settings):
        with pytest.raises(errors.UsageError):
            resolve(f"watsonx/m?{word}", settings)


def test_a_deployment_answers(served, many):
    server, _ = served()
    done = many(f"watsonx/deployments/my-own?emulated={server.base_url}", 1, ONE_RETRY)
    assert (done[0].text, done[0].model) == ("hi there", "deployments/my-own")


@pytest.mark.parametrize(
    ("code", "kind"),
    [("token_quota_reached", errors.QuotaExceeded), ("authorization_rejected", errors.AuthFailed)],
)
def test_status_403_has_two_meanings(code, kind):
    provider = registry.load("provider", "watsonx")
    body = b'{"errors": [{"code": "%s", "message": "m"}], "status_code": 403}' % code.encode()
    for api in (provider, provider.apis["generation"]):
        assert api.error(api.wire.fault(body, {}), 403) is kind
