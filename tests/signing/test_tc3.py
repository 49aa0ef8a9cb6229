"""TC3 signatures equal those that Tencent's own SDK made of the same requests (tencentcloud-sdk-python 3.1.195)."""

import pytest

from mlaas_lab.errors import AuthFailed
from mlaas_lab.signing import Request
from mlaas_lab.signing.tc3 import authorization, tc3

AT = 1551113065.9
BODY = b'{"Model": "hunyuan-lite", "Messages": [{"Role": "user", "Content": "Gr\\u00fc\\u00dfe"}], "Stream": false}'
BY_THE_SDK = {
    "https://hunyuan.tencentcloudapi.com/": "975b7e90317b4feedaaf70fb653c5ac52e5b6cbde2112165021b04abfad7cbb4",
    "https://hunyuan.tencentcloudapi.com:443/": "975b7e90317b4feedaaf70fb653c5ac52e5b6cbde2112165021b04abfad7cbb4",
    "http://127.0.0.1:8123/": "1fa98659f4a602d6653197e660d9193d43a47ba75ea99786f130afad478f42ce",
}
KEYS = {"TENCENTCLOUD_SECRET_ID": "AKIDEXAMPLE", "TENCENTCLOUD_SECRET_KEY": "secret-of-the-example"}


def request(url="https://hunyuan.tencentcloudapi.com/", body=BODY, at=AT, kind="application/json"):
    return Request(url=url, headers={"Content-Type": kind}, body=body, at=at)


def keys(name):
    if name not in KEYS:
        raise AuthFailed(f"{name} is not set.")
    return KEYS[name]


@pytest.mark.parametrize(("url", "signature"), BY_THE_SDK.items())
def test_it_is_what_the_sdk_signs(url, signature):
    headers = tc3("hunyuan").headers(request(url), keys)
    assert headers == {
        "X-TC-Timestamp": "1551113065",
        "Authorization": "TC3-HMAC-SHA256 Credential=AKIDEXAMPLE/2019-02-25/hunyuan/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
    }


@pytest.mark.parametrize(
    "other",
    [
        request(body=BODY + b" "),
        request(url="https://lkeap.tencentcloudapi.com/"),
        request(at=AT + 1),
        request(kind="application/json; charset=utf-8"),
    ],
)
def test_everything_that_counts_is_signed(other):
    signed = {authorization(one, "hunyuan", *KEYS.values())[-64:] for one in (request(), other)}
    assert len(signed) == 2


def test_the_day_is_utcs():
    late = authorization(request(at=1551139199), "hunyuan", *KEYS.values())
    early = authorization(request(at=1551139200), "hunyuan", *KEYS.values())
    assert "/2019-02-25/" in late
    assert "/2019-02-26/" in early


def test_a_temporary_pair_has_a_token():
    named = {**KEYS, "TENCENTCLOUD_TOKEN": "t-1"}
    sign = tc3("hunyuan")
    assert sign.headers(request(), named.__getitem__)["X-TC-Token"] == "t-1"
    assert set(named) == {*sign.keys, *sign.optional}


def test_a_missing_key_is_named():
    with pytest.raises(AuthFailed, match="TENCENTCLOUD_SECRET_KEY"):
        tc3("hunyuan").headers(request(), lambda name: keys(name if name.endswith("ID") else f"NO_{name}"))
