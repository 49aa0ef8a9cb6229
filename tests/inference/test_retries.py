"""The client against a server that misbehaves: retries, deadline, and no part taken for the whole."""

import time
from email.utils import formatdate

import pytest
from loopback import (
    Fault,
    Loopback,
    broken,
    cut,
    error_in_200,
    failing,
    garbage,
    hang,
    rate_limited,
)

from mlaas_lab import errors
from mlaas_lab.inference import Limits
from mlaas_lab.wires import openai_chat

TEXT = "Grüße an die 世界 heute"
"""What `ask` asks, and the server answers."""


RETRIED = [
    (rate_limited("0"), "rate_limited", 429),
    (broken(), "overloaded", 500),
    (failing(503), "overloaded", 503),
    (failing(408), "timed_out", 408),
    (Fault(reset=True), "unreachable", None),
    (error_in_200(code=429), "rate_limited", 200),
    (error_in_200(code=500), "overloaded", 200),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "error", "status"), RETRIED)
def test_what_may_pass_is_tried_again(ask, fault, error, status, stream):
    with Loopback(faults=[fault, fault]) as server:
        done = ask(server, stream=stream)
    assert done.text == TEXT
    assert [(a.error, a.status) for a in done.attempts] == [(error, status), (error, status), (None, 200)]
    assert len(server.requests) == 3
    assert all(a.ended_at <= b.started_at for a, b in zip(done.attempts, done.attempts[1:], strict=False))


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_amplification_is_one_plus_retries(ask, retries):
    with Loopback(faults=[broken()] * 9) as server:
        with pytest.raises(errors.Overloaded, match="500 it broke") as caught:
            ask(server, limits=Limits(retries=retries, timeout_s=20))
        assert len(server.requests) == len(caught.value.attempts) == 1 + retries
    assert caught.value.status == 500
    assert caught.value.request_id


ONCE = [
    (failing(400, message="bad"), errors.InvalidRequest),
    (failing(401), errors.AuthFailed),
    (failing(402), errors.QuotaExceeded),
    (failing(403), errors.AuthFailed),
    (failing(404, code="model_not_found"), errors.NotFound),
    (failing(413), errors.InvalidRequest),
    (failing(422), errors.InvalidRequest),
    (failing(429, code="insufficient_quota"), errors.QuotaExceeded),
    (failing(400, code="content_filter"), errors.ContentFiltered),
    (Fault(finish="content_filter"), errors.ContentFiltered),
    (garbage(), errors.ProviderBug),
    (garbage(b"[1, 2]"), errors.ProviderBug),
    (error_in_200(code=400), errors.InvalidRequest),
    (error_in_200(code="odd"), errors.ProviderBug),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("fault", "kind"), ONCE)
def test_what_will_not_pass_is_tried_once(ask, fault, kind, stream):
    with Loopback(faults=[fault] * 5) as server:
        with pytest.raises(kind) as caught:
            ask(server, stream=stream)
        assert type(caught.value) is kind
        assert len(server.requests) == 1
    assert [a.error for a in caught.value.attempts] == [errors.snake(kind.__name__)]
    assert str(caught.value).startswith(f"openai/any?base_url={server.base_url}: ")


@pytest.mark.parametrize("tidy", [False, True])
@pytest.mark.parametrize("after", range(6))
def test_cut_stream_is_never_an_answer(ask, after, tidy):
    """Five words: event 0 is the role, 1 to 5 the words, 6 the finish reason."""
    with Loopback(faults=[cut(after, tidy=tidy)] * 2) as server:
        with pytest.raises(errors.Truncated):
            ask(server, stream=True, limits=Limits(retries=0))
        assert ask(server, stream=True).text == TEXT
        assert len(server.requests) == 3


@pytest.mark.parametrize("stream", [False, True])
def test_cut_body_is_truncated(ask, stream):
    with Loopback(faults=[cut()] * 9) as server, pytest.raises(errors.Truncated):
        ask(server, stream=stream)


def test_a_client_without_the_end_mark_takes_a_part_for_the_whole(ask, monkeypatch):
    """The control: a reader that does not ask for the end mark is caught by the test above."""
    monkeypatch.setattr(openai_chat._Chunks, "complete", True)
    with Loopback(faults=[cut(3, tidy=True)]) as server:
        assert ask(server, stream=True).text == "Grüße an"


def test_error_within_a_stream(ask):
    fault = Fault(error_event={"error": {"message": "too hot", "code": 503}})
    with Loopback(faults=[fault]) as server:
        done = ask(server, stream=True)
    assert [a.error for a in done.attempts] == ["overloaded", None]


