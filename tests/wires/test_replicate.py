"""Replicate's predictions: looked at until they end, streams whose spaces and lines are text, and parts that are none."""

import json

import pytest

from mlaas_lab.errors import ContentFiltered, InvalidRequest, ProviderBug, Truncated
from mlaas_lab.schema import Message, Usage
from mlaas_lab.wires import Ending, Faulted, Follow, Params, Prompt
from mlaas_lab.wires.replicate import MOST_LOOKS, version_of, wire

MODEL = "meta/meta-llama-3-8b-instruct"
GET = "https://api.replicate.com/v1/predictions/p1"
STREAM_AT = "https://stream.replicate.com/v1/files/abc"
METRICS = {"predict_time": 0.5, "input_token_count": 7, "output_token_count": 4, "tokens_per_second": 8.0}
PIECES = ["Grüße, ", "世界", " 🙂\n", "\n  zwei"]
TEXT = "".join(PIECES)
USAGE = Usage(input_tokens=7, output_tokens=4)
READ = (TEXT, "succeeded", USAGE, MODEL)


def prediction(status, **more):
    data = {
        "id": "p1",
        "model": MODEL,
        "version": "hidden",
        "status": status,
        "output": None,
        "error": None,
        "metrics": {},
        "urls": {"get": GET, "cancel": f"{GET}/cancel", "stream": STREAM_AT},
        **more,
    }
    return json.dumps(data, ensure_ascii=False).encode()


DONE = prediction("succeeded", output=PIECES, metrics=METRICS)


def fed(reader, *chunks):
    """Text and end of one exchange."""
    text = "".join(delta.text for one in chunks for delta in reader.feed(one))
    return text, reader.close()


def ended(ending, text=""):
    assert isinstance(ending, Ending)
    return text + ending.text, ending.finish_reason, ending.usage, ending.model


class TestOnePiece:
    @pytest.mark.parametrize("output", [PIECES, TEXT], ids=["pieces", "string"])
    def test_what_was_waited_for(self, output):
        body = prediction("succeeded", output=output, metrics=METRICS)
        for at in range(len(body) + 1):
            assert ended(fed(wire.reader(False), body[:at], body[at:])[1]) == READ

    def test_what_takes_longer_is_looked_at_with_growing_pauses(self):
        reader, pauses = wire.reader(False), []
        for n in range(30):
            _, follow = fed(reader, prediction("starting" if n < 2 else "processing"))
            assert isinstance(follow, Follow)
            assert (follow.url, follow.accept) == (GET, "application/json")
            reader = follow.reader
            pauses.append(follow.after_s)
        assert pauses == sorted(pauses)
        assert (pauses[0], pauses[1], pauses[-1]) == (0.1, pytest.approx(0.15), 5.0)
        assert ended(fed(reader, DONE)[1]) == READ

    def test_a_part_is_not_a_prediction(self):
        for at in range(len(DONE)):
            with pytest.raises(Truncated):
                fed(wire.reader(False), DONE[:at])

    @pytest.mark.parametrize(
        "metrics", [{}, None, {"predict_time": 1}, {"input_token_count": -1, "output_token_count": "4"}]
    )
    def test_what_counts_nothing_is_unknown(self, metrics):
        assert ended(fed(wire.reader(False), prediction("succeeded", output=[], metrics=metrics))[1])[2] == Usage()

    def test_no_output_is_an_empty_answer(self):
        assert ended(fed(wire.reader(False), prediction("succeeded"))[1])[0] == ""


FAILED = [
    ("failed", "CUDA out of memory", None, 500),
    ("failed", "Input validation error: prompt is too long", None, 400),
    ("failed", None, None, 500),
    ("canceled", None, "canceled", 500),
    ("aborted", None, "aborted", 500),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("status", "error", "code", "http"), FAILED)
def test_predictions_that_end_badly(status, error, code, http, stream):
    with pytest.raises(Faulted) as caught:
        fed(wire.reader(stream), prediction(status, error=error))
    assert (caught.value.fault.code, caught.value.fault.status) == (code, http)
    assert caught.value.fault.message == (error or f"the prediction was {status}")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
        "NSFW content detected",
    ],
)
def test_what_the_filter_withheld_stays_billed(error, stream):
    with pytest.raises(ContentFiltered) as caught:
        fed(wire.reader(stream), prediction("failed", error=error, metrics=METRICS))
    assert caught.value.usage == USAGE


