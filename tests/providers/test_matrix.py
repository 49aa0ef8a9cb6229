"""Every provider, and every way into it, against its emulator: plain, stream, 429, 5xx, cut, filter, wrong key.

A new provider is in the matrix the moment its file exists, and it is red until its emulator exists too.
"""

from dataclasses import replace

import pytest
from emulated import emulated, target

from mlaas_lab import errors, registry
from mlaas_lab.inference import Limits
from mlaas_lab.providers import Provider

TEXT = "Grüße an die 世界 🙂 heute"


def ways():
    for name in registry.names("provider"):
        provider: Provider = registry.load("provider", name)
        if provider.reply is None:
            for api in ("", *provider.apis):
                yield name, api


WAYS = list(ways())


@pytest.fixture(params=WAYS, ids=["-".join(filter(None, way)) for way in WAYS])
def way(request):
    """A running emulator, the target that leads to it, and the way in."""
    name, api = request.param
    request.node.user_properties.append(("way", "-".join(filter(None, request.param))))
    provider: Provider = registry.load("provider", name)
    with emulated(provider.emulator or name) as server:
        query = f"api={api}" if api else ""
        yield server, target(server, name, query=query), provider.apis[api] if api else provider


def counted(server):
    """What the emulator billed for all answers."""
    rows = [one for one in server.ledger if one.output_tokens]
    return sum(one.input_tokens for one in rows), sum(one.output_tokens for one in rows)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_answer_and_bill(way, ask, stream):
    server, asked, api = way
    pieces = []
    done = ask(asked, stream=stream, on_delta=pieces.append if stream else None)
    assert done.text == TEXT
    assert done.finish_reason
    if stream and api.streams:
        assert "".join(pieces) == TEXT
        assert done.ttft_s is not None
    if done.usage.input_tokens is not None:
        assert (done.usage.input_tokens, done.usage.output_tokens) == counted(server)
    assert done.exchange is not None


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7])
def test_stream_in_small_pieces(ask, chunk_bytes, way):
    server, asked, _ = way
    server.scene = replace(server.scene, chunk_bytes=chunk_bytes)
    assert ask(asked, stream=True).text == TEXT


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("rate_limited", (errors.RateLimited,)),
        ("overloaded", (errors.Overloaded,)),
        ("cut", (errors.Truncated, errors.Unreachable)),
        ("drop", (errors.Unreachable,)),
        ("garbage", (errors.ProviderBug,)),
        ("filtered", (errors.ContentFiltered,)),
        ("filtered_answer", (errors.ContentFiltered,)),
        ("not_found", (errors.NotFound,)),
        ("invalid", (errors.InvalidRequest,)),
        ("auth", (errors.AuthFailed,)),
    ],
)
def test_what_goes_wrong_has_its_name(way, ask, fault, kinds, stream):
    server, asked, _ = way
    # The answer may take several exchanges: whichever breaks, the whole is no answer.
    server.next.extend([fault] * 8)
    with pytest.raises(errors.CallError) as caught:
        ask(asked, stream=stream)
    assert isinstance(caught.value, kinds), caught.value
    assert str(caught.value).startswith(asked.partition("?")[0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded", "drop"])
def test_what_passes_is_tried_again(way, ask, fault):
    server, asked, _ = way
    server.next.append(fault)
    done = ask(asked, limits=Limits(timeout_s=20, retries=1))
    assert done.text == TEXT
    assert [bool(attempt.error) for attempt in done.attempts] == [True, False]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_wrong_key_is_named_and_never_shown(way, ask, stream, monkeypatch):
    _, asked, _ = way
    monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: f"canary-{name}-0123456789")
    with pytest.raises(errors.AuthFailed) as caught:
        ask(asked, stream=stream)
    assert "canary" not in str(caught.value) + repr(caught.value) + repr(caught.value.__dict__)


def test_a_filtered_answer_stays_billed(way, ask):
    server, asked, _ = way
    server.next.extend(["filtered_answer"] * 8)
    with pytest.raises(errors.ContentFiltered) as caught:
        ask(asked)
    usage = caught.value.usage
    if usage is not None and usage.input_tokens is not None:
        assert (usage.input_tokens, usage.output_tokens) == counted(server)
