"""What shares a forward pass, and what happens when batches break."""

import asyncio

import pytest


@pytest.fixture(scope="module")
def parts(toys):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(toys / "base"), AutoTokenizer.from_pretrained(toys / "base")


def rules_of(**settings):
    from transformers import GenerationConfig

    return GenerationConfig(**{"max_new_tokens": 6, "eos_token_id": 2, "pad_token_id": 0, **settings})


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, True),
        ({"temperature": 0.0, "top_p": 0.9, "do_sample": False}, True),
        ({"repetition_penalty": 1.0, "num_beams": 1, "output_attentions": False}, True),
        ({"do_sample": True, "temperature": 0.7}, False),
        ({"repetition_penalty": 1.1}, False),
        ({"stop_strings": ["."]}, False),
        ({"num_beams": 4}, False),
        ({"no_repeat_ngram_size": 1}, False),
        ({"suppress_tokens": [3]}, False),
    ],
)
def test_only_plain_greedy_requests_share(settings, shares):
    from mlaas_lab.serving._transformers_server import _greedy

    assert _greedy(rules_of(**settings)) is shares


def test_when_batches_break_requests_are_answered_alone(parts):
    from mlaas_lab.serving._transformers_server import Together

    model, tokenizer = parts
    inputs = {"input_ids": tokenizer("hello")["input_ids"]}

    async def ask(manager, n):
        rules = rules_of()
        manager.init_cb(model, rules)
        return (await manager.generate_non_streaming(model, tokenizer, inputs, rules, request_id=f"r{n}"))[0]

    async def story():
        manager = Together()
        well = await ask(manager, 0)
        batches = manager._cb
        assert batches.batch_processor is not None

        def broken():
            raise RuntimeError("out of pages")

        batches._generation_step = broken
        later = [await ask(manager, n) for n in (1, 2)]
        assert batches.background_thread_status.fatal_error is not None
        return well, later

    well, later = asyncio.new_event_loop().run_until_complete(story())
    assert later == [well, well]
