"""Hugging Face by its targets: the router, a vendor behind it, dedicated endpoints; and what their answers say twice."""

import json

import pytest
from emulated import emulated, target

from mlaas_lab import errors
from mlaas_lab.inference import Limits, resolve

ENDPOINT = "https://abc123.us-east-1.aws.endpoints.huggingface.cloud"
ROUTER = "https://router.huggingface.co/v1/chat/completions"


@pytest.fixture
def server():
    with emulated("huggingface") as server:
        yield server


class TestPlaces:
    @pytest.fixture(autouse=True)
    def keys(self, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_x")

    @pytest.mark.parametrize(
        ("text", "url", "fields"),
        [
            ("huggingface/org/name", ROUTER, {}),
            ("huggingface/org/name:groq", ROUTER, {}),
            ("huggingface/org/name?provider=groq", ROUTER, {"model": "org/name:groq"}),
            ("huggingface/org/name:cerebras?provider=groq", ROUTER, {"model": "org/name:groq"}),
            (f"huggingface/tgi?endpoint={ENDPOINT}", f"{ENDPOINT}/v1/chat/completions", {}),
        ],
    )
    def test_they_follow_from_the_target(self, text, url, fields, settings):
        route = resolve(text, settings)
        assert (route.url, route.fields) == (url, fields)
        assert route.sign is not None

    def test_the_key_goes_to_dedicated_endpoints_and_nowhere_else(self, settings):
        assert resolve(f"huggingface/tgi?base_url={ENDPOINT}/v1", settings).sign is not None
        assert (
            resolve("huggingface/tgi?base_url=https://endpoints.huggingface.cloud.evil.com/v1", settings).sign is None
        )

    @pytest.mark.parametrize(
        "endpoint",
        [
            "http://abc.endpoints.huggingface.cloud",
            "https://evil.com",
            "https://evil.com/.endpoints.huggingface.cloud",
            "https://user@abc.endpoints.huggingface.cloud",
            "https://abc.endpoints.huggingface.cloud.evil.com",
        ],
    )
    def test_an_endpoint_is_one_of_theirs(self, endpoint, settings):
        with pytest.raises(errors.UsageError, match="is no endpoint"):
            resolve(f"huggingface/tgi?endpoint={endpoint}", settings)


def test_the_vendor_behind_the_router_is_in_the_models_name(server, ask):
    ask(target(server, "huggingface", query="provider=groq"))
    assert json.loads(server.asked[0].body)["model"] == "meta-llama/Llama-3.3-70B-Instruct:groq"


def test_usage_that_is_said_twice_counts_once(server, ask):
    done = ask(target(server, "huggingface"), stream=True)
    assert done.exchange.body.count(b'"prompt_tokens"') == 2
    assert (done.usage.input_tokens, done.usage.output_tokens) == (8, 6)
    assert server.ledger[0].input_tokens == 8


def test_an_answer_that_says_retry_after_is_an_answer(server, ask):
    done = ask(target(server, "huggingface"), limits=Limits(timeout_s=5, retries=3))
    assert {name.lower(): value for name, value in done.exchange.headers}["retry-after"] == "30"
    assert (done.exchange.status, len(done.attempts)) == (200, 1)


def test_an_endpoint_that_wakes_up_is_asked_again(server, ask):
    server.next.extend(["overloaded", "overloaded"])
    done = ask(target(server, "huggingface", model="tgi"), limits=Limits(timeout_s=20, retries=2))
    assert [attempt.error for attempt in done.attempts] == ["overloaded", "overloaded", None]


def test_a_model_that_nobody_serves(server, ask):
    with pytest.raises(errors.NotFound, match="not supported by any provider") as caught:
        ask(target(server, "huggingface", model="nobodys"))
    assert (caught.value.status, caught.value.code) == (400, "model_not_supported")
