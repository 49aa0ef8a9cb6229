"""IBM Cloud's token issuer, from its documents: an API key for a token in the shape of a JWT, which expires."""

import base64
import hashlib
import hmac
import json
import secrets
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from mlaas_lab.emulators import Asked, Refusal, Reply, practice_key
from mlaas_lab.emulators._openai_chat import json_reply

PATH = "/identity/token"
GRANT = "urn:ibm:params:oauth:grant-type:apikey"
ERRORS = {"auth": (400, "BXNIM0415E"), "rate_limited": (429, "BXNIM0500E"), "overloaded": (503, "BXNIM0501E")}
"""Kind of refusal → HTTP status and code; anything else is a form that is not filled in."""
EXPIRED = "Failed to authenticate the request due to an expired token"


@dataclass(kw_only=True)
class Issuer:
    """Issues tokens and knows them again."""

    key: str
    """Environment variable whose practice key it takes."""
    lasts_s: float = 3600.0
    """Until a token expires, and what is said of it."""
    uses: int | None = None
    """A token is taken so many times and then counts as expired, whatever was said of it; None: until it expires."""
    issued: int = 0
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _used: Counter[str] = field(default_factory=Counter)

    def issue(self, asked: Asked) -> Reply:
        """The reply with a token for the key in the form that `asked` holds."""
        if asked.method != "POST":
            raise Refusal("invalid", "only POST is served here")
        if asked.headers.get("Content-Type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
            raise Refusal("invalid", "Unsupported content type")
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode(errors="replace")).items()}
        if form.get("grant_type") != GRANT:
            raise Refusal("invalid", "Property missing or empty: grant_type")
        if form.get("apikey") != practice_key(self.key):
            raise Refusal("auth", f"Provided API key could not be found: {form.get('apikey', '')}.")
        return self.token(asked.at)

    def token(self, at: float) -> Reply:
        """The reply with a token that was issued at `at`."""
        self.issued += 1
        expires_at = at + self.lasts_s
        claims = {"iam_id": "IBMid-emulated", "iat": int(at), "exp": int(expires_at), "jti": str(self.issued)}
        head = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'emulated'})}.{_part({**claims, 'until': expires_at})}"
        token = {
            "access_token": f"{head}.{self._signed(head)}",
            "refresh_token": "not_supported",
            "token_type": "Bearer",
            "expires_in": int(self.lasts_s),
            "expiration": int(expires_at),
            "scope": "ibm openid",
        }
        return json_reply(token)

    def verify(self, asked: Asked) -> None:
        """Refuse `asked` unless it holds a token of ours that has not expired."""
        scheme, _, token = asked.headers.get("Authorization", "").partition(" ")
        head, _, signature = token.rpartition(".")
        if scheme != "Bearer" or not hmac.compare_digest(self._signed(head), signature):
            raise Refusal("auth", f"Failed to authenticate the request due to invalid token: {token}")
        payload = head.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        self._used[claims["jti"]] += 1
        if asked.at >= claims["until"] or (self.uses is not None and self._used[claims["jti"]] > self.uses):
            raise Refusal("auth", EXPIRED)

    def refused(self, refusal: Refusal, asked: Asked) -> Reply:
        """How the issuer refuses."""
        if refusal.kind not in ERRORS:
            # Nothing of a model's is known here: what is wrong with its request shows in that one.
            try:
                return self.issue(asked)
            except Refusal as own:
                refusal = own
        status, code = ERRORS.get(refusal.kind, (400, "BXNIM0109E"))
        return json_reply({"errorCode": code, "errorMessage": refusal.message, "context": {}}, status=status)

    def _signed(self, head: str) -> str:
        return _text(hmac.digest(self._secret, head.encode(errors="replace"), hashlib.sha256))


def _part(data: dict[str, Any]) -> str:
    return _text(json.dumps(data).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
