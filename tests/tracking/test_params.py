"""Params are flat and short, and no key is among them."""

import pytest

from mlaas_lab.tracking.params import HIDDEN, LONGEST, flat, redacted, short

CANARIES = [
    "openai/m?api_key=CANARY1234567890abcdef",
    "openai/m?base_url=http://h/v1?token=CANARY1234567890&x=1",
    "https://user:CANARY@host:5000/path",
    "postgresql+psycopg://me:CANARY@db/mlflow",
    "Authorization: Bearer CANARY1234567890",
    "X-Amz-Signature=CANARY",
    "use sk-CANARY1234567890abcdef please",
    "hf_CANARY1234567890",
    "AKIACANARY1234567890",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlki.CANARY",
    'api_key="CANARY"',
]


@pytest.mark.parametrize("text", CANARIES)
def test_a_key_never_passes(text):
    assert "CANARY" not in redacted(text)
    assert "CANARY" not in str(flat({"targets": [text], "system": text, "nested": {"inner": text}}))


@pytest.mark.parametrize(
    "text", ["openai/m?region=us-east-1&max_tokens=64", "data/train.jsonl", "tiny", "http://127.0.0.1:8000/v1", "a=b"]
)
def test_what_is_no_key_stays(text):
    assert redacted(text) == text


def test_a_secret_name_hides_any_value():
    assert flat({"api_key": "plain", "apiKey": "plain", "max_tokens": 8}) == {
        "api_key": HIDDEN,
        "apiKey": HIDDEN,
        "max_tokens": "8",
    }


def test_flat():
    spec = {"base": "tiny", "lr": None, "map": {"q": "prompt"}, "targets": ["a", "b"], "stream": False, "t": 0.5}
    assert flat(spec) == {"base": "tiny", "map.q": "prompt", "targets": "a,b", "stream": "false", "t": "0.5"}


def test_long_text_is_cut_and_told_apart():
    one, two = short("x" * 9000 + "1"), short("x" * 9000 + "2")
    assert len(one) == len(two) == LONGEST
    assert one != two
