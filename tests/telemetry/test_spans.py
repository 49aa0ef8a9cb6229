"""A span says what a call's record says, under OpenTelemetry's names, and no word of what was asked or answered."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from emulated import emulated, target
from loopback import Loopback, failing, rate_limited
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.semconv._incubating.attributes import error_attributes, gen_ai_attributes
from opentelemetry.semconv.attributes import http_attributes, server_attributes
from opentelemetry.trace import use_span

from mlaas_lab import inference, registry, telemetry
from mlaas_lab.errors import CallError, InvalidRequest, MissingExtra, UsageError
from mlaas_lab.inference import Client, Params
from mlaas_lab.schema import Attempt, Completion, Message, Target, Usage
from mlaas_lab.settings import Preferences
from mlaas_lab.telemetry.attributes import Asked, Call, attributes, ns

CLIENT = 3
"""The protobuf's number for a span of that kind."""
HI = (Message(role="user", content="hi"),)


def test_a_span_says_what_the_record_says(receiver, ask):
    params = Params(max_tokens=3, temperature=0.5, top_p=0.9, seed=7, stop=("END",))
    with Loopback() as server:
        asked = f"openai/any?base_url={server.base_url}"
        done = ask(asked, telemetry=receiver.url, params=params)
    (span,) = receiver.spans
    assert (span.name, span.kind, span.error) == ("chat any", CLIENT, False)
    assert span.start_ns == ns(done.attempts[0].started_at)
    assert span.end_ns == ns(done.attempts[-1].ended_at)
    assert span.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "any",
        "gen_ai.request.stream": True,
        "gen_ai.request.max_tokens": 3,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.seed": 7,
        "gen_ai.request.stop_sequences": ["END"],
        "gen_ai.response.model": "any",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["length"],
        "gen_ai.response.time_to_first_chunk": done.ttft_s,
        "gen_ai.usage.input_tokens": done.usage.input_tokens,
        "gen_ai.usage.output_tokens": done.usage.output_tokens,
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "mlaas.route": asked,
        "mlaas.emulated": False,
        "mlaas.attempts": 1,
        "mlaas.request_id": "req-1",
    }
    assert span.resource["service.name"] == "mlaas_lab"
    assert receiver.paths == ["/v1/traces"]


def test_each_further_attempt_is_an_event(receiver, ask):
    with Loopback(faults=[rate_limited(), rate_limited(retry_after="0")]) as server:
        done = ask(f"openai/any?base_url={server.base_url}", telemetry=receiver.url)
    (span,) = receiver.spans
    assert span.attributes["mlaas.attempts"] == 3
    assert "error.type" not in span.attributes
    said = [(one.name, one.attributes["mlaas.attempt"], one.attributes.get("error.type")) for one in span.events]
    assert said == [("mlaas.attempt", n, error) for n, error in ((1, "rate_limited"), (2, "rate_limited"), (3, None))]
    assert [one.attributes["http.response.status_code"] for one in span.events] == [429, 429, 200]
    assert [one.at_ns for one in span.events] == [ns(one.started_at) for one in done.attempts]


def test_a_failure_is_told_by_its_class_only(receiver, ask):
    with (
        Loopback(faults=[failing(400, message="canary: 'my secret question' is not allowed")]) as server,
        pytest.raises(InvalidRequest, match="canary"),
    ):
        ask(f"openai/any?base_url={server.base_url}", telemetry=receiver.url)
    (span,) = receiver.spans
    assert (span.error, span.error_message, span.attributes["error.type"]) == (True, "", "invalid_request")
    assert span.attributes["http.response.status_code"] == 400
    assert b"canary" not in receiver.bodies[0]


CANARIES = ("canary-prompt", "canary-system", "canary-answer")


@pytest.mark.parametrize("content", [False, True], ids=["content off", "control: content on"])
def test_no_word_of_prompt_answer_or_key(receiver, ask, monkeypatch, content):
    monkeypatch.setenv("CANARY_KEY", "canary-key-0123456789")
    messages = (Message(role="system", content="canary-system ä"), Message(role="user", content="canary-prompt 世界"))
    with Loopback(reply=lambda _body: "canary-answer 🙂", key="canary-key-0123456789") as server:
        asked = f"openai/any?base_url={server.base_url}&key_env=CANARY_KEY"
        ask(asked, telemetry=receiver.url, telemetry_content=content, messages=messages)
    (body,) = receiver.bodies
    assert [one.encode() in body for one in CANARIES] == [content] * 3
    assert b"canary-key" not in body
    said = receiver.spans[0].attributes
    names = ("gen_ai.system_instructions", "gen_ai.input.messages", "gen_ai.output.messages")
    assert [name in said for name in names] == [content] * 3
    if content:
        assert [json.loads(said[name]) for name in names] == [
            [{"type": "text", "content": "canary-system ä"}],
            [{"role": "user", "parts": [{"type": "text", "content": "canary-prompt 世界"}]}],
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "text", "content": "canary-answer 🙂"}],
                    "finish_reason": "stop",
                }
            ],
        ]


def test_an_emulator_is_called_one(receiver, ask):
    with emulated("openai") as server:
        ask(target(server, "openai"), telemetry=receiver.url)
    assert receiver.spans[0].attributes["mlaas.emulated"] is True


