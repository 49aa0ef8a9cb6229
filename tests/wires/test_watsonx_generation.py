"""watsonx.ai's text generation: cumulative counts, an input that is counted once, and text out of turns."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Faulted, Params, Prompt
from mlaas_lab.wires.watsonx_generation import wire

TEXT = "Grüße, 世界 🙂\nzwei"
MODEL = "ibm/granite-13b-instruct-v2"


def result(text, count, asked, stop="not_finished", **more):
    return {
        "model_id": MODEL,
        "created_at": "2025-06-24T15:30:13.500Z",
        "results": [
            {
                "generated_text": text,
                "generated_token_count": count,
                "input_token_count": asked,
                "stop_reason": stop,
                **more,
            }
        ],
    }


def event(n, data, name="message"):
    return f"id: {n}\nevent: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


EVENTS = [
    event(1, {**result("", 0, 68), "system": {"warnings": [{"message": "it is old", "id": "api_legacy"}]}}),
    event(2, result("Grüße, ", 1, 0)),
    event(3, result("世界", 2, 0)),
    event(4, result(" 🙂\n", 3, 0)),
    event(5, result("zwei", 4, 0, "EOS_TOKEN")),
]
STREAM = b"".join(EVENTS)
READ = (TEXT, "eos_token", Usage(input_tokens=68, output_tokens=4), MODEL)


def read(*chunks, stream=True):
    reader = wire.reader(stream)
    text = "".join(delta.text for one in chunks for delta in reader.feed(one))
    ending = reader.close()
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


def test_stream_is_the_same_at_every_split():
    assert read(*(STREAM[i : i + 1] for i in range(len(STREAM)))) == READ
    for at in range(len(STREAM) + 1):
        assert read(STREAM[:at], STREAM[at:]) == READ


def test_counts_are_of_all_so_far_and_not_added():
    """The control: who adds up what the events say counts ten tokens for four."""
    said = [json.loads(one.partition(b"data: ")[2])["results"][0]["generated_token_count"] for one in EVENTS]
    assert sum(said) == 10
    assert read(STREAM)[2].output_tokens == said[-1] == 4


def test_cut_stream_is_not_an_answer():
    for at in range(len(STREAM) - 2):
        with pytest.raises(Truncated):
            read(STREAM[:at])


@pytest.mark.parametrize(
    ("events", "usage"),
    [
        ([result("a", 1, 7), result("b", 2, None, "max_tokens")], Usage(input_tokens=7, output_tokens=2)),
        ([result("a", 1, 7), result("b", 2, 7, "max_tokens")], Usage(input_tokens=7, output_tokens=2)),
        ([result("a", 1, 7, "max_tokens"), {"results": []}], Usage(input_tokens=7, output_tokens=1)),
        ([result("a", None, None, "max_tokens")], Usage()),
        ([result("a", -1, "7", "max_tokens")], Usage()),
    ],
    ids=["once", "repeated", "nothing after", "never", "nonsense"],
)
def test_usage(events, usage):
    assert read(*(event(n, data) for n, data in enumerate(events)))[2] == usage


def test_an_error_in_the_midst_of_a_stream():
    error = {"errors": [{"code": "downstream_request_failed", "message": "gone"}], "trace": "t", "status_code": 500}
    with pytest.raises(Faulted) as caught:
        read(*EVENTS[:3], event(4, error, "error"))
    assert (caught.value.fault.code, caught.value.fault.status) == ("downstream_request_failed", 500)
    with pytest.raises(Faulted):
        read(event(1, result("a", 1, 7, "error")))


def test_whole_answer_at_every_split():
    body = json.dumps(result(TEXT, 4, 68, "eos_token")).encode()
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:], stream=False) == READ
    for at in range(len(body)):
        with pytest.raises(Truncated):
            read(body[:at], stream=False)


@pytest.mark.parametrize("stream", [True, False])
def test_what_the_filter_withheld_stays_billed(stream):
    found = {"hap": [{"score": 0.9, "input": False, "position": {"start": 0, "end": 1}, "entity": "has_HAP"}]}
    data = result("****", 4, 68, "eos_token", moderations=found)
    with pytest.raises(ContentFiltered) as caught:
        read(event(1, data) if stream else json.dumps(data).encode(), stream=stream)
    assert caught.value.usage == READ[2]
    clean = result("fine", 4, 68, "eos_token", moderations={"hap": []})
    assert read(json.dumps(clean).encode(), stream=False)[0] == "fine"


def test_an_answer_in_one_piece_says_why_it_ended():
    body = result("a", 1, 7)
    del body["results"][0]["stop_reason"]
    with pytest.raises(ProviderBug):
        read(json.dumps(body).encode(), stream=False)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b"7", b"{}", b'{"results": 3}', b'{"results":[3]}'])
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises(ProviderBug):
        read(body, stream=stream)
    if stream:
        with pytest.raises((ProviderBug, Truncated)):
            read(b"data: " + body + b"\n\n")


SYSTEM, USER = Message(role="system", content="Be brief."), Message(role="user", content="hi")


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ((USER,), "hi"),
        ((SYSTEM, USER), "Be brief.\n\nhi"),
        (
            (SYSTEM, USER, Message(role="assistant", content="yes?"), USER),
            "Be brief.\n\nUser: hi\n\nAssistant: yes?\n\nUser: hi\n\nAssistant:",
        ),
    ],
)
def test_turns_become_text(messages, text):
    body = wire.body(Prompt(model=MODEL, messages=messages), Params(), False)
    parameters = {"decoding_method": "greedy", "max_new_tokens": 256}
    assert body == {"model_id": MODEL, "input": text, "parameters": parameters}


@pytest.mark.parametrize(
    ("params", "parameters"),
    [
        (Params(temperature=None), {"decoding_method": "greedy"}),
        (Params(temperature=0.7, seed=3), {"decoding_method": "sample", "temperature": 0.7, "random_seed": 3}),
        (Params(temperature=None, top_p=0.9), {"decoding_method": "sample", "top_p": 0.9}),
        (
            Params(stop=("END",)),
            {"decoding_method": "greedy", "stop_sequences": ("END",), "include_stop_sequence": False},
        ),
    ],
)
def test_parameters(params, parameters):
    body = wire.body(Prompt(model="deployments/mine", messages=(USER,)), params, True)
    assert body == {"input": "hi", "parameters": {"max_new_tokens": 256, **parameters}}
