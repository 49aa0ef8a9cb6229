"""Google's access tokens: one that is at hand, or one for the credentials of a file.

A service account signs a claim with its private key (RFC 7523, section 2.1); what `gcloud auth application-default
login` leaves behind is a refresh token (RFC 6749, section 6). Google's library signs, nothing else of it is used.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from mlaas_lab.errors import AuthFailed
from mlaas_lab.registry import missing_extra
from mlaas_lab.schema import Target
from mlaas_lab.signing import Keys, Request, Sign, Token, TokenExchange, TokenRequest, bearer

TOKEN = "GOOGLE_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
FILE = "GOOGLE_APPLICATION_CREDENTIALS"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3600
"""The longest that Google lets an assertion and its token live."""
BY_HAND = f"Put what `gcloud auth print-access-token` prints in {TOKEN}."


def access_token() -> tuple[Sign, Sign]:
    """A bearer token from the environment, or else one for the credentials in a file."""
    return bearer(TOKEN), Sign(
        keys=(FILE,), headers=_headers, library="google.auth.jwt", exchange=TokenExchange(request=_request, read=_read)
    )


def _headers(request: Request, keys: Keys) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {request.token}"}
    quota = _quota_project(keys(FILE))
    return {**headers, "x-goog-user-project": quota} if quota else headers


@lru_cache(maxsize=8)
def _quota_project(path: str) -> str | None:
    """Who pays for the calls of a person: their file says so."""
    found = _credentials(path).get("quota_project_id")
    return found if isinstance(found, str) and found.isascii() and found.isprintable() else None


def _request(target: Target, keys: Keys, at: float) -> TokenRequest:  # noqa: ARG001 - one token for all of them
    found = _credentials(keys(FILE))
    url = found.get("token_uri") or TOKEN_URL
    if urlsplit(url).scheme != "https":
        raise AuthFailed(f"the file that {FILE} names wants its key sent to {url!r}, which is not https.", next=BY_HAND)
    kind = found.get("type")
    try:
        if kind == "service_account":
            claim = assertion(found, audience=url, at=at)
            return _form(url, {"grant_type": GRANT, "assertion": claim}, secrets=(claim, found["private_key"]))
        if kind == "authorized_user":
            client, secret, token = (str.strip(found[n]) for n in ("client_id", "client_secret", "refresh_token"))
            fields = {"client_id": client, "client_secret": secret, "refresh_token": token}
            return _form(url, {"grant_type": "refresh_token", **fields}, secrets=(secret, token))
    except (LookupError, TypeError):
        raise AuthFailed(f"the file that {FILE} names is not a whole {kind!r} file.", next=BY_HAND) from None
    raise AuthFailed(
        f"the file that {FILE} names holds credentials of type {kind!r}; service_account and authorized_user are read.",
        next=BY_HAND,
    )


def assertion(account: Mapping[str, Any], *, audience: str, at: float) -> str:
    """The claim of a service account to be itself, signed: RS256 over issuer, scope, audience and an hour from `at`.

    Raises:
        AuthFailed: if its private key is none.
        LookupError: if the account is not whole.
        MissingExtra: if Google's library is not installed.
    """
    try:
        from google.auth import crypt, jwt
    except ModuleNotFoundError:
        raise missing_extra("google") from None
    claim = {
        "iat": int(at),
        "exp": int(at) + LASTS_S,
        "iss": account["client_email"],
        "aud": audience,
        "scope": SCOPE,
    }
    try:
        signer = crypt.RSASigner.from_service_account_info(account)  # type: ignore[no-untyped-call]
    except ValueError:
        # None: its message may quote the key.
        raise AuthFailed(f"the private key in the file that {FILE} names cannot be read.", next=BY_HAND) from None
    return str(jwt.encode(signer, claim).decode())  # type: ignore[no-untyped-call]


def _form(url: str, fields: Mapping[str, str], *, secrets: tuple[str, ...]) -> TokenRequest:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return TokenRequest(url=url, body=urlencode(fields).encode(), headers=headers, secrets=secrets)


def _credentials(path: str) -> Mapping[str, Any]:
    """What the file at `path` holds.

    Raises:
        AuthFailed: if it cannot be read.
    """
    try:
        found = json.loads(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise AuthFailed(f"the file that {FILE} names cannot be read: {error.strerror}.", next=BY_HAND) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AuthFailed(f"the file that {FILE} names holds no JSON object.", next=BY_HAND)
    return found


def _read(body: bytes) -> Token:
    found = json.loads(body)
    return Token(value=str(found["access_token"]), lasts_s=float(found["expires_in"]))
