"""Google's token endpoint, from RFC 7523 and Google's guide to OAuth 2.0 for server to server applications.

Two users are known: a service account, whose key pair is made with the first question, and a person who logged in.
"""

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from mlaas_lab.emulators import Asked, Frame, Reply, practice_key

PROJECT = "emulated-project"
ACCOUNT = f"emulated@{PROJECT}.iam.gserviceaccount.com"
KEY_ID = "emulated-key-1"
CLIENT = "emulated.apps.googleusercontent.com"
AUDIENCES = ("https://oauth2.googleapis.com/token", "https://www.googleapis.com/oauth2/v4/token")
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3599
LONGEST_S = 3600
SKEW_S = 300
"""How far a clock may be off."""


class _Refused(Exception):
    """The token endpoint says no."""

    def __init__(self, error: str, description: str, *, status: int = 400) -> None:
        super().__init__(description)
        self.error, self.description, self.status = error, description, status


@dataclass(kw_only=True)
class Tokens:
    """The tokens of one server, and whom they are given to."""

    _until: dict[str, float] = field(default_factory=dict)
    """Token → when it expires."""

    def good(self, token: str, at: float) -> bool:
        """Whether `token` may be used now."""
        return token == practice_key("GOOGLE_ACCESS_TOKEN") or self._until.get(token, 0) > at

    def files(self, origin: str) -> dict[str, dict[str, str]]:
        """What the two users hold, by the type of credentials."""
        account = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": self._pem,
            "client_email": ACCOUNT,
            "token_uri": f"{origin}/token",
        }
        person = {
            "type": "authorized_user",
            "client_id": CLIENT,
            "client_secret": practice_key("client_secret"),
            "refresh_token": practice_key("refresh_token"),
            "quota_project_id": PROJECT,
        }
        return {"service_account": account, "authorized_user": person}

    def answer(self, asked: Asked) -> Reply:
        """A token, or why there is none."""
        form = {name: values[0] for name, values in parse_qs(asked.body.decode(errors="replace")).items()}
        try:
            grant = form.get("grant_type")
            if grant == GRANT:
                self._check_assertion(form.get("assertion", ""), asked)
            elif grant == "refresh_token":
                self._check_person(form)
            else:
                raise _Refused("unsupported_grant_type", f"Invalid grant_type: {grant or ''}")
        except _Refused as refused:
            return _json({"error": refused.error, "error_description": refused.description}, refused.status)
        token = f"ya29.emulated-{len(self._until)}"
        self._until[token] = asked.at + LASTS_S
        return _json({"access_token": token, "expires_in": LASTS_S, "token_type": "Bearer", "scope": SCOPE})

    @cached_property
    def _key(self) -> Any:
        from cryptography.hazmat.primitives.asymmetric import rsa

        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def _pem(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return str(self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())

    def _check_person(self, form: dict[str, str]) -> None:
        if form.get("client_id") != CLIENT:
            raise _Refused("invalid_client", "The OAuth client was not found.", status=401)
        if form.get("client_secret") != practice_key("client_secret"):
            raise _Refused("invalid_client", "Unauthorized", status=401)
        if form.get("refresh_token") != practice_key("refresh_token"):
            # It says what was sent, so that a client that shows it gives a key away.
            raise _Refused("invalid_grant", f"Token {form.get('refresh_token')} has been expired or revoked.")

    def _check_assertion(self, assertion: str, asked: Asked) -> None:
        try:
            head, claims, signature = assertion.split(".")
            header, claim, signed = json.loads(_decoded(head)), json.loads(_decoded(claims)), _decoded(signature)
            issuer, audience, scope = claim["iss"], claim["aud"], claim["scope"]
            issued, expires = float(claim["iat"]), float(claim["exp"])
        except (ValueError, LookupError, TypeError):
            raise _Refused("invalid_grant", "Invalid JWT: it is not a whole assertion.") from None
        if issuer != ACCOUNT:
            raise _Refused("invalid_grant", "Invalid grant: account not found")
        if header.get("alg") != "RS256" or header.get("kid", KEY_ID) != KEY_ID:
            raise _Refused("invalid_grant", "Invalid JWT Signature.")
        self._verify(f"{head}.{claims}".encode(), signed)
        if audience not in (*AUDIENCES, f"{asked.url}/token"):
            raise _Refused("invalid_grant", "Invalid JWT: Failed audience check.")
        if not (
            asked.at - LONGEST_S < issued <= asked.at + SKEW_S and asked.at - SKEW_S < expires <= issued + LONGEST_S
        ):
            told = "Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
            raise _Refused("invalid_grant", f"Invalid JWT: {told} Check your iat and exp values in the JWT claim.")
        if SCOPE not in str(scope).split():
            raise _Refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")

    def _verify(self, signed: bytes, signature: bytes) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            self._key.public_key().verify(signature, signed, PKCS1v15(), SHA256())
        except InvalidSignature:
            raise _Refused("invalid_grant", "Invalid JWT Signature.") from None


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _json(body: dict[str, Any], status: int = 200) -> Reply:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    return Reply(status=status, headers=headers, frames=[Frame(data=json.dumps(body, indent=2).encode())])
