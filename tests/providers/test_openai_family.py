"""OpenAI, Azure OpenAI, Azure ML, vLLM and OpenRouter: where each leads, what each is sent, what each refuses."""

import json

import pytest
from emulated import emulated, target

from mlaas_lab import errors
from mlaas_lab.inference import Params, resolve
from mlaas_lab.schema import Target

TEXT = "Grüße an die 世界 🙂 heute"


def body(server):
    return json.loads(server.asked[-1].body)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZUREML_ENDPOINT_KEY", "OPENROUTER_API_KEY"):
        monkeypatch.setenv(name, "a-key")
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT", raising=False)


@pytest.mark.parametrize(
    ("text", "url", "signed"),
    [
        ("openai/m", "https://api.openai.com/v1/chat/completions", True),
        ("openai/m?region=eu", "https://eu.api.openai.com/v1/chat/completions", True),
        ("openai/m?base_url=https://us.api.openai.com/v1", "https://us.api.openai.com/v1/chat/completions", True),
        ("openai/m?base_url=https://gateway.example/v1", "https://gateway.example/v1/chat/completions", False),
        ("azure/d?resource=res", "https://res.openai.azure.com/openai/v1/chat/completions", True),
        (
            "azure/my dep?resource=res&api=deployments",
            "https://res.openai.azure.com/openai/deployments/my%20dep/chat/completions?api-version=2024-10-21",
            True,
        ),
        (
            "azure/d?resource=res&api=deployments&api_version=2025-04-01-preview&region=swedencentral",
            "https://res.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-04-01-preview",
            True,
        ),
        (
            "azure/d?resource=https://res.services.ai.azure.com/",
            "https://res.services.ai.azure.com/openai/v1/chat/completions",
            True,
        ),
        ("azure/d?base_url=https://ai.example.com", "https://ai.example.com/openai/v1/chat/completions", False),
        (
            "azureml/e?region=westeurope",
            "https://e.westeurope.inference.ml.azure.com/v1/chat/completions",
            True,
        ),
        (
            "azureml/e?region=westeurope&path=/openai/v1/chat/completions",
            "https://e.westeurope.inference.ml.azure.com/openai/v1/chat/completions",
            True,
        ),
        ("vllm/m?base_url=http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1/chat/completions", False),
        ("openrouter/a/b:free", "https://openrouter.ai/api/v1/chat/completions", True),
        (
            "openrouter/a/b?base_url=https://eu.openrouter.ai/api/v1",
            "https://eu.openrouter.ai/api/v1/chat/completions",
            True,
        ),
    ],
)
def test_addresses_and_who_gets_the_key(settings, text, url, signed):
    route = resolve(text, settings)
    assert route.url == route.stream_url == url
    assert (route.sign is not None) is signed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("azure/d", "does not say its resource"),
        ("azure/d?resource=a.evil.example", "is no resource"),
        ("azure/d?resource=https://res.openai.azure.com.evil.example", "is no resource"),
        ("azure/d?resource=res&api_version=1/../x", "is no api_version"),
        ("azureml/e", "does not say its region"),
        ("azureml/e?region=x/y", "is no region"),
        ("azureml/e?region=westeurope&path=//evil.example", "is no path"),
        ("vllm/m", "Write ?base_url=http://127.0.0.1:8000/v1"),
        ("openai/m?limit=tokens", "is no limit"),
    ],
)
def test_wrong_words_get_one_line(settings, text, said):
    with pytest.raises(errors.UsageError) as caught:
        resolve(text, settings)
    assert said in str(caught.value)


def test_a_name_cannot_lead_azures_key_elsewhere(settings):
    for model in ("evil.example/x", "evil.example#", "evil.example?", "user@evil.example:80"):
        asked = Target(provider="azureml", model=model, params=(("region", "westeurope"),))
        assert resolve(asked, settings).url.endswith(".westeurope.inference.ml.azure.com/v1/chat/completions")


