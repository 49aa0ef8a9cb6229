"""What the emulators of DashScope, Qianfan and PAI-EAS do of their own, seen through the real client."""

import json
from dataclasses import replace

import aiohttp
import pytest
from emulated import emulated, target

from mlaas_lab import errors, registry
from mlaas_lab.emulators import Asked, Refusal
from mlaas_lab.emulators._minds import echo
from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message

ASK = (Message(role="user", content="one two three"),)
GENERATION = "/api/v1/services/aigc/text-generation/generation"


def ask(route, **more):
    async def one():
        async with Client(Limits(timeout_s=10, retries=more.pop("retries", 0))) as client:
            return [await client.complete(route, ASK, **more) for _ in range(2)]

    return on_loop(one())


def native(body, *, stream=False, path=GENERATION):
    """The reply of DashScope's emulator to a native request."""
    headers = {
        "Authorization": "Bearer emulated-DASHSCOPE_API_KEY",
        **({"X-DashScope-SSE": "enable"} if stream else {}),
    }
    asked = Asked(method="POST", url="http://h", target=path, headers=headers, body=json.dumps(body).encode(), at=1.0)
    vendor = registry.load("emulator", "dashscope").vendor()
    try:
        return vendor.answer(asked, echo)
    except Refusal as refusal:
        return vendor.refusal(refusal, asked)


def body(**parameters):
    messages = [{"role": "user", "content": "one two three"}]
    return {"model": "m", "input": {"messages": messages}, "parameters": {"result_format": "message", **parameters}}


@pytest.mark.parametrize(
    ("incremental", "texts"),
    [(True, ["one", " two", " three", ""]), (False, ["one", "one two", "one two three", "one two three"])],
)
def test_dashscope_repeats_all_text_unless_increments_are_asked_for(incremental, texts):
    frames = [frame.data.decode() for frame in native(body(incremental_output=incremental), stream=True).frames]
    lines = [frame.split("\n") for frame in frames]
    assert lines[0][:3] == ["id:1", "event:result", ":HTTP_STATUS/200"]
    events = [json.loads(line[3].removeprefix("data:")) for line in lines]
    choices = [event["output"]["choices"][0] for event in events]
    assert [choice["message"]["content"] for choice in choices] == texts
    assert [choice["finish_reason"] for choice in choices] == ["null", "null", "null", "stop"]
    assert [event["usage"]["output_tokens"] for event in events] == [1, 2, 3, 3]


def test_dashscope_frames_the_refusal_of_a_stream():
    reply = native(body(max_tokens=0), stream=True)
    assert (reply.status, reply.headers["Content-Type"]) == (400, "application/json")
    assert reply.frames[0].data.startswith(b"id:1\nevent:error\n:HTTP_STATUS/400\ndata:{")
    assert json.loads(native(body(max_tokens=0)).frames[0].data)["code"] == "InvalidParameter"


@pytest.mark.parametrize("parameters", [{"temperature": 2}, {"top_p": 0}, {"best_of": 2}, {"result_format": "xml"}])
def test_dashscope_refuses_what_it_documents_not(parameters):
    assert native(body(**parameters)).status == 400


@pytest.mark.parametrize("api", ["", "native", "native-multimodal"])
@pytest.mark.parametrize(("word", "sent"), [("yes", True), ("no", False)])
def test_thinking_stands_where_the_way_in_wants_it(settings, api, word, sent):
    with emulated("dashscope") as server:
        query = f"thinking={word}" + (f"&api={api}" if api else "")
        done = ask(resolve(target(server, "dashscope", query=query), settings), stream=True)[0]
        asked = json.loads(server.asked[0].body)
    assert done.text == "one two three"
    assert (asked["parameters"] if api else asked)["enable_thinking"] is sent
    if api:
        assert asked["parameters"]["incremental_output"] is True


@pytest.mark.parametrize(
    ("query", "host"),
    [
        ("", "dashscope.aliyuncs.com"),
        ("region=ap-southeast-1", "dashscope-intl.aliyuncs.com"),
        ("region=us-east-1", "dashscope-us.aliyuncs.com"),
        ("region=eu-central-1&workspace=llm-1", "llm-1.eu-central-1.maas.aliyuncs.com"),
    ],
)
@pytest.mark.parametrize("api", ["", "native"])
def test_dashscopes_hosts(settings, monkeypatch, query, host, api):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "k")
    way = f"&api={api}" if api else ""
    route = resolve(f"dashscope/qwen-plus?{query}{way}".replace("?&", "?"), settings)
    assert aiohttp.client.URL(route.url).host == host


