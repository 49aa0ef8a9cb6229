"""One OpenTelemetry span a call, in the current `gen_ai.*` names: off unless asked for, and never in the way.

Off, nothing of OpenTelemetry is imported and a call is the client's own coroutine. On, a span is made once its call is
over, from the call's own stamps, and a thread delivers it: who cannot be reached slows no call and fails none.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from mlaas_lab import registry
from mlaas_lab.errors import CallError
from mlaas_lab.schema import Completion
from mlaas_lab.settings import Settings
from mlaas_lab.telemetry.attributes import Asked, Call, Routed

__all__ = ["Telemetry", "flush", "of", "traced"]

OFF = ("", "off")
FLUSH_S = 2.0
"""How long the end of a job or of `ask` waits for what was not delivered yet."""


class Telemetry(Protocol):
    """Where the calls of a route are told of."""

    def tell(self, call: Call) -> None:
        """Make the span of a call that is over; returns at once."""

    def flush(self, within_s: float) -> str | None:
        """Deliver what waits; what could not be delivered since the last time, in one line."""


class _Traceable(Routed, Protocol):
    @property
    def telemetry(self) -> Telemetry | None:
        """None: off."""


Client = TypeVar("Client")
Route = TypeVar("Route", bound=_Traceable)
Words = ParamSpec("Words")
Answer = Coroutine[Any, Any, Completion]
Completing = Callable[Concatenate[Client, Route, Words], Answer]

_open: dict[tuple[Any, ...], Telemetry] = {}


def of(settings: Settings) -> Telemetry | None:
    """What `settings` ask for; the same for the same words, None when it is off.

    Raises:
        MissingExtra: if the exporter is not installed.
        UsageError: if it is to go to an MLflow that is no server.
    """
    if settings.telemetry in OFF:
        return None
    key: tuple[Any, ...] = (settings.telemetry, settings.telemetry_names, settings.telemetry_content)
    key += (settings.mlflow_uri, settings.experiment) if settings.telemetry == "mlflow" else ()
    key += (settings.prices, settings.cny_per_usd)
    if key not in _open:
        _open[key] = registry.resolve("mlaas_lab.telemetry.pipeline:opened")(settings)
    return _open[key]


def flush(within_s: float = FLUSH_S) -> str | None:
    """Deliver what waits anywhere; what could not be delivered, in one line, once."""
    told = [note for one in list(_open.values()) if (note := one.flush(within_s)) is not None]
    return " ".join(told) or None


def traced(complete: Completing[Client, Route, Words]) -> Completing[Client, Route, Words]:
    """`complete` of a client, with a span for each call over a route that has telemetry."""
    signature = inspect.signature(complete)

    def call(client: Client, route: Route, /, *words: Words.args, **named: Words.kwargs) -> Answer:
        answer = complete(client, route, *words, **named)
        if route.telemetry is None:
            return answer
        said = signature.bind(client, route, *words, **named).arguments
        asked = Asked(
            route=route, messages=said["messages"], params=said.get("params"), stream=said.get("stream", False)
        )
        return _told(answer, asked, route.telemetry)

    functools.update_wrapper(call, complete)
    return call


async def _told(answer: Answer, asked: Asked, telemetry: Telemetry) -> Completion:
    try:
        done = await answer
    except CallError as error:
        telemetry.tell(Call(asked=asked, attempts=error.attempts, usage=error.usage, error=error))
        raise
    telemetry.tell(Call(asked=asked, attempts=done.attempts, usage=done.usage, completion=done))
    return done
