"""Tencent Cloud's signature, TC3-HMAC-SHA256: the body, the content type and the host are signed, for one day.

Written from Tencent's description of API 3.0 signatures (version 3). The vendor takes a timestamp that is at most five
minutes off, so a clock that is wrong is refused.
"""

import hashlib
import hmac
import time
from urllib.parse import urlsplit

from mlaas_lab.errors import AuthFailed
from mlaas_lab.signing import Keys, Request, Sign

ALGORITHM = "TC3-HMAC-SHA256"
SIGNED = "content-type;host"
PORTS = {"http": 80, "https": 443}


def tc3(service: str) -> Sign:
    """The signature for `service`, with the keys that Tencent's own tools read; a temporary pair has a token too."""

    def headers(request: Request, keys: Keys) -> dict[str, str]:
        secret_id, secret_key = keys("TENCENTCLOUD_SECRET_ID"), keys("TENCENTCLOUD_SECRET_KEY")
        added = {
            "X-TC-Timestamp": str(int(request.at)),
            "Authorization": authorization(request, service, secret_id, secret_key),
        }
        try:
            return {**added, "X-TC-Token": keys("TENCENTCLOUD_TOKEN")}
        except AuthFailed:  # a lasting pair of keys has none
            return added

    return Sign(
        keys=("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"), headers=headers, optional=("TENCENTCLOUD_TOKEN",)
    )


def authorization(request: Request, service: str, secret_id: str, secret_key: str) -> str:
    """The header `Authorization` of `request`, whose time of leaving is signed in whole seconds."""
    at = int(request.at)
    day = time.strftime("%Y-%m-%d", time.gmtime(at))
    scope = f"{day}/{service}/tc3_request"
    told = f"{ALGORITHM}\n{at}\n{scope}\n{hashlib.sha256(_canonical(request)).hexdigest()}"
    secret = f"TC3{secret_key}".encode()
    for word in (day, service, "tc3_request"):
        secret = hmac.digest(secret, word.encode(), "sha256")
    signature = hmac.digest(secret, told.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"


def _canonical(request: Request) -> bytes:
    """The request as both sides write it down: the query stands there as it was sent."""
    parts = urlsplit(request.url)
    query = "" if request.method == "POST" else parts.query
    kind = next(value for name, value in request.headers.items() if name.lower() == "content-type")
    lines = (
        request.method,
        parts.path or "/",
        query,
        f"content-type:{kind}",
        f"host:{_host(request.url)}",
        "",
        SIGNED,
        hashlib.sha256(request.body).hexdigest(),
    )
    return "\n".join(lines).encode()


def _host(url: str) -> str:
    """What the header `Host` will say: the port only where it is not the scheme's own."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.port in (None, PORTS.get(parts.scheme)) else f"{host}:{parts.port}"
