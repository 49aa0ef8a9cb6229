"""What a failure is called: from a status, a body or a broken connection to one error of the tree, in one line.

No text that leaves here holds a key: vendors like to repeat it.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from mlaas_lab.errors import AuthFailed, CallError, NotFound, ProviderBug, Truncated, Unreachable, did_you_mean
from mlaas_lab.inference.connections import CONNECT_S, Answer
from mlaas_lab.inference.retry import asked_s
from mlaas_lab.inference.route import Route
from mlaas_lab.schema import Exchange
from mlaas_lab.signing import blanked
from mlaas_lab.wires import Fault

MOST_CHARACTERS = 400
MOST_OFF_S = 240.0
"""Vendors refuse signatures that are 5 minutes old."""


@dataclass(kw_only=True)
class Speaker:
    """Says what went wrong on one route."""

    route: Route
    secrets: set[str] = field(default_factory=set)
    """Tokens that were exchanged for keys."""

    def line(self, text: str) -> str:
        """Text from outside as one line of ours: short, printable, without a key."""
        return f"{self.route.name}: {plain(self.blanked(text)).rstrip('.')}."

    def blanked(self, text: str) -> str:
        """`text` without any key that requests of this route hold."""
        return blanked(text, self._kept_apart())

    def _kept_apart(self) -> tuple[str, ...]:
        """All that may stand in no text."""
        return (*self._keys(), *self.secrets)

    def _keys(self) -> Iterator[str]:
        sign = self.route.sign
        for name in (*sign.keys, *sign.optional) if sign else ():
            with suppress(AuthFailed):  # one that is not set cannot be shown
                yield self.route.keys(name)

    def exchange(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> Exchange:
        """What came, as it may be kept."""
        secrets = self._kept_apart()
        # Names of headers are a class of their own, which JSON does not take for text.
        kept = tuple((f"{name}", blanked(value, secrets)) for name, value in headers if name.lower() != "set-cookie")
        if secrets:
            # Latin-1 gives every byte back: a body need not be text.
            body = blanked(body.decode("latin-1"), secrets).encode("latin-1")
        return Exchange(status=status, headers=kept, body=body)

    def named(self, error: CallError) -> None:
        """Let an error of a wire say whose it is."""
        if not error.message.startswith(self.route.name):
            error.message = self.line(error.message)

    def refused(
        self, fault: Fault, *, status: int, request_id: str | None = None, retry_after_s: float | None = None
    ) -> CallError:
        """The error behind what the vendor said under HTTP `status`."""
        kind = self.route.api.error(fault, status)
        shown = fault.status or status
        said = fault.message if shown < 300 else f"{shown} {fault.message}"
        return kind(
            self.line(said),
            next=self._mended(kind),
            status=shown,
            code=fault.code,
            retry_after_s=fault.retry_after_s if retry_after_s is None else retry_after_s,
            request_id=request_id,
        )

    def answered(self, response: Answer, body: bytes, request_id: str | None) -> CallError:
        """The error behind a response of any status but success."""
        if 300 <= response.status < 400:
            host = URL(response.headers.get("Location", "")).host or "another path"
            told = f"{self.route.name}: it redirects to {plain(host)}, which is not followed."
            return NotFound(told, status=response.status)
        headers = response.headers
        fault = self.route.api.wire.fault(body, headers)
        error = self.refused(fault, status=response.status, request_id=request_id, retry_after_s=asked_s(headers))
        off_s = clock_off_s(headers) if isinstance(error, AuthFailed) else 0.0
        if abs(off_s) > MOST_OFF_S:
            # Signatures hold the time: a vendor refuses one that seems to come from elsewhen.
            error.next = (
                f"This machine's clock is {abs(off_s) / 60:.0f} minutes {'fast' if off_s > 0 else 'slow'}: set it."
            )
        return error

    def broken(self, error: Exception, *, status: int | None, request_id: str | None) -> CallError:
        """The error behind a connection that failed, under HTTP `status` if there was one."""
        told = " ".join(str(error).split()) or type(error).__name__
        kind: type[CallError] = Unreachable
        if isinstance(error, aiohttp.ClientPayloadError) or (status is not None and isinstance(error, OSError)):
            kind, told = Truncated, "the connection broke within the answer"
        elif isinstance(error, aiohttp.ClientHttpProxyError):
            told = f"the proxy refuses the connection: {error.status} {error.message}"
        elif isinstance(error, aiohttp.ClientResponseError):
            kind, told = ProviderBug, f"it does not speak HTTP: {error.message}"
        elif isinstance(error, aiohttp.ServerDisconnectedError):
            told = "the connection was closed without an answer"
        elif isinstance(error, TimeoutError):
            told = f"no connection within {CONNECT_S:g} s"
        elif isinstance(error, aiohttp.ClientConnectorCertificateError):
            told = f"the certificate of {error.host} is not trusted: {error.certificate_error}"
        elif isinstance(error, aiohttp.ClientConnectorError):
            cause = error.os_error
            why = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or str(cause)
            told = f"no connection to {error.host}:{error.port}: {why}"
        missing = isinstance(error, aiohttp.ClientConnectorDNSError)
        return kind(
            self.line(told), next=self._no_such_region() if missing else None, status=status, request_id=request_id
        )

    def _no_such_region(self) -> str | None:
        """A host that nobody knows may be that of a region that there is not."""
        region, known = self.route.region, self.route.provider.regions
        if region is None or not known or region in known:
            return None
        return f"{region!r} is no region that is known here. {did_you_mean(region, known) or ''}".strip()

    def _mended(self, kind: type[CallError]) -> str | None:
        if kind is not AuthFailed:
            return None
        if self.route.emulated:
            return "An emulator takes the keys that its own targets send: leave out base_url and key_env."
        if self.route.sign is None:
            return "Name the environment variable with its key: key_env=NAME."
        return f"Check the key in {', '.join(self.route.sign.keys)}."


def clock_off_s(headers: Mapping[str, str]) -> float:
    """How many seconds our clock is ahead of the vendor's; 0 when it does not say."""
    try:
        return time.time() - parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0


def plain(text: str) -> str:
    """`text` in one line: short and printable."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
