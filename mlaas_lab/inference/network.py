"""Connections: who is found, who is trusted, and which proxy stands between. TLS is always checked.

What the environment says of proxies (`https_proxy`, `no_proxy`) and of certificates (`SSL_CERT_FILE` and its kin) is
kept. A target that is not said to be private is never followed to a private address.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from mlaas_lab.environment import certificates, proxy
from mlaas_lab.errors import UsageError

HEADERS = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "mlaas_lab"}
CONNECT_S = 10.0
"""A host that has not accepted a connection by then is not there."""


class Connecting(Protocol):
    """Who wants to know when a connection is at hand."""

    def connected(self) -> None:
        """Now."""


running: ContextVar[Connecting] = ContextVar("the attempt that this task makes")


class _Connector(aiohttp.TCPConnector):
    """Stamps the moment when a connection is at hand."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:  # noqa: ASYNC109 - aiohttp's signature
        connection = await super().connect(req, traces, timeout)
        running.get().connected()
        return connection


class _Public(aiohttp.ThreadedResolver):
    """Finds public addresses only: a vendor's name that leads into this network is not followed."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        # A proxy of this user may well be in this network: it is the user's word, not the vendor's.
        if host in _proxies():
            return found
        public = [place for place in found if ipaddress.ip_address(place["host"]).is_global]
        if not public:
            raise OSError(f"{host} leads to a private address")
        return public


def session(*, private: bool, trusted: ssl.SSLContext | bool) -> aiohttp.ClientSession:
    """Connections for every route that may, or may not, lead to private addresses; `trusted` is from `authorities`."""
    connector = _Connector(limit=0, resolver=None if private else _Public(), ssl=trusted)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    return aiohttp.ClientSession(
        connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), headers=HEADERS
    )


def between(url: str, *, private: bool) -> str | None:
    """The proxy that stands between us and `url`; a private address is reached directly."""
    return None if private else proxy(url)


def _proxies() -> set[str | None]:
    return {urlsplit(found).hostname for scheme in ("http", "https") if (found := proxy(f"{scheme}://vendor.example"))}


def trust(authority: Path | None) -> ssl.SSLContext | bool:
    """Whom to trust beyond the session: an emulator's own authority, at its own address."""
    return ssl.create_default_context(cafile=authority) if authority is not None and authority.is_file() else True


async def authorities() -> ssl.SSLContext | bool:
    """Whom to trust: the certificates that the environment names, or the system's.

    A bundle takes 50 ms to read. It is read once, and by a thread: on the loop, every call would wait for it.

    Raises:
        UsageError: if the environment names certificates that cannot be read.
    """
    bundle = certificates()
    if bundle is None:
        return True
    try:
        key = bundle, os.stat(bundle).st_mtime_ns
        if key not in _read:
            _read[key] = await asyncio.to_thread(ssl.create_default_context, cafile=bundle)
        return _read[key]
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the certificates in {bundle} cannot be read: {error}.", next="Mend SSL_CERT_FILE.") from None


_read: dict[tuple[str, int], ssl.SSLContext] = {}
"""By path and when it changed, so that a changed bundle is another one."""
