"""Google's tokens: one at hand, or one for a file, asked for as Google's own library asks."""

import json
from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from mlaas_lab.environment import secret
from mlaas_lab.errors import AuthFailed, MissingExtra
from mlaas_lab.schema import Target
from mlaas_lab.signing import Request, google, key

AT = 1_790_000_000.0
TARGET = Target(provider="vertex", model="m")
REQUEST = Request(url="https://h/v1", headers={}, body=b"{}", token="ya29.token")
PERSON = {"type": "authorized_user", "client_id": "c", "client_secret": "secret-1", "refresh_token": "secret-2"}


@pytest.fixture(scope="module")
def account():
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k1",
        "private_key": made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "client_email": "me@p.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    """No credentials but those of the test."""
    for name in (google.TOKEN, google.FILE, "CLOUDSDK_CONFIG", "APPDATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def held(monkeypatch, tmp_path):
    """Put credentials into a file that the environment names."""

    def hold(data):
        path = tmp_path / "Schlüssel" / "key.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
        monkeypatch.setenv(google.FILE, str(path))
        google._quota_project.cache_clear()

    return hold


def asked():
    return google.access_token()[1].exchange.request(TARGET, key, AT)


def test_a_token_at_hand_comes_first(monkeypatch, held):
    held(PERSON)
    at_hand, exchanged = google.access_token()
    assert not at_hand.ready
    assert exchanged.ready
    monkeypatch.setenv(google.TOKEN, "ya29.mine")
    assert at_hand.ready
    assert at_hand.headers(REQUEST, key) == {"Authorization": "Bearer ya29.mine"}
    assert exchanged.headers(REQUEST, key) == {"Authorization": "Bearer ya29.token"}


def test_the_claim_is_the_one_of_googles_library(account, held, monkeypatch):
    """RS256 has one signature for one text: equal to the last byte."""
    from google.auth import _helpers
    from google.oauth2 import service_account

    now = datetime.fromtimestamp(AT, UTC).replace(tzinfo=None)
    monkeypatch.setattr(_helpers, "utcnow", lambda: now)
    theirs = service_account.Credentials.from_service_account_info(account, scopes=[google.SCOPE])
    held(account)
    request = asked()
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert request.url == "https://oauth2.googleapis.com/token"
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert form["assertion"].encode() == theirs._make_authorization_grant_assertion()
    assert {account["private_key"], form["assertion"]} <= set(request.secrets)


def test_a_person_is_asked_for_by_the_refresh_token(held):
    held({**PERSON, "quota_project_id": "payer"})
    request = asked()
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form == {
        "grant_type": "refresh_token",
        "client_id": "c",
        "client_secret": "secret-1",
        "refresh_token": "secret-2",
    }
    assert request.url == google.TOKEN_URL
    assert set(request.secrets) == {"secret-1", "secret-2"}
    headers = google.access_token()[1].headers(REQUEST, key)
    assert headers == {"Authorization": "Bearer ya29.token", "x-goog-user-project": "payer"}


@pytest.mark.parametrize("folder", ["", "CLOUDSDK_CONFIG", "APPDATA"])
def test_what_gcloud_leaves_behind_is_found(home, tmp_path, monkeypatch, folder):
    where = home / ".config" / "gcloud"
    if folder:
        monkeypatch.setenv(folder, str(tmp_path / "elsewhere"))
        where = tmp_path / "elsewhere" / ("gcloud" if folder == "APPDATA" else "")
    assert secret(google.FILE) is None
    assert not google.access_token()[1].ready
    where.mkdir(parents=True)
    (where / "application_default_credentials.json").write_text(json.dumps(PERSON))
    assert google.access_token()[1].ready
    assert b"secret-2" in asked().body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        {"type": "external_account", "audience": "a"},
        {"type": "service_account", "client_email": "me"},
        {"type": "service_account", "client_email": "me", "private_key": "secret-3"},
        {"type": "authorized_user", "client_id": "c", "refresh_token": "secret-3"},
        {**PERSON, "token_uri": "http://oauth2.googleapis.com/token"},
        {**PERSON, "client_secret": 3},
    ],
)
def test_files_that_are_none(held, data):
    held(data)
    with pytest.raises(AuthFailed) as caught:
        asked()
    assert google.FILE in caught.value.message
    assert caught.value.next == google.BY_HAND
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv(google.FILE, str(tmp_path / "none.json"))
    with pytest.raises(AuthFailed, match="cannot be read: No such file"):
        asked()


def test_a_key_that_is_none_is_not_shown(held, account):
    held({**account, "private_key": account["private_key"].replace("A", "B")})
    with pytest.raises(AuthFailed) as caught:
        asked()
    assert "BEGIN" not in repr(caught.value) + str(caught.value)


def test_without_googles_library_it_says_what_to_install(held, account, monkeypatch):
    held(account)
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(MissingExtra, match=r"mlaas_lab\[gcp\]"):
        asked()


def test_a_token_is_read():
    read = google.access_token()[1].exchange.read
    token = read(b'{"access_token": "ya29.t", "expires_in": 3599, "token_type": "Bearer"}')
    assert (token.value, token.lasts_s) == ("ya29.t", 3599)
    for body in (b"", b"[]", b"{}", b'{"access_token": "t", "expires_in": "soon"}'):
        with pytest.raises((LookupError, TypeError, ValueError)):
            read(body)


def test_a_request_shows_no_key(held):
    held(PERSON)
    request = asked()
    assert not [value for value in request.secrets if value in repr(request)]
