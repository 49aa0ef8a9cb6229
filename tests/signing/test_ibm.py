"""IBM's exchange of a key for a token, against the request that IBM's own library sends."""

import json
from urllib.parse import parse_qs

import pytest

from mlaas_lab.schema import Target
from mlaas_lab.signing import Request
from mlaas_lab.signing.ibm import iam

KEY = "key with spaces & signs=+"


def test_the_request_is_that_of_ibms_library():
    """As ibm-watsonx-ai 1.8.1 sends it: form, grant, and the public client `bx:bx`."""
    sign = iam("WATSONX_APIKEY")
    asked = sign.exchange.request(Target(model="m"), {"WATSONX_APIKEY": KEY}.__getitem__, 0.0)
    assert (asked.method, asked.url) == ("POST", "https://iam.cloud.ibm.com/identity/token")
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["Authorization"] == "Basic Yng6Yng="
    assert parse_qs(asked.body.decode(), strict_parsing=True) == {
        "apikey": [KEY],
        "grant_type": ["urn:ibm:params:oauth:grant-type:apikey"],
    }


def test_a_call_bears_the_token_and_not_the_key():
    sign = iam("WATSONX_APIKEY")
    headers = sign.headers(Request(url="https://a", headers={}, body=b"", token="abc"), {}.__getitem__)
    assert headers == {"Authorization": "Bearer abc"}


def test_a_token_and_how_long_it_lasts():
    body = {"access_token": "a.b.c", "token_type": "Bearer", "expires_in": 3600, "expiration": 1_800_000_000}
    token = iam("K").exchange.read(json.dumps(body).encode())
    assert (token.value, token.lasts_s) == ("a.b.c", 3600.0)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"access_token": "a"}', b'{"access_token": 3, "expires_in": 9}',
     b'{"access_token": "a\\nb", "expires_in": 9}', b'{"access_token": "a", "expires_in": "soon"}'],
)  # fmt: skip
def test_what_is_no_token(body):
    with pytest.raises((LookupError, TypeError, ValueError)):
        iam("K").exchange.read(body)
