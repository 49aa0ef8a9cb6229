"""The front's connections to servers: kept for a moment, since a new one costs more than a request."""

import asyncio
from typing import Protocol, cast

from mlaas_lab.fronting import answers
from mlaas_lab.fronting.answers import Answer, Broken
from mlaas_lab.fronting.doors import Address
from mlaas_lab.fronting.heads import MOST_HEAD

CONNECT_S = 5.0
KEEP_S = 2.0
"""A connection unused for so long is closed: before the server does, whose close could cross a request."""


class Asker(Protocol):
    """Who gets an answer."""

    def begin(self, answer: Answer, rest: bytes) -> None:
        """An answer begins, with what is there of its body."""

    def go_on(self, data: bytes) -> None:
        """More of its body."""

    def end(self) -> None:
        """All of it was there."""

    def lose(self, why: str, *, begun: bool) -> None:
        """There will be no more of it."""


class Line(asyncio.Protocol):
    """One connection to one server, for one request at a time."""

    def __init__(self, lines: "Lines", address: Address) -> None:
        """`lines` has it back after each answer."""
        self.address = address
        self.kept_at = 0.0
        """When it was last given back, by the loop's clock."""
        self._lines = lines
        self._asker: Asker | None = None
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._answer: Answer | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    @property
    def stands(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, asker: Asker, request: bytes) -> None:
        """Send a whole request; `asker` hears of the answer."""
        self._asker, self._answer = asker, None
        if self._transport is not None:
            self._transport.write(request)

    def abort(self) -> None:
        """Hang up at once: the server need not go on."""
        self._asker = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """Read no more for now."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Pass on what the server says."""
        asker = self._asker
        if asker is None:  # nobody asked
            self.abort()
            return
        try:
            if self._answer is None:
                self._begin(asker, data)
            else:
                self._go_on(asker, self._answer, data)
        except Broken as error:
            begun = self._answer is not None
            self.abort()
            asker.lose(f"its answer cannot be read: {error}", begun=begun)

    def connection_lost(self, _exc: Exception | None) -> None:
        """What was not over by now is cut."""
        self._lines.forget(self)
        asker, self._asker = self._asker, None
        if asker is not None:
            asker.lose("it hung up", begun=self._answer is not None)

    def _begin(self, asker: Asker, data: bytes) -> None:
        data = self._received + data if self._received else data
        while True:
            end = data.find(b"\r\n\r\n")
            if end < 0:
                if len(data) > MOST_HEAD:
                    raise Broken("its head does not end")
                self._received = data
                return
            answer = answers.read(data[:end])
            data = data[end + 4 :]
            if answer.status >= 200:
                break
        self._received = b""
        size = answer.body.feed(data)
        self._answer = answer
        asker.begin(answer, data[:size])
        self._settle(asker, answer, clean=size == len(data))

    def _go_on(self, asker: Asker, answer: Answer, data: bytes) -> None:
        size = answer.body.feed(data)
        clean = size == len(data)
        asker.go_on(data if clean else data[:size])
        self._settle(asker, answer, clean=clean)

    def _settle(self, asker: Asker, answer: Answer, *, clean: bool) -> None:
        """Give the connection back at the end of the answer; `clean`: and nothing came after it."""
        if not answer.body.done or self._asker is None:
            return
        self._asker = None
        if clean and answer.keeps:
            self._lines.keep(self)
        elif self._transport is not None:
            self._transport.close()
        asker.end()


class Lines:
    """All connections of the front to servers."""

    def __init__(self) -> None:
        """None yet."""
        self._free: dict[Address, list[Line]] = {}

    def free(self, address: Address) -> Line | None:
        """A connection that stands and is not used, the one last used first; its holder gives it back."""
        waiting = self._free.get(address)
        while waiting:
            line = waiting.pop()
            if line.stands:
                return line
        return None

    async def connect(self, address: Address) -> Line:
        """A new one.

        Raises:
            OSError: if nobody listens there, or does not answer in time.
        """
        line, loop = Line(self, address), asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                if isinstance(address, str):
                    await loop.create_unix_connection(lambda: line, address)
                else:
                    await loop.create_connection(lambda: line, *address)
        except asyncio.CancelledError:
            line.abort()
            raise
        return line

    def keep(self, line: Line) -> None:
        """Have it ready for the next request."""
        line.kept_at = asyncio.get_running_loop().time()
        self._free.setdefault(line.address, []).append(line)

    def forget(self, line: Line) -> None:
        """It stands no more."""
        waiting = self._free.get(line.address, [])
        if line in waiting:
            waiting.remove(line)

    def sweep(self, now: float) -> None:
        """Close what was not used for a while; `now` by the loop's clock."""
        for waiting in self._free.values():
            for line in [line for line in waiting if now - line.kept_at > KEEP_S]:
                waiting.remove(line)
                line.abort()