def test_text_that_was_handed_out_is_not_asked_for_again(ask):
    pieces = []
    with Loopback(faults=[cut(3)]) as server:
        with pytest.raises(errors.Truncated):
            ask(server, stream=True, on_delta=pieces.append)
        assert len(server.requests) == 1
    assert "".join(pieces) == "Grüße an"


class TestDeadline:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("fault", [hang(), Fault(delay_s=30)])
    def test_hang(self, ask, fault, stream):
        started = time.monotonic()
        with Loopback(faults=[fault]) as server:
            with pytest.raises(errors.TimedOut) as caught:
                ask(server, stream=stream, limits=Limits(timeout_s=0.4))
            assert 0.3 < time.monotonic() - started < 10, "the fault lasts 30 s"
            assert len(server.requests) == 1
        (attempt,) = caught.value.attempts
        assert attempt.error == "timed_out"
        assert attempt.connected_at is not None
        assert attempt.first_byte_at is None
        assert attempt.ended_at - attempt.started_at == pytest.approx(0.4, abs=5)

    def test_stall_in_a_stream(self, ask):
        with Loopback(faults=[Fault(stall_after=2)]) as server, pytest.raises(errors.TimedOut) as caught:
            ask(server, stream=True, limits=Limits(timeout_s=0.4))
        assert caught.value.attempts[0].first_token_at is not None

    def test_it_holds_over_all_attempts(self, ask):
        started = time.monotonic()
        with Loopback(faults=[broken(), Fault(delay_s=0.2, status=500, body=b"{}"), hang()]) as server:
            with pytest.raises(errors.TimedOut) as caught:
                ask(server, limits=Limits(timeout_s=0.6))
            assert [a.error for a in caught.value.attempts] == ["overloaded", "overloaded", "timed_out"]
        assert time.monotonic() - started < 10, "the hang has no end"

    def test_the_turn_of_others_does_not_count(self, many):
        """Four calls of 0.25 s, one at a time, each within its own 0.6 s."""
        with Loopback(delay_s=0.25) as server:
            assert len(many(server, 4, Limits(concurrency=1, timeout_s=0.6))) == 4


class TestRetryAfter:
    def test_seconds_are_waited(self, ask):
        with Loopback(faults=[rate_limited("0.4")]) as server:
            done = ask(server)
        first, second = done.attempts
        assert 0.4 <= second.started_at - first.ended_at < 1.0

    def test_milliseconds(self, ask):
        with Loopback(faults=[failing(429, retry_after_ms="300", retry_after="9")]) as server:
            done = ask(server)
        assert 0.3 <= done.attempts[1].started_at - done.attempts[0].ended_at < 0.9

    def test_date_is_waited_for(self, ask):
        with Loopback(faults=[rate_limited(formatdate(time.time() + 2, usegmt=True))]) as server:
            done = ask(server)
        assert 0.8 <= done.attempts[1].started_at - done.attempts[0].ended_at < 2.8

    @pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "", "Thu, 99 Foo 2020", "1e999"])
    def test_nonsense_is_ignored(self, ask, text):
        with Loopback(faults=[rate_limited(text)]) as server:
            done = ask(server)
        assert done.attempts[1].started_at - done.attempts[0].ended_at < 0.5

    @pytest.mark.parametrize("text", ["1000000000", "1e9", "3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
    def test_more_than_the_deadline_is_not_waited(self, ask, text):
        started = time.monotonic()
        with Loopback(faults=[rate_limited(text)]) as server:
            with pytest.raises(errors.RateLimited, match="past the deadline") as caught:
                ask(server, limits=Limits(timeout_s=3))
            assert len(server.requests) == 1
        assert time.monotonic() - started < 2.9, "not even the deadline is waited for"
        assert len(caught.value.attempts) == 1

    def test_on_an_answer_it_means_nothing(self, ask):
        with Loopback(faults=[Fault(headers={"Retry-After": "30"})]) as server:
            assert len(ask(server).attempts) == 1


def test_nobody_listens(ask):
    with Loopback() as server:
        pass
    with pytest.raises(errors.Unreachable, match=r"no connection to 127\.0\.0\.1") as caught:
        ask(server, limits=Limits(retries=1))
    assert [a.connected_at for a in caught.value.attempts] == [None, None]


def test_a_long_error_is_cut_to_a_line(ask):
    fault = failing(400, message="a\nb\x1b[31m" + "x" * 9999)
    with Loopback(faults=[fault]) as server, pytest.raises(errors.InvalidRequest) as caught:
        ask(server)
    text = str(caught.value)
    assert len(text) < 600
    assert "\n" not in text
    assert "\x1b" not in text
