"""An answer, with the stamps of every attempt: as it came, never more at once than allowed."""

import asyncio
import time

import pytest
from loopback import (
    Fault,
    Loopback,
    hang,
    no_usage,
)

from mlaas_lab.errors import InvalidRequest
from mlaas_lab.inference import Client, Limits, Params, complete, on_loop, resolve
from mlaas_lab.inference.connections import Connections
from mlaas_lab.schema import Message, Usage

TEXT = "Grüße an die 世界 heute"
"""What `ask` asks, and the server answers."""
ASK = (Message(role="user", content=TEXT),)


@pytest.mark.parametrize("stream", [False, True])
def test_answer(ask, stream):
    with Loopback() as server:
        before = time.time()
        done = ask(server, stream=stream)
    assert (done.text, done.finish_reason, done.model) == (TEXT, "stop", "any")
    assert done.usage == Usage(input_tokens=server.input_tokens, output_tokens=server.output_tokens)
    assert done.request_id == "req-1"
    (attempt,) = done.attempts
    stamps = [attempt.started_at, attempt.connected_at, attempt.first_byte_at, attempt.first_token_at, attempt.ended_at]
    if not stream:
        assert stamps.pop(3) is None
        assert done.ttft_s is None
    assert stamps == sorted(stamps)
    assert before - 0.01 <= stamps[0] <= stamps[-1] <= time.time() + 0.01
    assert (attempt.status, attempt.error) == (200, None)
    (seen,) = server.requests
    assert seen.path == "/v1/chat/completions"
    assert seen.body["max_tokens"] == 256
    assert "Authorization" not in seen.headers


def test_stamps_follow_what_happened(ask):
    """The server waits 0.2 s, then pauses 0.05 s before each of its events."""
    with Loopback(faults=[Fault(delay_s=0.2, drip_s=0.05)]) as server:
        done = ask(server, stream=True)
    (attempt,) = done.attempts
    assert attempt.connected_at - attempt.started_at < 0.15
    assert attempt.first_byte_at - attempt.connected_at >= 0.19
    assert 0.28 <= done.ttft_s <= 0.6
    assert done.latency_s - done.ttft_s >= 0.05 * 6
    assert done.tokens_per_s == pytest.approx(4 / (done.latency_s - done.ttft_s))


def test_stamp_of_the_connection_is_the_connections(ask, monkeypatch):
    """The control: from connections that do not tell, the stamp is missing, so nothing else sets it."""
    request = Connections.request

    def untold(*args, **more):
        return request(*args, **{**more, "connected": None})

    monkeypatch.setattr(Connections, "request", untold)
    with Loopback() as server:
        assert ask(server).attempts[0].connected_at is None


@pytest.mark.parametrize("split", [1, 2, 3, 7])
def test_stream_in_small_pieces(ask, split):
    pieces = []
    with Loopback(faults=[Fault(split_bytes=split)]) as server:
        done = ask(server, stream=True, on_delta=pieces.append)
    assert done.text == "".join(pieces) == TEXT


def test_parameters_of_the_target_win(ask):
    with Loopback() as server:
        done = ask(server, params=Params(max_tokens=50, seed=1), query="&max_tokens=2&temperature=0.5&stop=x")
    assert (done.text, done.finish_reason) == ("Grüße an", "length")
    body = server.requests[0].body
    assert (body["max_tokens"], body["temperature"], body["stop"], body["seed"]) == (2, 0.5, ["x"], 1)


@pytest.mark.parametrize("stream", [False, True])
def test_no_usage_is_unknown(ask, stream):
    with Loopback(faults=[no_usage()]) as server:
        assert ask(server, stream=stream).usage == Usage()


@pytest.mark.parametrize(("wanted", "most"), [(None, 8), (3, 3), (12, 12)])
def test_no_more_at_once_than_allowed(many, wanted, most):
    with Loopback(delay_s=0.05) as server:
        assert all(done.text == TEXT for done in many(server, 24, Limits(concurrency=wanted)))
        assert server.most_in_flight == most
        assert len(server.requests) == 24


def test_connections_are_used_again_after_streams(settings):
    """Ten streams after each other connect once: a connection at hand takes no time."""
    with Loopback() as server:
        route = resolve(f"openai/any?base_url={server.base_url}", settings)

        async def ten():
            async with Client() as http:
                for _ in range(10):
                    await http.complete(route, ASK, stream=True)
                return sum(
                    len(pool) for one in http._connections.values() for pool in one._connectors[None]._conns.values()
                )

        assert on_loop(ten()) == 1


def test_a_cancelled_call_hangs_up(settings):
    with Loopback(faults=[hang()]) as server:
        route = resolve(f"openai/any?base_url={server.base_url}", settings)

        async def cancelled():
            async with Client() as http:
                task = asyncio.ensure_future(http.complete(route, ASK))
                while not server.in_flight:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                while server.in_flight:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

        on_loop(asyncio.wait_for(cancelled(), 5))


def test_a_provider_in_this_process_takes_the_same_path(asked, settings):
    pieces = []
    done = asked(resolve("echo/any", settings), stream=True, on_delta=pieces.append)
    assert done.text == "".join(pieces) == TEXT
    assert len(pieces) == 5
    assert done.usage == Usage(input_tokens=7, output_tokens=5)
    assert done.attempts[0].started_at <= done.attempts[0].first_byte_at <= done.attempts[0].first_token_at
    assert asked(resolve("echo/any?max_tokens=2", settings)).finish_reason == "length"


@pytest.mark.parametrize("target", ["echo/any", "openai/any"])
def test_half_a_character_is_refused_in_one_line(settings, target, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(InvalidRequest, match="cannot be sent"):
        complete(target, [Message(role="user", content="a\ud83d")], settings=settings)
