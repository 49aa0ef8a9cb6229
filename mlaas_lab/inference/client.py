"""The one client: concurrency, retries and deadline for every provider, so that their numbers compare.

There is one retry loop and it is here, so amplification is 1 + retries. It knows no vendor and no HTTP.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
import orjson

from mlaas_lab.errors import CallError, InvalidRequest, TimedOut, snake
from mlaas_lab.inference.attempt import Call, Stamps, exchange, now, session
from mlaas_lab.inference.deadline import Deadline, Deadlines
from mlaas_lab.inference.retry import pause_s
from mlaas_lab.inference.route import Route
from mlaas_lab.schema import Completion, Message
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


class Client:
    """Prompts targets; one per event loop, as `async with Client(limits) as client`."""

    def __init__(self, limits: Limits | None = None) -> None:
        """Connections are opened when they are needed."""
        self.limits = limits or Limits()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._deadlines: Deadlines | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._deadlines is not None:
            self._deadlines.close()
        for http in self._sessions.values():
            await http.close()

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
            stream: whether to ask for a stream, which alone has a time to first token.
            on_delta: called on the loop with each piece of text as it arrives. Once it was called, a stream that
                breaks is not tried again: what was handed out cannot be taken back.

        Raises:
            CallError: what went wrong, with `attempts`.
        """
        prompt = Prompt(model=route.model, messages=tuple(messages))
        call = Call(route=route, body=_body(route, prompt, params, stream), stream=stream, on_delta=on_delta)
        async with self._turn(route):
            try:
                with self._deadline() as deadline:
                    return await self._retried(call, deadline)
            except TimeoutError:
                if call.running is not None:
                    call.attempts.append(call.running.attempt(snake(TimedOut.__name__)))
                late = TimedOut(f"{route.name}: no answer within {self.limits.timeout_s:g} s.")
                late.attempts = tuple(call.attempts)
                raise late from None

    def _deadline(self) -> Deadline:
        if self._deadlines is None:
            self._deadlines = Deadlines(self.limits.timeout_s)
        return self._deadlines.start()

    def _turn(self, route: Route) -> asyncio.Semaphore:
        name = route.name
        if name not in self._turns:
            self._turns[name] = asyncio.Semaphore(self.limits.concurrency or route.concurrency)
        return self._turns[name]

    def _http(self, route: Route) -> aiohttp.ClientSession | None:
        if route.provider.reply is not None:
            return None
        if route.private not in self._sessions:
            self._sessions[route.private] = session(private=route.private)
        return self._sessions[route.private]

    async def _retried(self, call: Call, deadline: Deadline) -> Completion:
        while True:
            try:
                return await self._attempt(call)
            except CallError as error:
                error.attempts = tuple(call.attempts)
                if not error.retryable or call.shown or len(call.attempts) > self.limits.retries:
                    raise
                pause = pause_s(len(call.attempts), error.retry_after_s)
                if pause >= deadline.left_s:
                    error.next = error.next or f"The next try, in {pause:.3g} s, would be past the deadline."
                    raise
            await asyncio.sleep(pause)

    async def _attempt(self, call: Call) -> Completion:
        stamps = call.running = Stamps(started_at=now())
        try:
            ending, text = await exchange(call, stamps, self._http(call.route))
        except CallError as error:
            call.attempts.append(stamps.attempt(snake(type(error).__name__)))
            call.running = None
            raise
        call.attempts.append(stamps.attempt())
        return Completion(
            text=text,
            usage=ending.usage,
            finish_reason=ending.finish_reason,
            model=ending.model,
            attempts=tuple(call.attempts),
            request_id=stamps.request_id,
        )


def _body(route: Route, prompt: Prompt, params: Params | None, stream: bool) -> bytes:
    try:
        return orjson.dumps(route.provider.wire.body(prompt, route.params(params or Params()), stream))
    except orjson.JSONEncodeError as error:
        raise InvalidRequest(f"{route.name}: the prompt cannot be sent: {error}.") from None
