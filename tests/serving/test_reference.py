"""The models as they were trained: what they answer, how far an adapter moves its base, and whose tokenizer it brings."""

import json
import shutil

import pytest
import torch
from made_adapters import swapped, with_template, with_tokenizer, zeroed

from mlaas_lab.serving import _reference_worker as worker

ASKED = [[{"role": "user", "content": "Where is my parcel?"}], [{"role": "user", "content": "Hi"}]]


def order(base, *adapters, own=False, dtype="auto"):
    models = [{"name": "base", "base": str(base), "adapter": None}]
    models += [{"name": path.name, "base": str(base), "adapter": str(path)} for path in adapters]
    return {"models": models, "prompts": ASKED, "tokens": 6, "dtype": dtype, "own_tokenizers": own}


def asked(base, *adapters, **more):
    parties = worker._parties(order(base, *adapters, **more))
    return parties, worker._first(parties, 6)


def test_base_and_adapters_answer_greedily_each_for_itself(toys, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    parties, first = asked(toys / "base", toys / "lora", shutil.copytree(toys / "lora", tmp_path / "a.b"))
    assert first["dtype"] == "float32"
    assert first["answers"]["lora"] == first["answers"]["a.b"] != first["answers"]["base"]
    model = AutoModelForCausalLM.from_pretrained(toys / "base")
    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(toys / "base"), toys / "lora").eval()
    for name, own in (("base", model.eval()), ("lora", tuned)):
        for prompt, said in zip(first["prompts"][name], first["answers"][name], strict=True):
            wanted = own.generate(input_ids=torch.tensor([prompt]), max_new_tokens=6, do_sample=False)[0, len(prompt) :]
            assert said == wanted.tolist()
    (likely, _) = worker._judged(parties[1], first["answers"]["lora"])
    assert likely["said"] == pytest.approx(likely["best"]), "its own answer is what it holds for best"
    (likely, _) = worker._judged(parties[1], first["answers"]["base"])
    assert max(best - said for best, said in zip(likely["best"], likely["said"], strict=True)) > 0.05
    assert worker._judged(parties[0], [[], [5]])[0] == {"said": [], "best": []}


def test_an_adapter_of_zeros_moves_nothing(toys, tmp_path):
    """In narrow numbers too."""
    _, first = asked(toys / "base", toys / "lora", zeroed(tmp_path / "zeros", toys / "lora"), dtype="bfloat16")
    assert first["dtype"] == "bfloat16"
    assert first["effects"]["zeros"] == 0.0
    assert first["effects"]["lora"] > 0.1
    assert first["answers"]["zeros"] == first["answers"]["base"]


def test_the_tokenizer_of_another_base(toys, tmp_path):
    other = with_tokenizer(tmp_path / "other", toys / "lora", swapped)
    _, first = asked(toys / "base", toys / "lora", other, own=True)
    assert list(first["unlike"]) == ["other"]
    assert first["unlike"]["other"]["what"] == "tokenizer"
    assert "'a' is token" in first["unlike"]["other"]["detail"]


def test_other_special_tokens(toys, tmp_path):
    other = shutil.copytree(toys / "lora", tmp_path / "other")
    settings = json.loads((other / "tokenizer_config.json").read_text())
    (other / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<|user|>"}))
    _, first = asked(toys / "base", other)
    assert "eos_token_id is 3, and 2 of the base" in first["unlike"]["other"]["detail"]


def test_the_template_counts_where_the_server_takes_its_own(toys, tmp_path):
    other = with_template(tmp_path / "other", toys / "lora", "{% for m in messages %}{{ m.content }}{% endfor %}")
    _, first = asked(toys / "base", toys / "lora", other)
    assert {name: one["what"] for name, one in first["unlike"].items()} == {"other": "chat template"}
    _, first = asked(toys / "base", toys / "lora", other, own=True)
    assert first["unlike"] == {}
    assert len(first["prompts"]["other"][0]) < len(first["prompts"]["lora"][0]), "it is read as it was trained"


def test_an_adapter_without_a_tokenizer_has_its_bases(toys, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(toys / "lora" / file, bare)
    _, first = asked(toys / "base", toys / "lora", bare)
    assert first["unlike"] == {}
    assert first["answers"]["bare"] == first["answers"]["lora"]
