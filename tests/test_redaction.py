"""What looks like a key is hidden, and warned of; what only sounds like one is left alone."""

import pytest

from mlaas_lab.redaction import HIDDEN, holds_key, redacted

KEYS = [
    "sk-proj-abcdefgh12345678",
    "sk-ant-api03-abcdefgh1234",
    "sk-or-v1-0123456789abcdef",
    "hf_abcdefghij1234567890abcd",
    "AKIAIOSFODNN7EXAMPLE",
    "r8_abcdefghij1234567890abcd",
    "AIzaSyA1234567890abcdefghij",
    "bce-v3/ALTAK-abcdef1234/0123456789abcdef",
    "ghp_abcdefghij1234567890abcd",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("text", ["{}", "ask hi --targets openai/m?stop={}", "prompt: my key is {}, use it", "x='{}'"])
def test_a_vendors_key_is_seen_and_hidden(text, key):
    assert holds_key(text.format(key))
    shown = redacted(text.format(key))
    assert HIDDEN in shown
    assert key not in shown


@pytest.mark.parametrize(
    "text",
    [
        "ask hi --targets openai/m?api_key=dGhpcyBpcyBhIGtleQ1234",
        "api_key: 0123456789abcdef0123456789abcdef",
        'key="aB3dE5fG7hI9jK1lM3nO5pQ7"',
        "--token=0123456789abcdef0123",
    ],
)
def test_something_long_under_a_secret_name_is_a_key(text):
    assert holds_key(text)
    assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ask 'What is a risk-adjusted-performance-measure?' --targets tiny",
        "ask hi --targets openai/m?base_url=http://127.0.0.1:8000/v1&key_env=MY_OWN_API_KEY_2",
        "ask hi --targets openai/m?max_tokens=12345678901234567890123",
        "finetune --base tiny --data rows.jsonl",
        "token_file=/home/user/keys/of/2024/token1",
        "the key: value store of 2024 is called so",
        "api_key = $MY_KEY",
        "api_key={key}",
        "use task-oriented-dialogue-2024 and sk-learn-something-long",
    ],
)
def test_words_and_names_are_no_keys(text):
    assert not holds_key(text)


def test_nothing_nests_too_deep_and_what_does_is_hidden():
    deep = "a=" * 5000 + "0123456789abcdef01234567"
    assert not holds_key(deep)
    assert "0123456789abcdef" not in redacted(deep)
    assert redacted("a=b=c=d&e=f") == "a=b=c=d&e=f"
