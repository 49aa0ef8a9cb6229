"""One connection of a program that asks: a request at a time, each answered in its turn."""

import asyncio
import math
from functools import partial
from typing import cast

from mlaas_lab.errors import StoreError
from mlaas_lab.fronting import heads, routes
from mlaas_lab.fronting.answers import Answer
from mlaas_lab.fronting.directory import SOON_S, Directory
from mlaas_lab.fronting.doors import Door
from mlaas_lab.fronting.first_tokens import FirstTokens, Timing
from mlaas_lab.fronting.guard import Guard
from mlaas_lab.fronting.heads import Head, bad
from mlaas_lab.fronting.naming import Body
from mlaas_lab.fronting.refusals import Refused, answer
from mlaas_lab.fronting.servers import Line, Lines

MOST_CALLERS = 1_000
HEAD_S = 10.0
"""For a whole head, from its first byte."""
BODY_S = 60.0
"""For a whole body."""
IDLE_S = 75.0
"""Between two requests."""
STALL_S = 120.0
"""For a caller to take what it was sent."""
LINGER_S = 1.0
"""What a caller still sends after a refusal is read for so long, or it would not see the refusal."""
MOST_AHEAD = heads.MOST_HEAD
"""Bytes of further requests that may come before the answer."""


class Desk:
    """What all callers of a front share."""

    def __init__(self, *, guard: Guard, directory: Directory, queue_s: float) -> None:
        """`queue_s`: how long a request may wait for its endpoint, in seconds."""
        self.guard = guard
        self.directory = directory
        self.queue_s = queue_s
        self.first_tokens = FirstTokens()
        self.lines = Lines()
        self.callers: set[Caller] = set()
        self.wanted: dict[str, float] = {}
        """When a request last went to a job, or was under way, by the loop's clock."""

    def sweep(self) -> None:
        """Let go of who is too slow, and of connections that nobody uses."""
        now = asyncio.get_running_loop().time()
        self.lines.sweep(now)
        self.wanted |= {caller.job_id: now for caller in self.callers if caller.busy and caller.job_id}
        for caller in [caller for caller in self.callers if caller.deadline < now]:
            caller.expire()


