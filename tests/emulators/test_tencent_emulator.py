"""Tencent's emulator verifies a signature as Tencent does: keys, day, service, body, host, and a clock at most 5 min off.

The signatures here are made in this file, from Tencent's description, and by neither side.
"""

import hashlib
import hmac
import json
import time

import pytest

from mlaas_lab import registry
from mlaas_lab.emulators import Asked, Refusal
from mlaas_lab.emulators._minds import echo

NOW = 1_750_000_000.0
BODY = {"Model": "m", "Messages": [{"Role": "user", "Content": "hi there"}]}
ID, SECRET = "emulated-TENCENTCLOUD_SECRET_ID", "emulated-TENCENTCLOUD_SECRET_KEY"


def signed(body=BODY, *, stamp=NOW, day=None, service="hunyuan", secret=SECRET, secret_id=ID, version="2023-09-01"):
    """Headers and body of a request that is signed at `stamp`."""
    data = json.dumps(body).encode()
    day = day or time.strftime("%Y-%m-%d", time.gmtime(stamp))
    canonical = f"POST\n/\n\ncontent-type:application/json\nhost:h:1\n\ncontent-type;host\n{sha(data)}"
    told = f"TC3-HMAC-SHA256\n{int(stamp)}\n{day}/{service}/tc3_request\n{sha(canonical.encode())}"
    key = f"TC3{secret}".encode()
    for word in (day, service, "tc3_request"):
        key = hmac.new(key, word.encode(), "sha256").digest()
    signature = hmac.new(key, told.encode(), "sha256").hexdigest()
    headers = {
        "Content-Type": "application/json",
        "host": "h:1",
        "content-type": "application/json",
        "X-TC-Action": "ChatCompletions",
        "X-TC-Version": version,
        "X-TC-Timestamp": str(int(stamp)),
        "Authorization": f"TC3-HMAC-SHA256 Credential={secret_id}/{day}/{service}/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }
    return headers, data


def sha(data):
    return hashlib.sha256(data).hexdigest()


def send(headers, data, *, path="/"):
    """Code of the refusal, or the answer's text."""
    vendor = registry.load("emulator", "tencent").vendor()
    asked = Asked(method="POST", url="http://h:1", target=path, headers=headers, body=data, at=NOW)
    try:
        reply = vendor.answer(asked, echo)
    except Refusal as refusal:
        reply = vendor.refusal(refusal, asked)
    assert reply.status == 200
    told = json.loads(reply.frames[0].data)["Response"]
    return told["Error"]["Code"] if "Error" in told else told["Choices"][0]["Message"]["Content"]


@pytest.mark.parametrize("off_s", [0, 299, -299])
def test_a_good_signature_is_taken(off_s):
    assert send(*signed(stamp=NOW + off_s)) == "hi there"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"stamp": NOW + 301}, "AuthFailure.SignatureExpire"),
        ({"stamp": NOW - 301}, "AuthFailure.SignatureExpire"),
        ({"day": "2025-06-14"}, "AuthFailure.SignatureFailure"),
        ({"service": "lkeap"}, "AuthFailure.SignatureFailure"),
        ({"secret": "other"}, "AuthFailure.SignatureFailure"),
        ({"secret_id": "AKIDother"}, "AuthFailure.SecretIdNotFound"),
        ({"version": "2017-03-12"}, "NoSuchVersion"),
    ],
)
def test_another_is_refused(changed, code):
    assert send(*signed(**changed)) == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("host", "elsewhere", "AuthFailure.SignatureFailure"),
        ("X-TC-Timestamp", str(int(NOW) + 1), "AuthFailure.SignatureFailure"),
        ("X-TC-Timestamp", "soon", "AuthFailure.SignatureExpire"),
        ("X-TC-Token", "other", "AuthFailure.TokenFailure"),
        ("Authorization", "Bearer x", "AuthFailure.InvalidAuthorization"),
        ("X-TC-Action", "DescribeInstances", "InvalidAction"),
    ],
)
def test_a_changed_header_is_refused(name, value, code):
    headers, data = signed()
    assert send({**headers, name: value}, data) == code


def test_a_changed_body_is_refused():
    headers, data = signed()
    assert send(headers, data.replace(b"hi", b"ho")) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"MaxTokens": 9}, "UnknownParameter"),
        ({"Temperature": 3}, "InvalidParameter"),
        ({"Seed": 0}, "InvalidParameter"),
        ({"Messages": []}, "MissingParameter"),
        ({"Messages": [{"Role": "user", "Content": "a", "name": "b"}]}, "UnknownParameter"),
        ({"Messages": [{"Role": "assistant", "Content": "a"}]}, "InvalidParameter"),
        ({"Messages": [{"Role": "user", "Content": "a"}, {"Role": "user", "Content": "b"}]}, "InvalidParameter"),
    ],
)
def test_what_the_specification_refuses(more, code):
    assert send(*signed({**BODY, **more})) == code


def test_the_knowledge_engine_knows_a_limit_and_no_seed():
    lkeap = {"service": "lkeap", "version": "2024-05-22"}
    assert send(*signed({**BODY, "MaxTokens": 1}, **lkeap)) == "hi"
    assert send(*signed({**BODY, "Seed": 1}, **lkeap)) == "UnknownParameter"
