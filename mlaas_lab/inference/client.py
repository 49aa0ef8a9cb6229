"""The one client: concurrency, retries and deadline for every provider, so that their numbers compare.

There is one retry loop and it is here, so amplification is 1 + retries. It knows no vendor and no HTTP.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import orjson

from mlaas_lab.errors import AuthFailed, CallError, InvalidRequest, RateLimited, TimedOut, snake
from mlaas_lab.inference.attempt import Call, Line, Stamps, exchange, now
from mlaas_lab.inference.connections import Connections, Via
from mlaas_lab.inference.deadline import Alarm, Deadlines, Silences
from mlaas_lab.inference.failures import Speaker
from mlaas_lab.inference.network import authorities, between, connections, trust
from mlaas_lab.inference.pace import Pace
from mlaas_lab.inference.retry import pause_s
from mlaas_lab.inference.route import Route
from mlaas_lab.inference.tokens import Tokens
from mlaas_lab.inference.words import pace
from mlaas_lab.schema import JSON, Completion, Message
from mlaas_lab.telemetry import traced
from mlaas_lab.wires import Params, Prompt


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much a call may ask of a target."""

    concurrency: int | None = None
    """Requests at once to one target; None takes the route's."""
    retries: int = 3
    """Attempts after the first, for errors that may pass."""
    timeout_s: float = 60.0
    """Deadline of the whole call, retries and pauses included; waiting for one's turn is not."""
    stall_s: float = 30.0
    """A stream that says nothing for so long is given up."""


@dataclass(kw_only=True)
class _Lane:
    """What the calls to one target share."""

    turns: asyncio.Semaphore
    pace: Pace
    line: Line


