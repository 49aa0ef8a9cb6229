"""AWS Signature Version 4, by botocore: keys from the environment, the region from the target.

Profiles and roles are not read: `aws configure export-credentials --format env` writes them as these variables.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from mlaas_lab.errors import AuthFailed, CallError, InvalidRequest
from mlaas_lab.signing import Keys, Request, Sign

ACCESS, SECRET, SESSION = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
UNSIGNED = ("accept-encoding", "user-agent")
"""Headers that a proxy may write anew."""

REFUSED: Mapping[str, type[CallError]] = dict.fromkeys(
    (
        *("AccessDeniedException", "ExpiredTokenException", "IncompleteSignatureException"),
        *("InvalidClientTokenId", "InvalidSignatureException", "MissingAuthenticationTokenException"),
        *("SignatureDoesNotMatch", "UnrecognizedClientException"),
    ),
    AuthFailed,
)
"""How AWS calls what is wrong with a signature or its keys."""


@dataclass(frozen=True, slots=True)
class _Credentials:
    access_key: str
    secret_key: str
    token: str | None


def _headers(request: Request, keys: Keys, *, service: str) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    region = request.target.get("region")
    if region is None:
        raise InvalidRequest("the signature covers the region, and there is none.", next="Write ?region=us-east-1.")
    token = None
    with suppress(AuthFailed):  # only keys that are lent have one
        token = keys(SESSION)
    stamp = datetime.fromtimestamp(request.at, UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": stamp, **({"X-Amz-Security-Token": token} if token else {})}
    signed = {name: value for name, value in request.headers.items() if name.lower() not in UNSIGNED}
    asked = AWSRequest(method=request.method, url=request.url, data=request.body, headers={**signed, **added})
    asked.context["timestamp"] = stamp
    auth = SigV4Auth(_Credentials(keys(ACCESS), keys(SECRET), token), service, region)
    # Not add_auth: it reads the clock by itself, and logs the session token.
    canonical = auth.canonical_request(asked)
    text, names = auth.string_to_sign(asked, canonical), canonical.rsplit("\n", 2)[1]
    proof = f"Credential={auth.scope(asked)}, SignedHeaders={names}, Signature={auth.signature(text, asked)}"
    return {**added, "Authorization": f"AWS4-HMAC-SHA256 {proof}"}


def sigv4(service: str) -> Sign:
    """The signature of requests to AWS' `service`, by its signing name."""
    return Sign(
        keys=(ACCESS, SECRET), optional=(SESSION,), headers=partial(_headers, service=service), library="botocore.auth"
    )
