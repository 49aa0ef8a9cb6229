"""Google's token endpoint believes nothing but a whole, timely assertion with the account's own signature."""

import base64
import json
from urllib.parse import urlencode

import pytest

from mlaas_lab.emulators import Asked
from mlaas_lab.emulators._google_tokens import ACCOUNT, AUDIENCES, GRANT, SCOPE, Tokens

AT = 1_790_000_000.0
CLAIM = {"iss": ACCOUNT, "scope": SCOPE, "aud": AUDIENCES[0], "iat": int(AT), "exp": int(AT) + 3600}


@pytest.fixture(scope="module")
def tokens():
    return Tokens()


def coded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signed(tokens, head=None, **changed):
    """An assertion, signed with the account's key by other means than the ones under test."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = tokens.files("http://127.0.0.1:1")["service_account"]["private_key"]
    claim = {name: value for name, value in {**CLAIM, **changed}.items() if value is not None}
    text = coded(json.dumps(head or {"alg": "RS256", "typ": "JWT"}).encode()) + b"." + coded(json.dumps(claim).encode())
    signature = load_pem_private_key(pem.encode(), None).sign(text, PKCS1v15(), SHA256())
    return (text + b"." + coded(signature)).decode()


def sent(tokens, **form):
    asked = Asked(
        method="POST",
        url="http://127.0.0.1:1",
        target="/token",
        headers={},
        body=urlencode({"grant_type": GRANT, **form}).encode(),
        at=AT,
    )
    reply = tokens.answer(asked)
    return reply.status, json.loads(reply.frames[0].data)


def test_a_token_lasts_an_hour(tokens):
    status, said = sent(tokens, assertion=signed(tokens))
    assert (status, said["expires_in"], said["token_type"]) == (200, 3599, "Bearer")
    assert tokens.good(said["access_token"], AT + 3598)
    assert not tokens.good(said["access_token"], AT + 3600)
    assert not tokens.good("ya29.another", AT)


@pytest.mark.parametrize("changed", [{"aud": "http://127.0.0.1:1/token"}, {"iat": AT - 290}, {"iat": AT + 290}])
def test_what_is_taken(tokens, changed):
    changed = {**changed, **({"exp": changed["iat"] + 3600} if "iat" in changed else {})}
    assert sent(tokens, assertion=signed(tokens, **changed))[0] == 200


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"iss": "other@p"}, "invalid_grant", "account not found"),
        ({"aud": "https://evil.org/token"}, "invalid_grant", "audience"),
        ({"iat": AT - 3700, "exp": AT - 400}, "invalid_grant", "iat and exp"),
        ({"iat": AT + 600, "exp": AT + 4200}, "invalid_grant", "iat and exp"),
        ({"exp": AT + 7200}, "invalid_grant", "iat and exp"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope", "scope"),
        ({"exp": None}, "invalid_grant", "whole"),
        ({"head": {"alg": "none"}}, "invalid_grant", "Signature"),
        ({"head": {"alg": "RS256", "kid": "another"}}, "invalid_grant", "Signature"),
    ],
)
def test_what_is_refused(tokens, changed, error, words):
    status, said = sent(tokens, assertion=signed(tokens, **changed))
    assert (status, said["error"]) == (400, error)
    assert words in said["error_description"]


def test_one_changed_letter_breaks_the_signature(tokens):
    whole = signed(tokens)
    head, claims, signature = whole.split(".")
    assert sent(tokens, assertion=whole)[0] == 200
    later = coded(json.dumps({**CLAIM, "iat": CLAIM["iat"] + 1}).encode()).decode()
    for broken in (
        f"{head}.{later}.{signature}",
        f"{head}.{claims}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}",
        f"{head}.{claims}.",
    ):
        status, said = sent(tokens, assertion=broken)
        assert (status, said["error_description"]) == (400, "Invalid JWT Signature.")
    for broken in ("", "a.b.c", whole + ".", head):
        assert sent(tokens, assertion=broken)[0] == 400


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({}, 200, None),
        ({"client_id": "c"}, 401, "invalid_client"),
        ({"client_secret": "s"}, 401, "invalid_client"),
        ({"refresh_token": "r"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_person(tokens, changed, status, error):
    held = tokens.files("http://127.0.0.1:1")["authorized_user"]
    form = {name: held[name] for name in ("client_id", "client_secret", "refresh_token")}
    got, said = sent(tokens, **{"grant_type": "refresh_token", **form, **changed})
    assert (got, said.get("error")) == (status, error)
