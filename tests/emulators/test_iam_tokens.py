"""The emulator's issuer of tokens knows its own, and until when; a client renews one within its retries."""

import json
from urllib.parse import urlencode

import pytest

from mlaas_lab.emulators import Asked, Refusal
from mlaas_lab.emulators._iam import GRANT, Issuer
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators.watsonx import Watsonx

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NOW = 1_800_000_000.0


def asked(path, body, headers, *, at=NOW, method="POST", query="version=2026-10-14"):
    target = f"{path}?{query}" if query else path
    return Asked(method=method, url="http://127.0.0.1:1", target=target, headers=headers, body=body, at=at)


def form(**fields):
    return urlencode({"apikey": "emulated-WATSONX_APIKEY", "grant_type": GRANT, **fields}).encode()


def token(vendor, *, at=NOW):
    reply = vendor.answer(asked("/identity/token", form(), FORM, at=at), echo)
    return json.loads(reply.frames[0].data)


def chat(vendor, bearer, *, at=NOW, path="/ml/v1/text/chat", query="version=2026-10-14", **more):
    body = {"model_id": "m", "project_id": "p", "messages": [{"role": "user", "content": "hi"}], **more}
    body = {name: value for name, value in body.items() if value is not None}
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    return vendor.answer(asked(path, json.dumps(body).encode(), headers, at=at, query=query), echo)


def test_a_token_is_taken_until_it_expires():
    vendor = Watsonx(issuer=Issuer(key="WATSONX_APIKEY", lasts_s=100))
    given = token(vendor)
    assert (given["expires_in"], given["expiration"]) == (100, NOW + 100)
    assert given["access_token"].count(".") == 2
    assert chat(vendor, given["access_token"], at=NOW + 99).status == 200
    with pytest.raises(Refusal, match="expired"):
        chat(vendor, given["access_token"], at=NOW + 100)


def test_a_token_that_was_changed_or_is_anothers_is_none():
    vendor = Watsonx()
    bearer = token(vendor)["access_token"]
    head, payload, signature = bearer.split(".")
    longer = token(Watsonx(issuer=Issuer(key="WATSONX_APIKEY", lasts_s=1e6)))["access_token"].split(".")[1]
    for wrong in ("", "a.b.c", f"{head}.{longer}.{signature}", f"{head}.{payload}.", token(Watsonx())["access_token"]):
        with pytest.raises(Refusal, match="invalid token"):
            chat(vendor, wrong)
    assert chat(vendor, bearer).status == 200


@pytest.mark.parametrize(
    ("body", "headers", "kind"),
    [
        (form(apikey="another"), FORM, "auth"),
        (form(grant_type="password"), FORM, "invalid"),
        (form(), {"Content-Type": "application/json"}, "invalid"),
        (b"", FORM, "invalid"),
    ],
)
def test_who_gets_no_token(body, headers, kind):
    with pytest.raises(Refusal) as caught:
        Watsonx().answer(asked("/identity/token", body, headers), echo)
    assert caught.value.kind == kind


@pytest.mark.parametrize(
    "more",
    [
        {"query": ""},
        {"query": "version=today"},
        {"model_id": None},
        {"project_id": None},
        {"space_id": "s"},
        {"stream": True},
        {"messages": []},
        {"messages": [{"role": "boss", "content": "hi"}]},
        {"path": "/ml/v1/deployments/d/text/chat"},
        {
            "path": "/ml/v1/deployments/d/text/chat",
            "model_id": None,
            "project_id": None,
            "messages": [{"role": "system", "content": "hi"}],
        },
        {"path": "/ml/v1/text/generation"},
    ],
)
def test_what_ibm_refuses(more):
    vendor = Watsonx()
    with pytest.raises(Refusal) as caught:
        chat(vendor, token(vendor)["access_token"], **more)
    assert caught.value.kind == "invalid"


def test_a_deployment_names_its_model_itself():
    vendor = Watsonx()
    more = {"path": "/ml/v1/deployments/d/text/chat", "model_id": None, "project_id": None}
    assert chat(vendor, token(vendor)["access_token"], **more).model == "deployments/d"