class Caller(asyncio.Protocol):
    """A program, from its connection to its going away."""

    def __init__(self, desk: Desk) -> None:
        """`desk` is where its requests go."""
        self.deadline = math.inf
        """When to let go of it, by the loop's clock."""
        self.busy = False
        """A request of it is being answered."""
        self.job_id = ""
        """Whose server answers, or answered last."""
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._head: Head | None = None
        """Of the request whose body is awaited, or that is being answered."""
        self._door: Door | None = None
        """Of that request, once it was passed on."""
        self._asked_at = 0.0
        """When it was whole, by the loop's clock."""
        self._timing: Timing | None = None
        self._line: Line | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving = False
        """Nothing more it says counts."""
        self._stalled = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self._transport = cast("asyncio.Transport", transport)
        self.deadline = self._loop.time() + HEAD_S
        if len(self._desk.callers) >= MOST_CALLERS:
            self._refuse(Refused(503, "too many connections.", code="too_busy", retry_after_s=SOON_S), closes=True)
        self._desk.callers.add(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """It is gone: nobody need go on for it."""
        self._desk.callers.discard(self)
        self._leaving = True
        if self._task is not None:
            self._task.cancel()
        if self._line is not None:
            self._line.abort()
            self._line = None

    def data_received(self, data: bytes) -> None:
        """Read on, unless its last request is still being answered."""
        if self._leaving:
            return
        if not self._received and not self.busy and self._head is None:
            self.deadline = self._loop.time() + HEAD_S
        self._received += data
        if not self.busy:
            self._read()
        elif len(self._received) > MOST_AHEAD:
            self._transport.abort()

    def pause_writing(self) -> None:
        """It takes no more for now; so the server need not send more."""
        self._stalled = True
        self.deadline = self._loop.time() + STALL_S
        if self._line is not None:
            self._line.pause()

    def resume_writing(self) -> None:
        """It takes on."""
        self._stalled = False
        if self.busy:
            self.deadline = math.inf
        if self._line is not None:
            self._line.resume()

    def expire(self) -> None:
        """Its time is over."""
        if not self._leaving and not self.busy and (self._received or self._head is not None):
            self._refuse(Refused(408, "the request did not come in time.", code="timeout"), closes=True)
        else:
            self._transport.abort()

    def leave(self) -> None:
        """End the connection, if nothing is being answered."""
        if not self.busy:
            self._transport.close()

    def begin(self, answer: Answer, rest: bytes) -> None:
        """Its answer begins."""
        ends = b"connection: close\r\n\r\n" if self._head is None or self._head.closes else b"\r\n"
        self._transport.write(b"%s%s%s" % (answer.head, ends, rest))
        self._timing = self._desk.first_tokens.timing(self._door, self._asked_at, answer)
        if self._timing is not None and self._timing.over(rest):
            self._timing = None

    def go_on(self, data: bytes) -> None:
        """More of its answer, as it comes."""
        self._transport.write(data)
        if self._timing is not None and self._timing.over(data):
            self._timing = None

    def end(self) -> None:
        """Its answer is over."""
        if self._stalled and self._line is not None:
            self._line.resume()
        self._line = None
        self._next(closes=self._head is None or self._head.closes)

    def lose(self, why: str, *, begun: bool) -> None:
        """Its answer was cut, and shows as cut: the connection ends before the end that was promised."""
        self._line = None
        if not begun:
            self._answer_refused(Refused(502, f"the endpoint's server did not answer: {why}.", code="no_answer"))
            return
        self._leaving = True
        self.deadline = self._loop.time() + STALL_S
        self._transport.close()

    def _read(self) -> None:
        """Take what is whole."""
        try:
            while (self._received or self._head) and not self.busy and not self._leaving:
                if self._head is None and not self._take_head():
                    return
                head = self._head
                if head is None or len(self._received) < head.length:
                    return
                body = bytes(memoryview(self._received)[: head.length])
                del self._received[: head.length]
                self._ask(head, body)
        except Refused as refused:
            self._refuse(refused, closes=True)

    def _take_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or end > heads.MOST_HEAD:
            if len(self._received) > heads.MOST_HEAD:
                raise Refused(431, f"the headers have more than {heads.MOST_HEAD} bytes.", code="headers_too_large")
            if self._received.count(b"\n") != self._received.count(b"\r\n"):
                raise bad("a line ends without a carriage return")
            return False
        head = heads.read(bytes(self._received[:end]))
        self._head = head
        del self._received[: end + 4]
        self._desk.guard.check(head)
        routes.check(head)
        self.deadline = self._loop.time() + BODY_S
        if head.fields.get(b"expect", b"").lower() == b"100-continue" and len(self._received) < head.length:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _ask(self, head: Head, body: bytes) -> None:
        """Pass a whole request on, now or once its endpoint answers."""
        self.busy, self.deadline, self._asked_at = True, math.inf, self._loop.time()
        try:
            if head.path not in routes.ASKED:
                self._say(answer(200, routes.listing(self._desk.directory.listed(), head.path), closes=head.closes))
                return
            asked = Body(body)
            door = self._desk.directory.open(asked.model)
            if door is None:
                self._task = self._loop.create_task(self._later(head, asked))
            else:
                self._forward(door, head, asked)
        except Refused as refused:
            self._answer_refused(refused)

    async def _later(self, head: Head, asked: Body, *, gone: Door | None = None) -> None:
        """Pass it on once its endpoint answers; `gone` is where nobody listens."""
        try:
            woke = partial(self._desk.first_tokens.woke, at=self._asked_at)
            door = await self._desk.directory.ready(asked.model, within_s=self._desk.queue_s, woke=woke)
            if gone is not None and gone.address == door.address:
                words = f"endpoint {door.name!r} takes no connections. See why: mlaas logs {door.job_id}"
                raise Refused(503, words, code="unreachable", state="unreachable", retry_after_s=1)
            self._forward(door, head, asked)
        except Refused as refused:
            self._answer_refused(refused)
        except StoreError as error:
            self._answer_refused(Refused(503, str(error), code="store", retry_after_s=SOON_S))

    def _forward(self, door: Door, head: Head, asked: Body) -> None:
        routes.answered(door, head.path)
        self._door, self.job_id = door, door.job_id
        self._desk.wanted[door.job_id] = self._loop.time()
        body = asked.naming(door.model)
        size = b"content-length: %d\r\n\r\n" % len(body)
        start = b"POST %s%s HTTP/1.1\r\n" % (door.path(head.path), head.query)
        request = b"".join((start, door.lines, head.passed, size, body))
        line = self._desk.lines.free(door.address)
        if line is None:
            self._task = self._loop.create_task(self._connect(door, head, asked, request))
        else:
            self._send(line, request)

    async def _connect(self, door: Door, head: Head, asked: Body, request: bytes) -> None:
        try:
            line = await self._desk.lines.connect(door.address)
        except OSError:
            await self._later(head, asked, gone=door)
        else:
            self._send(line, request)

    def _send(self, line: Line, request: bytes) -> None:
        self._line = line
        if self._stalled:
            line.pause()
        line.ask(self, request)

    def _answer_refused(self, refused: Refused) -> None:
        """Say no to a request that was read whole: the connection stays."""
        head = self._head
        closes = head is None or head.closes
        self._say(refused.answer(b"" if head is None else head.path, closes=closes))

    def _say(self, data: bytes) -> None:
        self._transport.write(data)
        self._next(closes=self._head is None or self._head.closes)

    def _next(self, *, closes: bool) -> None:
        """Go on to its next request, or end."""
        self.busy, self._head, self._task, self._door, self._timing = False, None, None, None, None
        if closes:
            self._leaving = True
            self.deadline = self._loop.time() + STALL_S
            self._transport.close()
            return
        self.deadline = self._loop.time() + IDLE_S
        if self._received:
            self._loop.call_soon(self._read)

    def _refuse(self, refused: Refused, *, closes: bool) -> None:
        """Say no to a request that was not read whole, and end: where the next one begins is not known."""
        path = b"" if self._head is None else self._head.path
        self._leaving = True
        self._received.clear()
        self._transport.write(refused.answer(path, closes=closes))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self.deadline = self._loop.time() + LINGER_S