def test_azures_endpoint_comes_from_the_environment(settings, monkeypatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://res.cognitiveservices.azure.com/")
    assert resolve("azure/d", settings).url == "https://res.cognitiveservices.azure.com/openai/v1/chat/completions"
    assert resolve("azure/d?resource=other", settings).url.startswith("https://other.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://my.domain.example/")
    with pytest.raises(errors.UsageError, match="is no resource"):
        resolve("azure/d", settings)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("openai/m", "max_completion_tokens"),
        ("openai/m?base_url=https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("openai/m?base_url=https://api.openai.com.evil.example/v1", "max_tokens"),
        ("openai/m?base_url=http://127.0.0.1:8000/v1", "max_tokens"),
        ("openai/m?base_url=http://127.0.0.1:8000/v1&limit=max_completion_tokens", "max_completion_tokens"),
        ("openai/m?limit=max_tokens", "max_tokens"),
        ("openai/m?emulated=http://127.0.0.1:8000/v1", "max_completion_tokens"),
        ("azure/d?resource=res", "max_completion_tokens"),
        ("azure/d?resource=res&api=deployments", "max_tokens"),
        ("azure/d?resource=res&api=deployments&api_version=2024-12-01-preview", "max_completion_tokens"),
        ("vllm/m?base_url=http://127.0.0.1:8000/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_server_takes(settings, text, limit):
    from mlaas_lab.wires import Prompt

    route = resolve(text, settings)
    sent = route.api.wire.body(Prompt(model="m", messages=()), Params(max_tokens=7), False)
    assert {name: value for name, value in sent.items() if name.startswith("max_")} == {limit: 7}


def test_openais_reasoning_models_take_the_new_name_alone(ask):
    with emulated("openai") as server:
        asked = target(server, "openai", model="gpt-5-mini", query="temperature=none")
        assert ask(asked).text == TEXT
        assert "temperature" not in body(server)
        with pytest.raises(errors.InvalidRequest, match="max_completion_tokens"):
            ask(f"{asked}&limit=max_tokens")
        with pytest.raises(errors.InvalidRequest, match=r"'temperature' does not support 0\.0"):
            ask(target(server, "openai", model="o4-mini"))


class TestAzure:
    def test_its_gateway_names_the_request(self, ask):
        with emulated("azure") as server:
            done = ask(target(server, "azure"))
            assert done.request_id.startswith("req_")
            headers = dict(done.exchange.headers)
            assert headers["apim-request-id"].startswith("apim-")
            assert b"prompt_filter_results" in done.exchange.body
            assert server.asked[-1].headers["api-key"] == "emulated-AZURE_OPENAI_API_KEY"
            assert "Authorization" not in server.asked[-1].headers

    @pytest.mark.parametrize("stream", [False, True])
    def test_the_filter_says_why(self, ask, stream):
        with emulated("azure") as server:
            server.next.append("filtered")
            with pytest.raises(errors.ContentFiltered, match="violence medium") as caught:
                ask(target(server, "azure"), stream=stream)
            assert caught.value.status == 400

    def test_a_token_of_azures_directory(self, settings, monkeypatch):
        monkeypatch.delenv("AZURE_OPENAI_API_KEY")
        monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "a-token")
        route = resolve("azure/d?resource=res", settings)
        assert route.sign.keys == ("AZURE_OPENAI_AD_TOKEN",)
        from mlaas_lab.signing import Request

        sent = route.sign.headers(Request(url=route.url, headers={}, body=b""), route.keys)
        assert sent == {"Authorization": "Bearer a-token"}

    def test_the_emulator_wants_the_right_key_in_the_right_place(self, ask, monkeypatch):
        with emulated("azure") as server:
            monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: "emulated-AZURE_OPENAI_AD_TOKEN")
            with pytest.raises(errors.AuthFailed):  # a token is no api-key
                ask(target(server, "azure"))

    def test_an_older_version_does_not_know_the_newer_name(self, ask):
        with emulated("azure") as server:
            assert ask(target(server, "azure", query="api=deployments")).text == TEXT
            assert server.asked[-1].query == "api-version=2024-10-21"
            assert ask(target(server, "azure", query="api=deployments&api_version=2025-04-01-preview")).text == TEXT
            assert "max_completion_tokens" in body(server)
            with pytest.raises(errors.NotFound, match="Resource not found"):
                ask(target(server, "azure", query="api=deployments&api_version=latest"))


class TestAzureML:
    def test_a_deployment_is_chosen_by_a_header(self, ask):
        with emulated("azureml") as server:
            done = ask(target(server, "azureml", query="deployment=green&served=support-lora"))
            assert dict(done.exchange.headers)["azureml-model-deployment"] == "green"
            assert body(server)["model"] == "support-lora"
            ask(target(server, "azureml"))
            assert "azureml-model-deployment" not in server.asked[-1].headers
            with pytest.raises(errors.NotFound, match="red"):
                ask(target(server, "azureml", query="deployment=red"))

    @pytest.mark.parametrize("fault", ["invalid", "filtered", "not_found"])
    def test_what_the_container_refuses_comes_as_424_with_its_own_status(self, ask, fault):
        kinds = {"invalid": errors.InvalidRequest, "filtered": errors.ContentFiltered, "not_found": errors.NotFound}
        with emulated("azureml") as server:
            server.next.append(fault)
            with pytest.raises(kinds[fault]):
                ask(target(server, "azureml"))
            assert server.ledger[-1].status == 424


class TestVllm:
    def test_unknown_fields_are_passed_by(self, ask):
        with emulated("vllm") as server:
            done = ask(target(server, "vllm"))
            assert (done.usage.cached_tokens, done.usage.reasoning_tokens) == (None, None)

    def test_a_key_is_sent_where_the_target_says_so(self, ask, settings, monkeypatch):
        monkeypatch.setenv("VLLM_API_KEY", "emulated-VLLM_API_KEY")
        with emulated("vllm") as server:
            place = f"vllm/m?base_url={server.base_url}"
            with pytest.raises(errors.AuthFailed, match="key_env=NAME"):
                ask(place)
            assert "Authorization" not in server.asked[-1].headers
            assert ask(f"{place}&key_env=VLLM_API_KEY").text == TEXT


class TestOpenRouter:
    def test_one_vendor_behind_it_can_be_named(self, ask):
        with emulated("openrouter") as server:
            assert ask(target(server, "openrouter", query="only=groq")).text == TEXT
            assert body(server)["provider"] == {"only": ["groq"], "allow_fallbacks": False}
            ask(target(server, "openrouter"))
            assert "provider" not in body(server)

    @pytest.mark.parametrize("stream", [False, True])
    def test_an_error_after_http_said_200(self, ask, stream):
        with emulated("openrouter") as server:
            with pytest.raises(errors.Overloaded, match="Provider disconnected") as caught:
                ask(target(server, "openrouter", query="only=broken"), stream=stream)
            assert server.ledger[-1].status == 200
            assert caught.value.status == 502

    def test_moderation_is_no_failure_of_the_key(self, ask):
        with emulated("openrouter") as server:
            server.next.append("filtered")
            with pytest.raises(errors.ContentFiltered, match="violence"):
                ask(target(server, "openrouter"))
