"""Two random models and their adapters: nothing to learn, only to load."""

from pathlib import Path

import pytest

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_model(folder: Path, *, layers: int = 2, width: int = 64, template: bool = True, shard: str = "1GB") -> Path:
    """A Llama with random weights and a byte-level tokenizer, as transformers saves it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(0)
    specials = ["<pad>", "<s>", "</s>", "<|user|>", "<|assistant|>"]
    words = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    text = Tokenizer(models.BPE(vocab={word: n for n, word in enumerate(words)}, merges=[]))
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    text.decoder = decoders.ByteLevel()
    text.add_special_tokens(specials)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=text, bos_token="<s>", eos_token="</s>", pad_token="<pad>")
    if template:
        tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder, max_shard_size=shard)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(folder: Path, base: Path, *, seed: int = 1, rank: int = 4) -> Path:
    """LoRA weights large enough to change every answer."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(base)
    lora = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM"))
    torch.manual_seed(seed)
    for name, weight in lora.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    lora.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base` (in shards), `lora` trained on it, `plain` (without a chat template), `deep` and its adapter."""
    folder = tmp_path_factory.mktemp("toys")
    make_adapter(folder / "lora", make_model(folder / "base", shard="50KB"))
    make_model(folder / "plain", template=False)
    make_adapter(folder / "deep-lora", make_model(folder / "deep", layers=3))
    make_adapter(folder / "wide-lora", make_model(folder / "wide", width=32))
    return folder


@pytest.fixture(scope="session")
def large_toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`base`, with heads as wide as vLLM computes them on a CPU, four adapters of it, one of rank 64; and a misfit."""
    folder = tmp_path_factory.mktemp("large-toys")
    base = make_model(folder / "base", width=128)
    for name, seed, rank in (("lora", 1, 4), ("second", 2, 4), ("third", 3, 8), ("large", 4, 64)):
        make_adapter(folder / name, base, seed=seed, rank=rank)
    make_adapter(folder / "deep-lora", make_model(folder / "deep", width=128, layers=3))
    return folder
