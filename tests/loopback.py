"""A loopback server that speaks OpenAI's chat completions, with a script of faults and a ledger of its own.

    with Loopback(faults=[rate_limited(retry_after="0"), None, cut(after=2)]) as server:
        ...                            # prompt f"openai/any?base_url={server.base_url}"
        assert server.requests[0].status == 429

It shares no code with the client: a bug in both would cancel itself. One word is one token. By default the answer is the
last user message; `reply` is a function of the request's body that says otherwise. As a program
(`python tests/loopback.py`) it prints its base URL and runs until it is killed.
"""

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

Reply = Callable[[dict[str, Any]], str]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong with one request; the defaults are an ordinary answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent as it is instead of an answer."""
    delay_s: float = 0.0
    """Before the first byte."""
    hang: bool = False
    """Never answer."""
    reset: bool = False
    """Close the connection without a byte."""
    cut_after: int | None = None
    """Streamed: stop after so many events. Not streamed: after half of the body."""
    tidy: bool = False
    """A cut that ends the HTTP body properly, so that only the missing end mark tells."""
    stall_after: int | None = None
    """Streamed: fall silent after so many events."""
    drip_s: float = 0.0
    """Streamed: pause before each event."""
    error_event: dict[str, Any] | None = None
    """Streamed: sent after the first event, instead of the rest."""
    usage: bool = True
    finish: str | None = None
    """Instead of `stop` or `length`."""
    split_bytes: int | None = None
    """Streamed: written in pieces of so many bytes."""


def failing(status: int, *, message: str = "no", code: str | None = None, **headers: str) -> Fault:
    """An error in OpenAI's form; underscores in header names become hyphens."""
    body = json.dumps({"error": {"message": message, "type": "t", "param": None, "code": code}}).encode()
    return Fault(status=status, body=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


def rate_limited(retry_after: str | None = None) -> Fault:
    """429, with Retry-After as it is written."""
    return failing(429, message="slow down", **({} if retry_after is None else {"retry_after": retry_after}))


def broken() -> Fault:
    """500."""
    return failing(500, message="it broke")


def hang() -> Fault:
    """A request that is never answered."""
    return Fault(hang=True)


def cut(after: int = 2, *, tidy: bool = False) -> Fault:
    """A stream that ends after `after` events, before its end mark."""
    return Fault(cut_after=after, tidy=tidy)


def garbage(body: bytes = b"<html>\x00\xff not json") -> Fault:
    """200 with something else."""
    return Fault(body=body)


def no_usage() -> Fault:
    """An answer that does not count its tokens."""
    return Fault(usage=False)


def error_in_200(message: str = "it broke", code: Any = 500) -> Fault:
    """An error that calls itself 200."""
    return Fault(body=json.dumps({"error": {"message": message, "code": code}}).encode())


@dataclass(kw_only=True)
class Seen:
    """One request, as the server saw it."""

    at: float
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    fault: Fault | None
    status: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    """Really sent."""
    done: bool = False
    """Answered to the end; False also when the client went away."""


class Loopback:
    """The server, in a thread of its own on a free port of 127.0.0.1."""

    def __init__(
        self,
        *,
        faults: Iterable[Fault | None] = (),
        reply: Reply | None = None,
        key: str | None = None,
        delay_s: float = 0,
    ) -> None:
        self.faults: list[Fault | None] = list(faults)
        """Taken from the front, one per request; when it is empty, nothing goes wrong."""
        self.reply = reply or (lambda body: body["messages"][-1]["content"])
        self.key = key
        self.delay_s = delay_s
        self.requests: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.base_url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._up = threading.Event()
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10), "the loopback server did not start"
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def port(self) -> int:
        return int(self.base_url.rsplit(":", 1)[1].split("/")[0])

    @property
    def input_tokens(self) -> int:
        return sum(seen.input_tokens for seen in self.requests)

    @property
    def output_tokens(self) -> int:
        return sum(seen.output_tokens for seen in self.requests)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/{path:.*}", self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/{path:.*}", self._health)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._up.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _models(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", "data": [{"id": "any", "object": "model"}]})

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault = self.faults.pop(0) if self.faults else None
        seen = Seen(at=time.time(), path=request.path, headers=dict(request.headers), body=body, fault=fault)
        self.requests.append(seen)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._answer(request, seen, fault or Fault())
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.Request, seen: Seen, fault: Fault) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.key is not None and given != self.key:
            fault = failing(401, message=f"Incorrect API key provided: {given}", code="invalid_api_key")
        if fault.delay_s or self.delay_s:
            await asyncio.sleep(fault.delay_s or self.delay_s)
        if fault.hang:
            await asyncio.sleep(3600)
        if fault.reset and request.transport is not None:
            request.transport.abort()
        seen.status = fault.status
        headers = {"x-request-id": f"req-{len(self.requests)}", **fault.headers}
        if fault.body is not None:
            seen.done = True
            return web.Response(status=fault.status, body=fault.body, headers=headers, content_type="application/json")
        words = re.findall(r"\s*\S+", self.reply(seen.body))
        limit = seen.body.get("max_tokens", 1024)
        seen.input_tokens = sum(len(m["content"].split()) for m in seen.body["messages"])
        finish = fault.finish or ("length" if len(words) > limit else "stop")
        if seen.body.get("stream"):
            return await self._stream(request, seen, fault, words[:limit], finish, headers)
        return await self._whole(request, seen, fault, words[:limit], finish, headers)

    async def _whole(
        self, request: web.Request, seen: Seen, fault: Fault, words: list[str], finish: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        seen.output_tokens = len(words)
        message = {"role": "assistant", "content": "".join(words)}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": int(seen.at),
            "model": seen.body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
            **({"usage": _usage(seen)} if fault.usage else {}),
        }
        payload = json.dumps(answer).encode()
        if fault.cut_after is None:
            seen.done = True
            return web.Response(body=payload, headers=headers, content_type="application/json")
        response = web.StreamResponse(headers={**headers, "Content-Length": str(len(payload))})
        await response.prepare(request)
        await response.write(payload[: len(payload) // 2])
        request.transport.close()
        return response

    async def _stream(
        self, request: web.Request, seen: Seen, fault: Fault, words: list[str], finish: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        for n, event in enumerate(_events(seen, fault, words, finish)):
            if n == fault.stall_after:
                await asyncio.sleep(3600)
            if n == fault.cut_after:
                if not fault.tidy:
                    request.transport.close()
                return response
            if fault.drip_s:
                await asyncio.sleep(fault.drip_s)
            step = fault.split_bytes or len(event)
            for at in range(0, len(event), step):
                await response.write(event[at : at + step])
        seen.done = True
        await response.write_eof()
        return response


def _usage(seen: Seen) -> dict[str, Any]:
    total = seen.input_tokens + seen.output_tokens
    return {"prompt_tokens": seen.input_tokens, "completion_tokens": seen.output_tokens, "total_tokens": total}


def _events(seen: Seen, fault: Fault, words: list[str], finish: str) -> Iterable[bytes]:
    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": int(seen.at), **more}
        return b"data: " + json.dumps({**chunk, "model": seen.body["model"], "choices": choices}).encode() + b"\n\n"

    yield event([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
    if fault.error_event is not None:
        yield b"data: " + json.dumps(fault.error_event).encode() + b"\n\n"
        return
    for word in words:
        seen.output_tokens += 1
        yield event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": finish}])
    if fault.usage and seen.body.get("stream_options", {}).get("include_usage"):
        yield event([], usage=_usage(seen))
    yield b"data: [DONE]\n\n"


if __name__ == "__main__":
    with Loopback() as running:
        print(running.base_url, flush=True)
        threading.Event().wait()
