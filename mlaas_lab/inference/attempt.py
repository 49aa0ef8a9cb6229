"""One request on the wire, stamped at five places, and what its failure is called.

The stamp of the connection comes from the connector, because aiohttp's tracing hooks cost a fifth of the throughput. No
text that leaves here holds a key: vendors like to repeat it.
"""

import asyncio
import contextlib
import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import aiohttp
from aiohttp.abc import ResolveResult
from yarl import URL

from mlaas_lab.errors import AuthFailed, CallError, NotFound, ProviderBug, Truncated, Unreachable
from mlaas_lab.inference.retry import asked_s
from mlaas_lab.inference.route import Route
from mlaas_lab.schema import Attempt
from mlaas_lab.signing import Request, blanked
from mlaas_lab.wires import Ending, Fault, Faulted

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "mlaas_lab"}
REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid", "apim-request-id")
CONNECT_S = 10.0
"""A host that has not accepted a connection by then is not there."""
LINGER_S = 0.5
"""How long the rest of a body is waited for after its end mark, so that the connection can be used again."""
MOST_FAULT_BYTES = 2**16
MOST_FAULT_CHARACTERS = 400

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
class Call:
    """One call while it runs: what every attempt sends, and the attempts so far."""

    route: Route
    body: bytes
    stream: bool
    on_delta: Callable[[str], None] | None
    attempts: list[Attempt] = field(default_factory=list)
    running: Stamps | None = None
    shown: bool = False
    """Text was handed out, and cannot be taken back."""


class _Source(Protocol):
    async def readany(self) -> bytes:
        """What has arrived; empty at the end."""


_running: ContextVar[Stamps] = ContextVar("stamps of the attempt that this task makes")


class _Connector(aiohttp.TCPConnector):
    """Stamps the moment when a connection is at hand."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - aiohttp's signature
        connection = await super().connect(req, traces, timeout)
        _running.get().connected_at = now()
        return connection


class _Public(aiohttp.ThreadedResolver):
    """Finds public addresses only: a vendor's name that leads into this network is not followed."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        public = [place for place in found if ipaddress.ip_address(place["host"]).is_global]
        if not public:
            raise OSError(f"{host} leads to a private address")
        return public


def session(*, private: bool) -> aiohttp.ClientSession:
    """Connections for every route that may, or may not, lead to private addresses."""
    connector = _Connector(limit=0, resolver=None if private else _Public())
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=HEADERS
    )


async def exchange(call: Call, stamps: Stamps, http: aiohttp.ClientSession | None) -> tuple[Ending, str]:
    """Send `call` once and read its answer; `http` is None for a provider that answers in this process.

    Raises:
        CallError: whatever went wrong.
    """
    try:
        if http is None:
            return await _read(call, stamps, _InProcess(call, stamps))
        return await _post(call, stamps, http)
    except Faulted as error:
        raise _refused(call.route, error.fault, stamps, None) from None
    except CallError as error:
        error.status, error.request_id = error.status or stamps.status, error.request_id or stamps.request_id
        if not error.message.startswith(call.route.name):
            error.message = _said(call.route, error.message)
        raise
    except (aiohttp.ClientError, OSError, UnicodeError) as error:
        # None: aiohttp's exceptions hold the request's headers, and so the key.
        raise _broken(call.route, error, stamps) from None


async def _post(call: Call, stamps: Stamps, http: aiohttp.ClientSession) -> tuple[Ending, str]:
    route = call.route
    url = route.stream_url if call.stream else route.url
    headers = route.sign.headers(Request(url=url, headers=HEADERS, body=call.body)) if route.sign else None
    _running.set(stamps)
    async with http.post(_url(url), data=call.body, headers=headers, allow_redirects=False) as response:
        stamps.first_byte_at = now()
        stamps.status = response.status
        stamps.request_id = next((response.headers[name] for name in REQUEST_IDS if name in response.headers), None)
        if response.status != 200:
            raise await _failed(route, response, stamps)
        read = await _read(call, stamps, response.content)
        if not response.content.at_eof():
            with contextlib.suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(LINGER_S):
                    await response.content.readany()
        return read


async def _read(call: Call, stamps: Stamps, source: _Source) -> tuple[Ending, str]:
    reader = call.route.provider.wire.reader(call.stream)
    pieces: list[str] = []
    while chunk := await source.readany():
        arrived_at = now()
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
    return ending, "".join(pieces) + ending.text


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


@lru_cache(maxsize=256)
def _url(text: str) -> URL:
    return URL(text, encoded=True)


async def _failed(route: Route, response: aiohttp.ClientResponse, stamps: Stamps) -> CallError:
    """The error behind any status but 200."""
    if 300 <= response.status < 400:
        host = URL(response.headers.get("Location", "")).host or "another path"
        return NotFound(
            f"{route.name}: it redirects to {_said(None, host)}, which is not followed.", status=response.status
        )
    body = b""
    while len(body) < MOST_FAULT_BYTES and (chunk := await response.content.readany()):
        body += chunk
    return _refused(route, route.provider.wire.fault(body), stamps, asked_s(response.headers))


def _refused(route: Route, fault: Fault, stamps: Stamps, retry_after_s: float | None) -> CallError:
    status = stamps.status or 200
    kind = route.provider.error(fault, status)
    shown = fault.status or status
    said = fault.message if shown == 200 else f"{shown} {fault.message}"
    return kind(
        _said(route, said),
        next=_mended(kind, route),
        status=shown,
        code=fault.code,
        retry_after_s=retry_after_s,
        request_id=stamps.request_id,
    )


def _mended(kind: type[CallError], route: Route) -> str | None:
    if kind is not AuthFailed:
        return None
    if route.sign is None:
        return "Name the environment variable with its key: key_env=NAME."
    return f"Check the key in {', '.join(route.sign.keys)}."


def _broken(route: Route, error: Exception, stamps: Stamps) -> CallError:
    """The error behind a connection that failed."""
    told = " ".join(str(error).split()) or type(error).__name__
    kind: type[CallError] = Unreachable
    if isinstance(error, aiohttp.ClientPayloadError) or (stamps.status is not None and isinstance(error, OSError)):
        kind, told = Truncated, "the connection broke within the answer"
    elif isinstance(error, aiohttp.ClientResponseError):
        kind, told = ProviderBug, f"it does not speak HTTP: {error.message}"
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        told = "the connection was closed without an answer"
    elif isinstance(error, TimeoutError):
        told = f"no connection within {CONNECT_S:g} s"
    elif isinstance(error, aiohttp.ClientConnectorError):
        cause = error.os_error
        why = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or str(cause)
        told = f"no connection to {error.host}:{error.port}: {why}"
    return kind(_said(route, told), status=stamps.status, request_id=stamps.request_id)


def _said(route: Route | None, text: str) -> str:
    """Text from outside as one line of ours: short, printable, without a key."""
    text = blanked(text, route.sign) if route else text
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = text if len(text) <= MOST_FAULT_CHARACTERS else text[:MOST_FAULT_CHARACTERS] + "…"
    return f"{route.name}: {text.rstrip('.')}." if route else text
