"""Whom connections lead to: who is found, who is trusted, and which proxy stands between. TLS is always checked.

What the environment says of proxies (`https_proxy`, `no_proxy`) and of certificates (`SSL_CERT_FILE` and its kin) is
kept. A target that is not said to be private is never followed to a private address.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from mlaas_lab.environment import certificates, proxy
from mlaas_lab.errors import UsageError
from mlaas_lab.inference.connections import Connections


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


def connections(*, private: bool, trusted: ssl.SSLContext | bool) -> Connections:
    """For every route that may, or may not, lead to private addresses; `trusted` is from `authorities`."""
    return Connections(trusted=trusted, resolver=None if private else _Public())


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
