"""Asking a loopback server through the real client."""

import asyncio

import pytest

from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message

ASK = (Message(role="system", content="Be brief."), Message(role="user", content="Grüße an die 世界 heute"))
WITHIN_5_S = Limits(timeout_s=5)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between attempts last milliseconds, unless the vendor asks for more."""
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def asked():
    """One call over a route."""

    def asked(route, *, limits=WITHIN_5_S, params=None, **more):
        async def one():
            async with Client(limits) as http:
                return await http.complete(route, ASK, params, **more)

        return on_loop(one())

    return asked


@pytest.fixture
def ask(asked, settings):
    """One call to a loopback server; `query` is appended to the target."""

    def ask(server, *, query="", **more):
        return asked(resolve(f"openai/any?base_url={server.base_url}{query}", settings), **more)

    return ask


@pytest.fixture
def many(settings):
    """So many calls at once; answers and errors."""

    def many(server, n, limits):
        route = resolve(f"openai/any?base_url={server.base_url}", settings)

        async def all_of_them():
            async with Client(limits) as http:
                return await asyncio.gather(*(http.complete(route, ASK) for _ in range(n)), return_exceptions=True)

        return on_loop(all_of_them())

    return many
