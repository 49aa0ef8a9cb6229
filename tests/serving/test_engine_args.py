"""Flags that are passed on to vLLM, and those that would open the server."""

import pytest

from mlaas_lab.errors import UsageError
from mlaas_lab.serving._engine_args import passed_on


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("--seed 1", ("--seed", "1")),
        ("--kv-cache-dtype=fp8 --max-num-seqs 8", ("--kv-cache-dtype=fp8", "--max-num-seqs", "8")),
        ('--speculative-config \'{"method": "ngram"}\'', ("--speculative-config", '{"method": "ngram"}')),
        ("--logprobs-mode raw_logprobs --long-prefill-token-threshold -1", None),
        ("--chat-template /a/b.jinja --tokenizer-mode auto", None),
        ("--enable-auto-tool-choice --tool-call-parser hermes", None),
    ],
)
def test_flags_are_passed_on(text, words):
    assert passed_on(text) == (tuple(text.split()) if words is None else words)


@pytest.mark.parametrize(
    "text",
    [
        *("--host 0.0.0.0", "--port=80", "--uds /tmp/x", "--api-key x", "--trust-remote-code", "--middleware a.b"),
        *("--trust_remote_code", "--trust-rem", "--ho 0.0.0.0", "--no-trust-remote-code", "--ssl-keyfile x"),
        *("--allowed-origins *", "--allow-credentials", "--allowed-local-media-path /", "--root-path /x"),
        *("--config x.yaml", "--model x", "--served-model-name x", "--lora-modules a=b", "--load-format pt"),
        *("--tool-parser-plugin x.py", "--hf-overrides {}", "--hf-overrides.auto_map x", "--worker-extension-cls a.b"),
        *("--kv-transfer-config {}", "--data-parallel-address 0.0.0.0", "--enable-log-requests", "--dtype float32"),
        *("--logits-processors a.b", "--max-lora-rank 8", "--seed 1 --host 0.0.0.0", "--", "--max-loras=1"),
    ],
)
def test_what_would_open_it_is_refused_abbreviated_too(text):
    with pytest.raises(UsageError, match=r"^--engine-args: --\S* cannot be passed on: ") as caught:
        passed_on(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-tp 2", "must begin with a flag"),
        ("seed 1", "must begin with a flag"),
        ("--a 'b", "cannot be split"),
        ("--seed 1 -q x", "'-q' is short"),
    ],
)
def test_words_that_are_no_flags(text, said):
    with pytest.raises(UsageError, match=said):
        passed_on(text)
