"""One request on the wire, stamped at five places, with what it leads to: further exchanges, an answer, an error."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp

from mlaas_lab.errors import CallError, ContentFiltered, ProviderBug
from mlaas_lab.inference.connections import DIRECTLY, HEADERS, Answer, Connections, Via
from mlaas_lab.inference.deadline import Silence
from mlaas_lab.inference.failures import Speaker
from mlaas_lab.inference.route import Route
from mlaas_lab.inference.words import origin
from mlaas_lab.schema import Attempt, Exchange
from mlaas_lab.signing import Request
from mlaas_lab.wires import Ending, Faulted, Follow, Reader

REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id")
LINGER_S = 0.5
"""How long the rest of a body is waited for after its end mark, so that the connection can be used again."""
MOST_FAULT_BYTES = 2**16
MOST_FOLLOWED = 10_000
"""Exchanges of one attempt; the call's deadline comes first."""

_EPOCH = time.time() - time.perf_counter()


def now() -> float:
    """UTC in seconds, by a clock that never jumps."""
    return _EPOCH + time.perf_counter()


@dataclass(slots=True, kw_only=True)
class Stamps:
    """An attempt while it runs."""

    started_at: float
    connected_at: float | None = None
    first_byte_at: float | None = None
    first_token_at: float | None = None
    ended_at: float | None = None
    status: int | None = None
    request_id: str | None = None

    def connected(self) -> None:
        """A connection is at hand."""
        self.connected_at = self.connected_at or now()

    def attempt(self, error: str | None = None) -> Attempt:
        """What happened, once it has ended; `error` is its class in snake case."""
        return Attempt(
            started_at=self.started_at,
            connected_at=self.connected_at,
            first_byte_at=self.first_byte_at,
            first_token_at=self.first_token_at,
            ended_at=self.ended_at or now(),
            status=self.status,
            error=error,
        )


@dataclass(slots=True, kw_only=True)
class Line:
    """How one client reaches one route."""

    speaker: Speaker
    http: Connections | None
    """None for a provider that answers in this process."""
    via: Via = DIRECTLY


@dataclass(slots=True, kw_only=True)
class Call:
    """One call while it runs: what every attempt sends, and the attempts so far."""

    route: Route
    body: bytes
    stream: bool
    on_delta: Callable[[str], None] | None
    token: str = ""
    silence: Silence | None = None
    """The watch over a stream."""
    attempts: list[Attempt] = field(default_factory=list)
    running: Stamps | None = None
    shown: bool = False
    """Text was handed out, and cannot be taken back."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the last exchange."""
    chunks: list[bytes] = field(default_factory=list)
    """Of the last exchange."""

    def exchange(self, speaker: Speaker) -> Exchange | None:
        """The last one, as it came but for keys."""
        status = self.running.status if self.running else None
        return None if status is None else speaker.exchange(status, self.headers.items(), b"".join(self.chunks))


class _Source(Protocol):
    async def readany(self) -> bytes:
        """What has arrived; empty at the end."""


async def exchange(call: Call, stamps: Stamps, line: Line) -> tuple[Ending, str]:
    """Send `call` once and read its answer.

    Raises:
        CallError: whatever went wrong.
    """
    speaker = line.speaker
    try:
        reader = call.route.api.wire.reader(call.stream)
        if line.http is None:
            ending, text = await _read(call, stamps, _InProcess(call, stamps), reader)
        else:
            ending, text = await _post(call, stamps, line, reader)
        if isinstance(ending, Follow):
            ending, text = await _followed(call, stamps, line, ending, text)
        return ending, text
    except Faulted as error:
        # The exchange itself went well: what it says is what counts.
        raise speaker.refused(error.fault, status=stamps.status or 200, request_id=stamps.request_id) from None
    except CallError as error:
        error.status, error.request_id = error.status or stamps.status, error.request_id or stamps.request_id
        speaker.named(error)
        raise
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        # None: aiohttp's exceptions hold the request's headers, and so the key.
        raise speaker.broken(error, status=stamps.status, request_id=stamps.request_id) from None


async def _post(call: Call, stamps: Stamps, line: Line, reader: Reader) -> tuple[Ending | Follow, str]:
    route = call.route
    own = route.stream_headers if call.stream else route.headers
    asked = Request(
        url=route.stream_url if call.stream else route.url,
        headers={**HEADERS, **own} if own else HEADERS,
        body=call.body,
        target=route.place,
        at=time.time(),
        token=call.token,
    )
    return await _one(call, stamps, line, asked, own=own, reader=reader)