@pytest.mark.parametrize(
    "query", ["region=eu-central-1", "workspace=evil.example/", "region=x.evil.example&workspace=a.b", "thinking=maybe"]
)
def test_dashscope_is_led_nowhere_else(settings, monkeypatch, query):
    monkeypatch.setenv("DASHSCOPE_API_KEY", "k")
    with pytest.raises(errors.UsageError):
        resolve(f"dashscope/qwen-plus?{query}", settings)


def test_qianfan_gets_one_token_for_many_calls(settings):
    with emulated("qianfan") as server:
        ask(resolve(target(server, "qianfan", query="api=v1"), settings))
        paths = [one.path for one in server.asked]
        queries = [one.query for one in server.asked]
    assert len(paths) == 3
    assert paths[0] == "/oauth/2.0/token"
    assert queries[1] == queries[2]
    assert queries[1].startswith("access_token=24.")


def test_qianfan_renews_a_token_that_is_refused(settings):
    with emulated("qianfan") as server:
        route = resolve(target(server, "qianfan", query="api=v1"), settings)
        server.next.extend(["", "auth"])
        done = ask(route, retries=1)
        assert [one.path for one in server.asked].count("/oauth/2.0/token") == 2
    assert done[0].text == "one two three"


def test_a_token_of_qianfan_expires():
    vendor = registry.load("emulator", "qianfan").vendor()
    words = "grant_type=client_credentials&client_id=emulated-QIANFAN_AK&client_secret=emulated-QIANFAN_SK"
    asked = Asked(method="POST", url="http://h", target=f"/oauth/2.0/token?{words}", headers={}, body=b"", at=1.0)
    token = json.loads(vendor.answer(asked, echo).frames[0].data)["access_token"]
    chat = replace(
        asked,
        target=f"/rpc/2.0/ai_custom/v1/wenxinworkshop/chat/m?access_token={token}",
        body=b'{"messages":[{"role":"user","content":"hi"}]}',
    )
    assert b'"result": "hi"' in vendor.answer(chat, echo).frames[0].data
    with pytest.raises(Refusal, match="no longer valid"):
        vendor.answer(replace(chat, at=1.0 + 2_592_000), echo)


@pytest.mark.parametrize("api", ["", "v1"])
def test_no_secret_of_qianfan_is_shown(settings, api, monkeypatch):
    monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: f"canary-{name}-0123456789")
    with emulated("qianfan") as server, pytest.raises(errors.AuthFailed) as caught:
        ask(resolve(target(server, "qianfan", query=f"api={api}" if api else ""), settings))
    assert "canary" not in str(caught.value) + repr(caught.value.__dict__)


def repeated_token(settings):
    """An error whose vendor repeats the address, and the token that stood in it."""
    with emulated("qianfan", mind=lambda _question: refuse(server)) as server:
        with pytest.raises(errors.InvalidRequest) as caught:
            ask(resolve(target(server, "qianfan", query="api=v1"), settings))
        token = server.asked[-1].query.partition("=")[2]
    assert token.startswith("24.")
    return str(caught.value) + repr(caught.value.__dict__), token


def refuse(server):
    raise Refusal("invalid", f"cannot serve {server.asked[-1].target}")


def test_the_token_in_an_address_is_not_in_an_error(settings):
    shown, token = repeated_token(settings)
    assert "cannot serve" in shown
    assert token not in shown


def test_the_control_without_blanking_shows_it(settings, monkeypatch):
    monkeypatch.setattr("mlaas_lab.inference.failures.blanked", lambda text, _secrets: text)
    shown, token = repeated_token(settings)
    assert token in shown


def test_qianfans_application_stands_in_a_header(settings):
    with emulated("qianfan") as server:
        ask(resolve(target(server, "qianfan", query="appid=app-1a2b"), settings))
        assert server.asked[0].headers["appid"] == "app-1a2b"


def test_a_full_queue_of_pai_eas_is_tried_again(settings):
    with emulated("pai_eas") as server:
        server.next.append("overloaded")
        done = ask(resolve(target(server, "pai_eas"), settings), retries=1)
        assert server.ledger[0].status == 450
        assert server.asked[0].headers["Authorization"] == "emulated-PAI_EAS_TOKEN"
        assert server.asked[0].path == "/api/predict/support_lora/v1/chat/completions"
    assert done[0].text == "one two three"


def test_pai_eas_needs_its_account(settings, monkeypatch):
    monkeypatch.setenv("PAI_EAS_TOKEN", "t")
    monkeypatch.delenv("PAI_EAS_UID", raising=False)
    with pytest.raises(errors.UsageError, match="uid"):
        resolve("pai_eas/support?region=cn-shanghai", settings)
    route = resolve("pai_eas/support?region=cn-shanghai&uid=12", settings)
    assert route.url == "https://12.cn-shanghai.pai-eas.aliyuncs.com/api/predict/support/v1/chat/completions"
