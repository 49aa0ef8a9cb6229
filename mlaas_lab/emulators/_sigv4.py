"""AWS' side of Signature Version 4: a request is believed if its signature is the one that its secret gives.

Written from AWS' published algorithm (IAM user guide, "Create a signed AWS API request") with nothing but hmac. It
answers a bad one with AWS' own errors, which repeat the canonical request.
"""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from mlaas_lab.emulators import Asked, Refusal, practice_key

SKEW = timedelta(minutes=5)
STAMP = "%Y%m%dT%H%M%SZ"
PROOF = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[^/,]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/aws4_request"
    r",\s*SignedHeaders=(?P<names>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
REGION = re.compile(r"[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-\d")


class Denied(Refusal):
    """AWS' word for what is wrong with a signature."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__("auth", message)
        self.code = code


def verify(asked: Asked, *, service: str, region: str | None = None) -> None:
    """Believe `asked`, signed for `service` and, if one is given, for `region`.

    Raises:
        Denied: if its signature is missing, old, of another key, place or service, or not of this request.
    """
    sent = asked.headers.get("Authorization")
    if not sent:
        raise Denied("MissingAuthenticationTokenException", "Missing Authentication Token")
    found = PROOF.fullmatch(sent)
    if found is None:
        raise Denied("IncompleteSignatureException", f"'{sent}' is not a valid Authorization header.")
    token = asked.headers.get("X-Amz-Security-Token")
    lent = token in (None, practice_key("AWS_SESSION_TOKEN"))
    if found["access"] != practice_key("AWS_ACCESS_KEY_ID") or not lent:
        raise Denied("UnrecognizedClientException", "The security token included in the request is invalid.")
    stamp = _timely(asked, found["day"])
    _scoped(found, service, region)
    names = found["names"].split(";")
    _covered(asked, names)
    canonical = _canonical(asked, names)
    scope = f"{found['day']}/{found['region']}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{_digest(canonical.encode())}"
    if not hmac.compare_digest(_signature(scope, text), found["signature"]):
        raise Denied(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String "
            f"for this request should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{text}'\n",
        )


def _timely(asked: Asked, day: str) -> str:
    stamp = asked.headers.get("X-Amz-Date", "")
    try:
        said = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise Denied("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.") from None
    here = datetime.fromtimestamp(asked.at, UTC)
    if said < here - SKEW:
        edge = f"{here - SKEW:{STAMP}} ({here:{STAMP}} - 5 min.)"
        raise Denied("InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {edge}")
    if said > here + SKEW:
        edge = f"{here + SKEW:{STAMP}} ({here:{STAMP}} + 5 min.)"
        raise Denied("InvalidSignatureException", f"Signature not yet current: {stamp} is still later than {edge}")
    if not stamp.startswith(day):
        raise Denied("InvalidSignatureException", f"Date in Credential scope does not match {stamp[:8]}.")
    return stamp


def _scoped(found: re.Match[str], service: str, region: str | None) -> None:
    if found["service"] != service:
        told = f"Credential should be scoped to correct service: '{service}'."
        raise Denied("InvalidSignatureException", told)
    if region not in (None, found["region"]) or not REGION.fullmatch(found["region"]):
        raise Denied("InvalidSignatureException", "Credential should be scoped to a valid region.")


def _covered(asked: Asked, names: list[str]) -> None:
    """Host and whatever is AWS' own have to be signed."""
    own = {name.lower() for name in asked.headers if name.lower().startswith("x-amz-")}
    missing = sorted({"host", *own} - set(names))
    if missing:
        told = f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization."
        raise Denied("InvalidSignatureException", told)


def _canonical(asked: Asked, names: list[str]) -> str:
    # The path is encoded as it was sent, so its percent signs are encoded once more.
    path = quote(asked.path or "/", safe="/-_.~")
    pairs = sorted(tuple(part.partition("=")[::2]) for part in asked.query.split("&") if part)
    query = "&".join(f"{name}={value}" for name, value in pairs)
    headers = "".join(f"{name}:{' '.join(asked.headers.get(name, '').split())}\n" for name in sorted(names))
    return "\n".join((asked.method, path, query, headers, ";".join(names), _digest(asked.body)))


def _signature(scope: str, text: str) -> str:
    secret = f"AWS4{practice_key('AWS_SECRET_ACCESS_KEY')}".encode()
    for part in scope.split("/"):
        secret = hmac.digest(secret, part.encode(), "sha256")
    return hmac.new(secret, text.encode(), "sha256").hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