def event(name, data, n=0):
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: {n}:0\n{lines}\n".encode()


EVENTS = [event("output", piece, n) for n, piece in enumerate(PIECES)]
STREAM = b": hello\n\n" + event("logs", "booting") + b"".join(EVENTS) + event("done", "{}", 9) + b":408\n"


def streaming():
    """The reader of the stream of a prediction that was just created."""
    _, follow = fed(wire.reader(True), prediction("starting"))
    assert isinstance(follow, Follow)
    assert (follow.url, follow.accept, follow.after_s) == (STREAM_AT, "text/event-stream", 0)
    return follow.reader


class TestStream:
    def read(self, *chunks, last=DONE):
        text, follow = fed(streaming(), *chunks)
        assert isinstance(follow, Follow)
        assert (follow.url, follow.after_s) == (GET, 0)
        return ended(fed(follow.reader, last)[1], text)

    @pytest.mark.parametrize("stream", [STREAM, STREAM.replace(b"\n", b"\r\n"), STREAM.replace(b"id: ", b"id:")])
    def test_it_is_the_same_at_every_split(self, stream):
        assert self.read(*(stream[i : i + 1] for i in range(len(stream)))) == READ
        for at in range(len(stream) + 1):
            assert self.read(stream[:at], stream[at:]) == READ

    def test_a_cut_one_is_not_an_answer(self):
        """At every offset before the end mark's blank line, every event's boundary among them."""
        for at in range(STREAM.index(b"data: {}\n\n") + len(b"data: {}\n") + 1):
            with pytest.raises(Truncated):
                fed(streaming(), STREAM[:at])

    def test_a_reader_without_the_end_mark_would_take_a_part(self):
        """The control: with the mark forged, a part leads on to the counts."""
        reader = streaming()
        list(reader.feed(EVENTS[0]))
        reader.ended = True
        assert isinstance(reader.close(), Follow)

    def test_a_model_that_counts_nothing(self):
        assert self.read(STREAM, last=prediction("succeeded", output=PIECES))[2] == Usage()

    def test_counts_that_are_late_are_looked_for_some_times(self):
        text, follow = fed(streaming(), STREAM)
        for _ in range(MOST_LOOKS):
            _, follow = fed(follow.reader, prediction("processing"))
            assert isinstance(follow, Follow)
            assert follow.whole == Ending(finish_reason="succeeded", usage=Usage(), model=MODEL)
        late = ended(fed(follow.reader, prediction("processing"))[1], text)
        assert late == (TEXT, "succeeded", Usage(), MODEL)
        _, follow = fed(streaming(), STREAM)
        _, follow = fed(follow.reader, prediction("processing"))
        assert ended(fed(follow.reader, DONE)[1])[2] == USAGE

    @pytest.mark.parametrize(
        ("events", "said"),
        [
            ([event("error", "it broke"), event("done", '{"reason": "error"}')], "it broke"),
            ([event("error", '{"detail": "it broke"}')], "it broke"),
            ([event("done", '{"reason": "canceled"}')], "canceled"),
            ([event("done", "out of time")], "out of time"),
        ],
    )
    def test_errors_in_its_midst(self, events, said):
        _, follow = fed(streaming(), EVENTS[0], *events)
        with pytest.raises(Faulted, match=said):
            fed(follow.reader, DONE)

    def test_the_prediction_says_why_it_failed(self):
        withheld = prediction("failed", error="flagged as sensitive (E005)", metrics=METRICS)
        _, follow = fed(streaming(), EVENTS[0], event("error", "something"))
        with pytest.raises(ContentFiltered) as caught:
            fed(follow.reader, withheld)
        assert caught.value.usage == USAGE

    def test_a_model_without_streams_is_looked_at(self):
        unstreamed = prediction("starting", urls={"get": GET})
        text, follow = fed(wire.reader(True), unstreamed)
        assert isinstance(follow, Follow)
        assert (follow.url, follow.whole) == (GET, None)
        assert ended(fed(follow.reader, DONE)[1], text) == READ

    def test_what_was_there_at_once_needs_no_stream(self):
        assert ended(fed(wire.reader(True), DONE)[1]) == READ

    @pytest.mark.parametrize("body", [b"<html>no</html>", b"[]", b"7"])
    def test_garbage_is_the_vendors_bug(self, body):
        with pytest.raises(ProviderBug):
            fed(streaming(), body)

    def test_an_error_instead_of_a_stream(self):
        with pytest.raises(Faulted, match="gone"):
            fed(streaming(), b'{"detail": "gone", "status": 404}')

    def test_an_endless_event_is_stopped(self):
        reader = streaming()
        with pytest.raises(ProviderBug, match="larger"):  # noqa: PT012
            for _ in range(40):
                reader.feed(b"data: x" * 2**18)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    "body", [b"<html>no</html>", b"[]", b"7", b"{}", prediction("dancing", urls=3), prediction("starting", urls=None)]
)
def test_garbage_is_the_vendors_bug(body, stream):
    with pytest.raises((ProviderBug, Faulted)):
        fed(wire.reader(stream), body)