class Client:
    """Prompts targets; one per event loop, as `async with Client(limits) as client`."""

    def __init__(self, limits: Limits | None = None, *, keep_exchanges: bool = False) -> None:
        """Connections are opened when they are needed; with `keep_exchanges` every answer holds what really came."""
        self.limits = limits or Limits()
        self._keep_exchanges = keep_exchanges
        self._connections: dict[bool, Connections] = {}
        self._lanes: dict[str, _Lane] = {}
        self._tokens = Tokens()
        self._trusted: ssl.SSLContext | bool = True
        self._deadlines: Deadlines | None = None
        self._silences: Silences | None = None

    async def __aenter__(self) -> Self:
        self._trusted = await authorities()
        self._deadlines = Deadlines(self.limits.timeout_s)
        self._silences = Silences(self.limits.stall_s)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for watch in (self._deadlines, self._silences):
            if watch is not None:
                watch.close()
        for http in self._connections.values():
            await http.close()

    @traced
    async def complete(
        self,
        route: Route,
        messages: Sequence[Message],
        params: Params | None = None,
        *,
        stream: bool = False,
        on_delta: Callable[[str], None] | None = None,
    ) -> Completion:
        """The answer of `route` to `messages`.

        Args:
            route: from `resolve`.
            messages: the chat so far.
            params: how to sample.
            stream: whether to ask for a stream, which alone has a time to first token; not every target has one.
            on_delta: called on the loop with each piece of text as it arrives. Once it was called, a stream that
                breaks is not tried again: what was handed out cannot be taken back.

        Raises:
            CallError: what went wrong, with `attempts`.
        """
        stream = stream and route.api.streams
        params = route.params(params or Params())
        call = Call(route=route, body=_body(route, messages, params, stream), stream=stream, on_delta=on_delta)
        lane = self._lane(route)
        async with lane.turns:
            reserved = await lane.pace.turn(size_bytes=len(call.body), max_tokens=params.max_tokens)
            done: Completion | None = None
            try:
                with _open(self._deadlines).start() as deadline:
                    done = await self._retried(call, lane, deadline)
                    return done
            except TimeoutError:
                raise self._late(call) from None
            finally:
                lane.pace.settle(reserved, _used(done))

    def _late(self, call: Call) -> TimedOut:
        if call.running is not None:
            call.attempts.append(call.running.attempt(snake(TimedOut.__name__)))
        late = TimedOut(f"{call.route.name}: no answer within {self.limits.timeout_s:g} s.")
        late.attempts = tuple(call.attempts)
        return late

    def _lane(self, route: Route) -> _Lane:
        lane = self._lanes.get(route.name)
        if lane is None:
            rpm, tpm = pace(route.target)
            lane = self._lanes[route.name] = _Lane(
                turns=asyncio.Semaphore(self.limits.concurrency or route.concurrency),
                pace=Pace(rpm=rpm, tpm=tpm),
                line=Line(
                    speaker=Speaker(route=route),
                    http=self._http(route),
                    via=Via(between(route.url, private=route.private), trust(route.authority), route.socket),
                ),
            )
        return lane

    def _http(self, route: Route) -> Connections | None:
        if route.provider.reply is not None:
            return None
        if route.private not in self._connections:
            self._connections[route.private] = connections(private=route.private, trusted=self._trusted)
        return self._connections[route.private]

    async def _retried(self, call: Call, lane: _Lane, deadline: Alarm) -> Completion:
        renewed = False
        while True:
            try:
                return await self._attempt(call, lane)
            except CallError as error:
                error.attempts = tuple(call.attempts)
                left = self.limits.retries - len(call.attempts) + 1
                if (
                    isinstance(error, AuthFailed)
                    and not renewed
                    and left > 0
                    and self._tokens.refused(call.route, call.token)
                ):
                    renewed = True
                    continue
                if not error.retryable or call.shown or left <= 0:
                    raise
                pause = pause_s(len(call.attempts), error.retry_after_s)
                if pause >= deadline.left_s:
                    error.next = error.next or f"The next try, in {pause:.3g} s, would be past the deadline."
                    raise
                if isinstance(error, RateLimited):
                    lane.pace.hold(pause)
            await asyncio.sleep(pause)

    async def _attempt(self, call: Call, lane: _Lane) -> Completion:
        stamps = call.running = Stamps(started_at=now())
        call.silence = _open(self._silences).start() if call.stream else None
        try:
            if call.route.sign is not None and call.route.sign.exchange is not None and lane.line.http is not None:
                call.token = await self._tokens.token(lane.line.speaker, lane.line.http)
            with call.silence or nullcontext():
                ending, text = await exchange(call, stamps, lane.line)
        except CallError as error:
            raise self._failed(call, lane, error) from None
        except TimeoutError:
            told = f"{call.route.name}: the stream fell silent for {self.limits.stall_s:g} s."
            raise self._failed(call, lane, TimedOut(told, status=stamps.status)) from None
        call.attempts.append(stamps.attempt())
        return Completion(
            text=text,
            usage=ending.usage,
            finish_reason=ending.finish_reason,
            model=ending.model,
            attempts=tuple(call.attempts),
            request_id=stamps.request_id,
            response_id=ending.response_id,
            exchange=call.exchange(lane.line.speaker) if self._keep_exchanges else None,
        )

    def _failed(self, call: Call, lane: _Lane, error: CallError) -> CallError:
        if call.running is not None:
            call.attempts.append(call.running.attempt(snake(type(error).__name__)))
        if self._keep_exchanges:
            error.exchange = call.exchange(lane.line.speaker)
        call.running = None
        return error


def _body(route: Route, messages: Sequence[Message], params: Params, stream: bool) -> bytes:
    prompt = Prompt(model=route.model, messages=tuple(messages))
    try:
        body = route.api.wire.body(prompt, params, stream)
        return orjson.dumps(_joined(body, route.fields) if route.fields else body)
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"{route.name}: the prompt cannot be sent: {error}.") from None


def _joined(body: JSON, fields: Mapping[str, Any]) -> JSON:
    """`body` with `fields`; an object that both have is joined."""
    both = {name: {**body[name], **inner} for name, inner in fields.items() if isinstance(body.get(name), dict)}
    return {**body, **fields, **both}


def _used(done: Completion | None) -> int | None:
    if done is None or done.usage.input_tokens is None or done.usage.output_tokens is None:
        return None
    return done.usage.input_tokens + done.usage.output_tokens


Watch = TypeVar("Watch")


def _open(watch: Watch | None) -> Watch:
    if watch is None:
        raise RuntimeError("a Client is used within `async with`")
    return watch
