"""Tokens that keys are exchanged for: once for many calls, and again before they expire."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from mlaas_lab.errors import CallError
from mlaas_lab.inference.connections import Connections, Via
from mlaas_lab.inference.failures import Speaker
from mlaas_lab.inference.network import between
from mlaas_lab.inference.route import Route
from mlaas_lab.signing import TokenExchange, TokenRequest
from mlaas_lab.wires import Fault

EARLY_S = 60.0
"""A token is not used in its last minute: the call may take as long."""
MOST_BYTES = 2**16


@dataclass(kw_only=True)
class _Kept:
    value: str
    until: float


@dataclass(kw_only=True)
class Tokens:
    """The tokens of one client."""

    _kept: dict[str, _Kept] = field(default_factory=dict)
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)

    async def token(self, speaker: Speaker, http: Connections) -> str:
        """The token for the route of `speaker`; empty where none is needed.

        Raises:
            AuthFailed: if the keys are refused.
            CallError: if nobody can be asked.
        """
        route = speaker.route
        exchange = route.sign.exchange if route.sign else None
        if exchange is None:
            return ""
        name = route.name
        async with self._turns.setdefault(name, asyncio.Lock()):
            kept = self._kept.get(name)
            at = time.time()
            if kept is None or kept.until <= at:
                kept = self._kept[name] = await _exchanged(exchange, speaker, http, at)
        speaker.secrets.add(kept.value)
        return kept.value

    def refused(self, route: Route, token: str) -> bool:
        """A vendor refused `token` before its time: forget it. Whether there was one, and another may be tried for."""
        kept = self._kept.get(route.name)
        # Of many calls at once, the first has it renewed: the others find a new one here, which is good.
        if kept is not None and kept.value == token:
            del self._kept[route.name]
        return bool(token)


async def _exchanged(exchange: TokenExchange, speaker: Speaker, http: Connections, at: float) -> _Kept:
    route = speaker.route
    try:
        asked = exchange.request(route.place, route.keys, at)
    except CallError as error:
        speaker.named(error)
        raise
    speaker.secrets.update(asked.secrets)
    if route.emulated:
        asked = replace(asked, url=_at_emulator(asked.url, route.url))
    body, status = await _sent(asked, speaker, http)
    if status != 200:
        fault = route.api.wire.fault(body, {})
        raise speaker.refused(fault, status=401 if status in (400, 403) else status)
    try:
        token = exchange.read(body)
    except (LookupError, TypeError, ValueError):
        raise speaker.refused(Fault(message="no token came for the key"), status=200) from None
    return _Kept(value=token.value, until=at + max(token.lasts_s - EARLY_S, token.lasts_s / 2))


async def _sent(asked: TokenRequest, speaker: Speaker, http: Connections) -> tuple[bytes, int]:
    try:
        async with http.request(
            asked.method,
            asked.url,
            body=asked.body,
            headers=asked.headers,
            via=Via(between(asked.url, private=speaker.route.private), socket=speaker.route.socket),
        ) as response:
            body = b""
            while len(body) < MOST_BYTES and (chunk := await response.content.readany()):
                body += chunk
            return body, response.status
    except (aiohttp.ClientError, OSError) as error:
        # None: aiohttp's exceptions hold the request's headers.
        raise speaker.broken(error, status=None, request_id=None) from None


def _at_emulator(url: str, emulator: str) -> str:
    here = urlsplit(emulator)
    return urlunsplit(urlsplit(url)._replace(scheme=here.scheme, netloc=here.netloc))
