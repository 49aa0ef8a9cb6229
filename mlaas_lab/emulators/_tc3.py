"""Tencent Cloud's check of a signed request, from its published description of signatures of version 3.

Canonical request, string to sign, key derived by day, service and `tc3_request`; a timestamp is good for five minutes.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime

from mlaas_lab.emulators import Asked, Refusal, practice_key

SKEW_S = 300
AUTHORIZATION = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/ ]+)/(?P<day>\d{4}-\d\d-\d\d)/(?P<service>[a-z0-9-]+)/tc3_request, ?"
    r"SignedHeaders=(?P<signed>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


class Unsigned(Refusal):
    """The signature is not good; `code` is Tencent's for what is wrong with it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__("auth", message)
        self.code = f"AuthFailure.{code}"


def verify(asked: Asked, service: str) -> None:
    """Refuse what is not signed by the practice keys, for this service, today, with this body."""
    found = AUTHORIZATION.fullmatch(asked.headers.get("Authorization", ""))
    if found is None:
        raise Unsigned("InvalidAuthorization", "The Authorization header does not conform to the standard.")
    if found["id"] != practice_key("TENCENTCLOUD_SECRET_ID"):
        raise Unsigned("SecretIdNotFound", "The SecretId is not found, please ensure that your SecretId is correct.")
    stamp = asked.headers.get("X-TC-Timestamp", "")
    if not stamp.isdecimal() or abs(asked.at - int(stamp)) > SKEW_S:
        raise Unsigned("SignatureExpire", "The timestamp is more than five minutes off the server's time.")
    names = found["signed"].split(";")
    if names != sorted(names) or not {"content-type", "host"} <= set(names):
        raise Unsigned("InvalidAuthorization", "content-type and host must be signed, in this order.")
    day = datetime.fromtimestamp(int(stamp), tz=UTC).date().isoformat()
    if (found["day"], found["service"]) != (day, service):
        raise Unsigned("SignatureFailure", "The credential scope does not match the request.")
    told = "\n".join(("TC3-HMAC-SHA256", stamp, f"{day}/{service}/tc3_request", _digest(_canonical(asked, names))))
    if not hmac.compare_digest(_signature(day, service, told), found["signature"]):
        raise Unsigned("SignatureFailure", "The provided credentials could not be validated.")


def _canonical(asked: Asked, names: list[str]) -> bytes:
    query = "" if asked.method == "POST" else asked.query
    # Values are trimmed and taken in lower case, as the description says.
    headers = "".join(f"{name}:{asked.headers.get(name, '').strip().lower()}\n" for name in names)
    return "\n".join((asked.method, "/", query, headers, ";".join(names), _digest(asked.body))).encode()


def _signature(day: str, service: str, told: str) -> str:
    secret_date = _keyed(f"TC3{practice_key('TENCENTCLOUD_SECRET_KEY')}".encode(), day)
    secret_signing = _keyed(_keyed(secret_date, service), "tc3_request")
    return _keyed(secret_signing, told).hex()


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
