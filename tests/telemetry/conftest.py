"""Calls with telemetry, and the collector that hears of them."""

import os

import pytest
from otlp_receiver import Receiver

from mlaas_lab import inference, telemetry
from mlaas_lab.inference import Limits
from mlaas_lab.schema import Message

ASK = (Message(role="system", content="Be brief."), Message(role="user", content="Grüße an die 世界 heute"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No variables of the machine's own, and pauses between attempts last milliseconds."""
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def ask(settings):
    """One call to a target, told of as the settings say, and delivered."""

    def ask(target, *, messages=ASK, stream=True, limits=None, params=None, **more):
        route = inference.resolve(target, settings.model_copy(update=more))

        async def one():
            async with inference.Client(limits or Limits(timeout_s=5)) as client:
                return await client.complete(route, messages, params, stream=stream)

        try:
            return inference.on_loop(one())
        finally:
            telemetry.flush()

    return ask