async def _followed(call: Call, stamps: Stamps, line: Line, ending: Ending | Follow, text: str) -> tuple[Ending, str]:
    """The end of an answer that is elsewhere, or not there yet, and its whole text."""
    route, said = call.route, [text]
    for _ in range(MOST_FOLLOWED):
        if not isinstance(ending, Follow):
            return ending, "".join(said)
        await asyncio.sleep(ending.after_s)
        own = {"Accept": ending.accept}
        asked = Request(
            url=_vouched(ending.url, route),
            headers=own,
            body=b"",
            method="GET",
            target=route.place,
            at=time.time(),
            token=call.token,
        )
        answered_at, status, follow = stamps.ended_at, stamps.status, ending
        try:
            ending, text = await _one(call, stamps, line, asked, own=own, reader=follow.reader)
        except (CallError, aiohttp.ClientError, OSError) as error:
            if follow.whole is None or isinstance(error, ContentFiltered):
                raise
            ending, text, stamps.status = follow.whole, "", status
        if follow.whole is not None:
            stamps.ended_at = answered_at
        said.append(text)
    raise ProviderBug("the answer never ends.")


async def _one(
    call: Call, stamps: Stamps, line: Line, asked: Request, *, own: Mapping[str, str], reader: Reader
) -> tuple[Ending | Follow, str]:
    """One exchange; `own` are the headers that the connection does not send by itself."""
    if line.http is None:
        raise RuntimeError("an exchange needs a connection")
    url, sign = asked.url, call.route.sign
    if sign is not None:
        added = sign.headers(asked, call.route.keys)
        own = {**own, **added} if own else added
        if sign.query is not None:
            url = f"{url}{'&' if '?' in url else '?'}{sign.query(asked, call.route.keys)}"
    async with line.http.request(
        asked.method,
        url,
        headers=own,
        body=asked.body,
        via=line.via,
        connected=stamps.connected,
    ) as response:
        stamps.first_byte_at = stamps.first_byte_at or now()
        stamps.status = response.status
        call.headers = response.headers
        call.chunks = []
        stamps.request_id = _request_id(response.headers)
        if not 200 <= response.status < 300:
            raise await _failed(call, response, line.speaker)
        read = await _read(call, stamps, response.content, reader)
        if not response.content.at_eof():
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(LINGER_S):
                    await response.content.readany()
        return read


def _request_id(headers: Mapping[str, str]) -> str | None:
    """The vendor's own, under the first of the names that it has."""
    for name in REQUEST_IDS:
        if (found := headers.get(name)) is not None:
            return found
    return None


async def _failed(call: Call, response: Answer, speaker: Speaker) -> CallError:
    size = 0
    while size < MOST_FAULT_BYTES and (chunk := await response.content.readany()):
        call.chunks.append(chunk)
        size += len(chunk)
    request_id = call.running.request_id if call.running else None
    return speaker.answered(response, b"".join(call.chunks), request_id)


async def _read(call: Call, stamps: Stamps, source: _Source, reader: Reader) -> tuple[Ending | Follow, str]:
    pieces: list[str] = []
    while chunk := await source.readany():
        arrived_at = now()
        if call.silence is not None:
            call.silence.heard()
        call.chunks.append(chunk)
        for delta in reader.feed(chunk):
            stamps.first_token_at = stamps.first_token_at or arrived_at
            pieces.append(delta.text)
            if call.on_delta is not None:
                call.shown = True
                call.on_delta(delta.text)
        if reader.ended:
            break
    stamps.ended_at = now()
    ending = reader.close()
    return ending, "".join(pieces) + ("" if isinstance(ending, Follow) else ending.text)


def _vouched(url: str, route: Route) -> str:
    """`url`, if the key may go there.

    Raises:
        ProviderBug: if it is anybody else's.
    """
    parts = urlsplit(url)
    vouched = parts.scheme == "https" and any((parts.hostname or "").endswith(end) for end in route.hosts)
    if not vouched and origin(url) != origin(route.url):
        raise ProviderBug(f"the answer is said to be at {parts.hostname}, which is not the vendor's.")
    return url


class _InProcess:
    """Bytes of a provider that answers in this process."""

    def __init__(self, call: Call, stamps: Stamps) -> None:
        reply = call.route.provider.reply
        self._chunks: Iterator[bytes] = reply(call.body) if reply else iter(())
        self._stamps = stamps
        stamps.connected_at = stamps.started_at

    async def readany(self) -> bytes:
        await asyncio.sleep(0)  # others get their turn between two pieces, as they do on a socket
        chunk = next(self._chunks, b"")
        self._stamps.first_byte_at = self._stamps.first_byte_at or now()
        return chunk
