"""Asking emulators through the real client."""

import pytest

from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message

ASK = (Message(role="system", content="Be brief."), Message(role="user", content="Grüße an die 世界 🙂 heute"))
PATIENT = Limits(timeout_s=10, retries=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between attempts last milliseconds, unless the vendor asks for more."""
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def ask(settings):
    """One call to a target."""

    def ask(target, *, limits=PATIENT, messages=ASK, params=None, **more):
        route = resolve(target, settings)

        async def one():
            async with Client(limits, keep_exchanges=True) as client:
                return await client.complete(route, messages, params, **more)

        return on_loop(one())

    return ask