@pytest.mark.parametrize("output", [{"text": "a"}, [1, 2], 7])
def test_an_output_that_is_no_text(output):
    with pytest.raises(ProviderBug):
        fed(wire.reader(False), prediction("succeeded", output=output))


@pytest.mark.parametrize(
    ("body", "headers", "message", "code", "status", "retry_after_s"),
    [
        (
            {"title": "Unauthenticated", "detail": "no token", "status": 401},
            {},
            "no token",
            "Unauthenticated",
            401,
            None,
        ),
        ({"detail": "throttled", "status": 429}, {"ratelimit-reset": "3"}, "throttled", None, 429, 3.0),
        (
            {"detail": "throttled", "status": 429, "retry_after": 10},
            {"ratelimit-reset": "3"},
            "throttled",
            None,
            429,
            10.0,
        ),
        ({"detail": "throttled", "status": 429}, {"ratelimit-reset": "soon"}, "throttled", None, 429, None),
        ({"detail": "down", "status": 503}, {"ratelimit-reset": "3"}, "down", None, 503, None),
        ({"detail": "odd", "status": "succeeded"}, {}, "odd", None, None, None),
    ],
)
def test_problem_documents(body, headers, message, code, status, retry_after_s):
    fault = wire.fault(json.dumps(body).encode(), headers)
    assert (fault.message, fault.code, fault.status) == (message, code, status)
    assert fault.retry_after_s == retry_after_s


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b"7"])
def test_other_documents_are_shown_as_they_are(body):
    assert wire.fault(body, {}).message


SYSTEM, USER = Message(role="system", content="Be brief."), Message(role="user", content="hi")
HEX = "5a6809ca6288247d06daf6365557e5e429063f32a21146b2a807c682652136b8"


class TestBody:
    def test_a_turn(self):
        asked = {"prompt": "hi", "system_prompt": "Be brief.", "max_tokens": 256, "temperature": 0.0}
        prompt = Prompt(model=MODEL, messages=(SYSTEM, USER))
        assert wire.body(prompt, Params(), False) == {"input": asked}
        assert wire.body(prompt, Params(), True) == {"input": asked, "stream": True}

    def test_turns(self):
        messages = (USER, Message(role="assistant", content="yes?"), USER)
        asked = wire.body(Prompt(model=MODEL, messages=messages), Params(temperature=None), False)["input"]
        assert asked == {"prompt": "User: hi\n\nAssistant: yes?\n\nUser: hi\n\nAssistant:", "max_tokens": 256}

    def test_parameters(self):
        params = Params(max_tokens=3, temperature=0.5, top_p=0.9, seed=0, stop=("a", "b"))
        asked = wire.body(Prompt(model=MODEL, messages=(USER,)), params, False)["input"]
        more = {"temperature": 0.5, "top_p": 0.9, "seed": 0, "stop_sequences": "a,b"}
        assert asked == {"prompt": "hi", "max_tokens": 3, **more}
        with pytest.raises(InvalidRequest, match="commas"):
            wire.body(Prompt(model=MODEL, messages=(USER,)), Params(stop=("a,b",)), False)

    @pytest.mark.parametrize(
        ("model", "version"),
        [(MODEL, None), (f"{MODEL}:{HEX}", HEX), (HEX, HEX), (f"{MODEL}:v2", "v2"), ("deployments/me/mine", None)],
    )
    def test_versions(self, model, version):
        assert version_of(model) == version
        assert wire.body(Prompt(model=model, messages=(USER,)), Params(), False).get("version") == version
