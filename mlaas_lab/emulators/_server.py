"""One emulator behind a loopback port: HTTP or TLS, pace, chunk boundaries, faults, and the ledger of what was billed.

    with Server(emulator, mind=echo, scene=Scene(ttft_s=0.2)) as server:
        ...                            # prompt f"…?base_url={server.base_url}"
        assert server.ledger[0].output_tokens == 3

`GET /_emulator` gives the ledger as JSON; `POST /_emulator` with `{"next": ["rate_limited", "cut"]}` breaks the next
requests, one each.
"""

import asyncio
import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import TracebackType
from typing import Self

import orjson
from aiohttp import web

from mlaas_lab.emulators import KINDS, Answer, Asked, Emulator, Frame, Mind, Question, Refusal, Reply

HOST = "127.0.0.1"
CONTROL = "/_emulator"
FOREVER_S = 3600.0
WIRE_FAULTS = ("cut", "stall", "drop", "garbage", "filtered_answer")
"""What can go wrong besides a refusal: ends in the middle, falls silent, hangs up, answers HTML, withholds its end."""
FAULTS = (*KINDS, *WIRE_FAULTS)
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>The proxy wants you to sign in.</body></html>"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """How the vendor behaves."""

    ttft_s: float = 0.0
    """Before the first token."""
    tokens_per_s: float | None = None
    """Pace of the answer; None: all at once."""
    chunk_bytes: int | None = None
    """Writes of this size, wherever that cuts; None: one a frame."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """Fault → share of the requests it meets."""
    retry_after: str | None = None
    """Sent with a refusal for too many requests."""
    seed: int = 0


@dataclass(kw_only=True)
class Billed:
    """One request, by the emulator's own clock (UTC seconds) and its own count."""

    model: str = ""
    path: str
    status: int = 0
    fault: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    asked_at: float
    first_token_at: float | None = None
    ended_at: float | None = None
    whole: bool = False
    """All of it was sent."""


class Server:
    """A running emulator, on a thread of its own."""

    def __init__(
        self,
        emulator: Emulator,
        *,
        mind: Mind,
        scene: Scene | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        blocking: bool = False,
    ) -> None:
        """`port` 0 takes a free one; `blocking` says that `mind` takes its time, so that it gets a thread."""
        self.emulator = emulator
        self.scene = scene or Scene()
        self.ledger: list[Billed] = []
        self.asked: deque[Asked] = deque(maxlen=1000)
        """The last requests."""
        self.next: deque[str] = deque()
        """Faults of the next requests, one each."""
        self.port = port
        self._vendor = emulator.vendor()
        self._mind = mind
        self._blocking = blocking
        self._tls = tls
        self._random = random.Random(self.scene.seed)  # noqa: S311 - no secret
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="mlaas emulator", daemon=True)

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self.port}"

    @property
    def base_url(self) -> str:
        """What a target has as `base_url`."""
        return self.origin + self.emulator.base

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=32 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == CONTROL:
            return await self._control(request)
        asked = Asked(
            method=request.method,
            url=self.origin,
            target=request.raw_path,
            headers=request.headers,
            body=await request.read(),
            at=time.time(),
        )
        self.asked.append(asked)
        billed = Billed(path=asked.path, asked_at=asked.at, fault=self._fault())
        self.ledger.append(billed)
        if billed.fault == "drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        if billed.fault == "garbage":
            billed.status = 200
            return web.Response(body=HTML, content_type="text/html")
        reply = await self._reply(asked, billed)
        return await self._send(request, reply, billed)

    async def _control(self, request: web.Request) -> web.Response:
        if request.method == "POST":
            self.next.extend(orjson.loads(await request.read())["next"])
        return web.Response(body=orjson.dumps([asdict(one) for one in self.ledger]), content_type="application/json")

    def _fault(self) -> str | None:
        if self.next:
            return self.next.popleft() or None
        drawn = self._random.random()
        for name, share in self.scene.faults.items():
            if (drawn := drawn - share) < 0:
                return name
        return None

    async def _reply(self, asked: Asked, billed: Billed) -> Reply:
        fault = billed.fault
        mind = _withheld(self._mind) if fault == "filtered_answer" else self._mind
        try:
            for kind in KINDS:
                if fault == kind:
                    raise Refusal(kind, f"this emulator was told to say {kind.replace('_', ' ')}")
            if self._blocking:
                reply = await asyncio.to_thread(self._vendor.answer, asked, mind)
            else:
                reply = self._vendor.answer(asked, mind)
        except Refusal as refusal:
            reply = self._vendor.refusal(refusal, asked)
            if refusal.kind == "rate_limited" and self.scene.retry_after is not None:
                reply = replace(reply, headers={**reply.headers, "Retry-After": self.scene.retry_after})
        billed.status, billed.model = reply.status, reply.model
        if reply.answer is not None:
            billed.input_tokens, billed.output_tokens = reply.answer.input_tokens, reply.answer.output_tokens
            billed.cached_tokens, billed.reasoning_tokens = reply.answer.cached_tokens, reply.answer.reasoning_tokens
        return reply

    async def _send(self, request: web.Request, reply: Reply, billed: Billed) -> web.StreamResponse:
        frames = reply.frames
        broken = billed.fault if billed.fault in ("cut", "stall") else None
        size = sum(len(frame.data) for frame in frames)
        response = web.StreamResponse(status=reply.status, headers=dict(reply.headers))
        if len(frames) == 1:
            response.content_length = size
        await self._pause(frames, 0, billed)
        await response.prepare(request)
        for n, data in enumerate(_halved(frames, size) if broken else (frame.data for frame in frames)):
            if n and not broken:
                await self._pause(frames, n, billed)
            step = self.scene.chunk_bytes or len(data) or 1
            for at in range(0, len(data), step):
                await response.write(data[at : at + step])
        if broken == "stall":
            await asyncio.sleep(FOREVER_S)
        if broken == "cut" and request.transport is not None:
            request.transport.close()
            return response
        billed.whole, billed.ended_at = True, time.time()
        await response.write_eof()
        return response

    async def _pause(self, frames: Sequence[Frame], n: int, billed: Billed) -> None:
        """Wait for the tokens of frame `n` to be made; stamp the first."""
        frame = frames[n]
        if not frame.tokens:
            return
        first = billed.first_token_at is None
        made = frame.tokens - 1 if first else frame.tokens
        pause_s = (self.scene.ttft_s if first else 0.0) + (
            made / self.scene.tokens_per_s if self.scene.tokens_per_s else 0
        )
        if pause_s:
            await asyncio.sleep(pause_s)
        if first:
            billed.first_token_at = time.time()


def _withheld(mind: Mind) -> Mind:
    """`mind`, as the vendor's filter lets it through: the beginning is there and billed, the end is not."""

    def filtered(question: Question) -> Answer:
        answer = mind(question)
        return replace(answer, pieces=answer.pieces[: len(answer.pieces) // 2], finish="filter")

    return filtered


def _halved(frames: Sequence[Frame], size: int) -> Iterator[bytes]:
    """The first half of the bytes: at least one, and never the whole."""
    left = max(1, size // 2)
    for frame in frames:
        yield frame.data[:left]
        left -= len(frame.data)
        if left <= 0:
            return
