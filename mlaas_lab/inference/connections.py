"""Requests on aiohttp's connections, without aiohttp's session, which costs five times what all the rest of it costs.

aiohttp finds a host, trusts it, goes through a proxy, keeps connections and reads the answer; what is asked is written
here, as bytes. Nothing is followed, kept or tried again but a GET whose connection the server had closed meanwhile.
"""

import asyncio
import re
import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from mlaas_lab.errors import InvalidRequest

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "mlaas_lab"}
"""What every request says unless it says otherwise."""
CONNECT_S = 10.0
"""A host that has not accepted a connection by then is not there."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
_ALWAYS = {"Accept": "*/*", **HEADERS}
_FIELD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*")
"""A header on one line: what would end early would begin another."""


class Via(NamedTuple):
    """How to get to a host."""

    proxy: str | None = None
    """Between here and there."""
    trust: ssl.SSLContext | bool = True
    """Whom to trust instead of those that the connections trust."""
    socket: str | None = None
    """Path of a Unix socket, which leads to one server whatever the address says."""


DIRECTLY = Via()


class Connections:
    """Connections of one event loop, kept for the next request."""

    def __init__(self, *, trusted: ssl.SSLContext | bool = True, resolver: AbstractResolver | None = None) -> None:
        """None yet; `trusted` says whom to trust, and `resolver` which hosts there are."""
        self._connectors: dict[str | None, aiohttp.BaseConnector] = {
            None: aiohttp.TCPConnector(limit=0, resolver=resolver, ssl=trusted)
        }
        """By the path of a Unix socket; those of all ports are at None."""
        self._ways: dict[tuple[URL, Via], aiohttp.ClientRequest] = {}

    async def close(self) -> None:
        """Close them all."""
        for connector in self._connectors.values():
            await connector.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        via: Via = DIRECTLY,
        connected: Callable[[], None] | None = None,
    ) -> "Answer":
        """A request that goes out when its block is entered.

        Args:
            method: GET or POST.
            url: where to, percent-encoded.
            headers: what it says beside HEADERS, or instead.
            body: of a POST.
            via: how to get there.
            connected: called when a connection is at hand.

        Raises:
            InvalidRequest: if a header would not stay on its line.
        """
        place, host, path = _parted(url)
        way = self._way(place, via)
        if via.proxy is not None and not way.is_ssl():
            path, headers = url, {**headers, **_at_proxy(way)}
        head = _head(method, path, host, headers, len(body) if method == "POST" else None)
        return Answer(self._connector(via.socket), way, head + body, again=method == "GET", connected=connected)

    def _connector(self, path: str | None) -> aiohttp.BaseConnector:
        if path not in self._connectors:
            self._connectors[path] = aiohttp.UnixConnector(str(path), limit=0)
        return self._connectors[path]

    def _way(self, place: URL, via: Via) -> aiohttp.ClientRequest:
        """Where to connect, as the connector wants to be told: made once, since it costs as much as a call."""
        way = self._ways.get((place, via))
        if way is None:
            proxy = URL(via.proxy) if via.proxy else None
            way = aiohttp.ClientRequest("POST", place, loop=asyncio.get_running_loop(), proxy=proxy, ssl=via.trust)
            self._ways[place, via] = way
        return way


class Answer:
    """What is answered, while its block runs; then the connection is kept, if all of the answer was read."""

    status: int
    headers: Mapping[str, str]
    content: aiohttp.StreamReader

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        way: aiohttp.ClientRequest,
        request: bytes,
        *,
        again: bool,
        connected: Callable[[], None] | None,
    ) -> None:
        """`request` is asked `again` of another connection, should the server have closed this one before it came."""
        self._connector, self._way, self._request = connector, way, request
        self._again, self._connected = again, connected

    async def __aenter__(self) -> Self:
        """The answer has begun.

        Raises:
            aiohttp.ClientError, OSError: if there is none.
        """
        connection = await self._connect()
        try:
            await self._ask(connection)
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            if not self._again:
                raise
            await self._ask(await self._connect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        transport = self._connection.transport
        if transport is not None and transport.get_write_buffer_size():
            self._connection.close()  # it answered before it had heard all
        else:
            self._connection.release()  # which closes it if anything of the answer is left

    async def _connect(self) -> Connection:
        self._connection = await self._connector.connect(self._way, [], _TIMEOUT)
        if self._connected is not None:
            self._connected()
        return self._connection

    async def _ask(self, connection: Connection) -> None:
        try:
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None:
                raise aiohttp.ServerDisconnectedError
            protocol.set_response_params(read_until_eof=True)
            transport.write(self._request)
            message, self.content = await protocol.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, self.content = await protocol.read()
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                self._way.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise
        self.status, self.headers = message.code, message.headers


@lru_cache(maxsize=256)
def _parted(url: str) -> tuple[URL, str, str]:
    """Where to connect, what the request calls the host, and the path."""
    whole = URL(url, encoded=True)
    return whole.origin(), whole.host_port_subcomponent or "", whole.raw_path_qs


def _head(method: str, path: str, host: str, headers: Mapping[str, str], length: int | None) -> bytes:
    fields = _ALWAYS_SAID
    if headers:
        said = {name.lower() for name in headers}
        fields = "".join(_field(name, value) for name, value in _ALWAYS.items() if name.lower() not in said)
        fields += "".join(_field(name, value) for name, value in headers.items())
    if length is not None:
        fields += f"Content-Length: {length}\r\n"
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n".encode()


def _field(name: str, value: str) -> str:
    """A header on its line."""
    field = f"{name}: {value}"
    if _FIELD.fullmatch(field) is None:
        raise InvalidRequest(f"the header {name} cannot be sent: its value is not on one line.")
    return f"{field}\r\n"


_ALWAYS_SAID = "".join(_field(name, value) for name, value in _ALWAYS.items())


def _at_proxy(way: aiohttp.ClientRequest) -> dict[str, str]:
    """Who asks a proxy that reads the request itself."""
    if way.proxy is None or way.proxy.user is None:
        return {}
    told = f"{way.proxy.user}:{way.proxy.password or ''}"
    return {"Proxy-Authorization": f"Basic {b64encode(told.encode()).decode()}"}
