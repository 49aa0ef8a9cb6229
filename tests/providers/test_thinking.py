"""What was thought and what came from a cache is counted once, and no thought is in the text."""

import pytest
from emulated import emulated, target

from mlaas_lab.emulators import Answer
from mlaas_lab.schema import Usage

WAYS = [("anthropic", ""), ("anthropic", "2023"), ("gemini", ""), ("vertex", "")]


def thoughtful(question):
    """Seven words in, three of them from a cache; five out, three of them thought."""
    return Answer(pieces=("Grüße, ", "世界"), input_tokens=7, output_tokens=5, cached_tokens=3, reasoning_tokens=3)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(("name", "api"), WAYS)
def test_thinking_and_cache(ask, name, api, stream):
    with emulated(name, mind=thoughtful) as server:
        done = ask(target(server, name, query=f"api={api}" if api else ""), stream=stream)
    written = 0 if name == "anthropic" else None
    assert done.text == "Grüße, 世界"
    assert done.usage == Usage(
        input_tokens=7, output_tokens=5, cached_tokens=3, cache_write_tokens=written, reasoning_tokens=3
    )
    assert (server.ledger[0].input_tokens, server.ledger[0].output_tokens) == (7, 5)
    assert done.exchange is not None
    assert b"Hm." in done.exchange.body