def test_a_vendor_has_the_conventions_name_and_its_region(receiver, ask):
    with emulated("bedrock") as server:
        ask(target(server, "bedrock"), telemetry=receiver.url)
    said = receiver.spans[0].attributes
    assert said["gen_ai.provider.name"] == "aws.bedrock"
    assert f"region={said['mlaas.region']}" in said["mlaas.route"]


def test_names_of_vendors_are_the_conventions_where_they_have_one():
    known = {one.value for one in gen_ai_attributes.GenAiProviderNameValues}
    named = {name: registry.load("provider", name).semconv for name in registry.names("provider")}
    assert [name for name, said in named.items() if said and said not in known] == []


def told(route, *, usage, error=None):
    """Attributes of a call that took a second in July 2025."""
    attempt = Attempt(started_at=1_752_000_000.0, first_token_at=1_752_000_000.25, ended_at=1_752_000_001.0, status=200)
    done = Completion(text="x", usage=usage, finish_reason="stop", model="gpt-4o-2024-08-06", attempts=(attempt,))
    call = Call(
        asked=Asked(route=route, messages=HI, params=None, stream=True),
        attempts=(attempt,),
        usage=usage,
        completion=None if error else done,
        error=error,
    )
    return attributes(call, content=False)


USED = Usage(input_tokens=1000, output_tokens=100, cached_tokens=400, cache_write_tokens=0, reasoning_tokens=30)


def test_cost_region_and_every_count(settings, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    route = inference.resolve("openai/gpt-4o", settings)
    said = told(replace(route, place=Target(provider="openai", model="gpt-4o", params=(("region", "eu"),))), usage=USED)
    # 600 tokens at 2.50, 400 cached at 1.25, 100 at 10 dollars a million.
    assert said["mlaas.cost.usd"] == pytest.approx(0.003)
    assert said["mlaas.cost.source"]
    assert said["mlaas.region"] == "eu"
    assert {name.removeprefix("gen_ai.usage."): n for name, n in said.items() if "usage" in name} == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "cache_read.input_tokens": 400,
        "cache_creation.input_tokens": 0,
        "reasoning.output_tokens": 30,
    }
    assert (said["server.address"], said["server.port"]) == ("api.openai.com", 443)


def test_what_is_billed_without_an_answer_is_told(settings):
    route = inference.resolve("echo/any", settings)
    said = told(route, usage=USED, error=CallError("no"))
    assert said["gen_ai.usage.input_tokens"] == 1000
    assert said["error.type"] == "call_error"
    assert "gen_ai.response.model" not in said


def test_names_are_the_conventions(settings, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k" * 20)
    said = told(inference.resolve("openai/gpt-4o", settings), usage=USED)
    modules = (gen_ai_attributes, error_attributes, http_attributes, server_attributes)
    known = {value for module in modules for value in vars(module).values() if isinstance(value, str)}
    assert [name for name in said if not name.startswith("mlaas.") and name not in known] == []


def test_spans_belong_to_the_one_around_them(receiver, settings):
    mine = TracerProvider().get_tracer("mine").start_span("my cell")
    with use_span(mine, end_on_exit=True):
        inference.complete("echo/any", HI, settings=settings.model_copy(update={"telemetry": receiver.url}))
    telemetry.flush()
    (span,) = receiver.spans
    assert span.parent == mine.get_span_context().span_id.to_bytes(8, "big")
    assert span.trace == mine.get_span_context().trace_id.to_bytes(16, "big")


def test_off_is_the_clients_own_coroutine(settings):
    route = inference.resolve("echo/any", settings)
    assert route.telemetry is None
    plain = Client().complete(route, HI)
    on = Client().complete(replace(route, telemetry=telemetry.of(settings.model_copy(update={"telemetry": "on"}))), HI)
    names = plain.cr_code.co_qualname, on.cr_code.co_qualname
    plain.close()
    on.cr_frame.f_locals["answer"].close()
    on.close()
    assert names == ("Client.complete", "_told")


@pytest.mark.parametrize("setting", ["", "off", "on"])
def test_off_imports_nothing(setting, home):
    script = (
        "import sys\n"
        "from mlaas_lab import inference\n"
        "from mlaas_lab.schema import Message\n"
        "from mlaas_lab.settings import Settings\n"
        f"settings = Settings(telemetry={setting!r})\n"
        "print(inference.complete('echo/a', [Message(role='user', content='hi')], settings=settings).text)\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')] != [])\n"
        "import os; os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-u", "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["hi", str(setting == "on")], done.stderr


@pytest.mark.parametrize(
    "value", ["yes", "ftp://collector", "http://user:password@collector:4318", "http://collector?token=secret"]
)
def test_a_wrong_setting_is_one_line(value):
    with pytest.raises(UsageError, match="telemetry") as caught:
        Preferences().flag(telemetry=value).settings()
    assert not any(word in str(caught.value) for word in ("password@", "secret", "\n"))


def test_the_missing_library_is_named(settings, monkeypatch):
    monkeypatch.delitem(sys.modules, "mlaas_lab.telemetry.pipeline", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingExtra, match=r"mlaas_lab\[otel\]"):
        inference.resolve("echo/any", settings.model_copy(update={"telemetry": "http://127.0.0.1:1"}))
