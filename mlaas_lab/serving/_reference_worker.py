"""Models as they were trained, asked here: `python -m mlaas_lab.serving._reference_worker OWNER`, in JSON lines.

It is told what to load and what to ask, and says what it answers; then it is shown what endpoints answered, and says
how likely it holds each token. It ends with the process OWNER. It knows no servers, and generates by itself, since
the settings that come with a model may ask for penalties.
"""

import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from mlaas_lab.processes import die_with
from mlaas_lab.schema import JSON

TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
"""An adapter with one of these files brings a tokenizer."""


@dataclass(frozen=True, kw_only=True)
class Party:
    """One endpoint, as it should be."""

    name: str
    model: Any
    """The base, with every adapter of it that is asked about."""
    adapter: str | None
    """What it is called there; None: the base itself."""
    prompts: Sequence[Sequence[int]]
    unlike: JSON = None
    """What is wrong with the adapter's tokenizer or chat template, as `{what, detail}`."""

    def logits(self, tokens: Tensor, **more: Any) -> Any:
        """What comes out for `tokens` (1, T)."""
        if self.adapter is not None:
            self.model.set_adapter(self.adapter)
        lora = isinstance(self.model, PeftModel)
        bare = self.model.disable_adapter() if lora and self.adapter is None else nullcontext()
        with bare, torch.inference_mode():
            return self.model(input_ids=tokens, **more)

    def log_probabilities(self, tokens: Sequence[int]) -> Tensor:
        """Of every token after each of `tokens`: (T, V)."""
        return torch.log_softmax(self.logits(torch.tensor([list(tokens)])).logits[0].float(), -1)


def main(owner: int) -> None:
    """Serve one order, then what answers are shown, until nobody speaks any more."""
    die_with(owner)
    said = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is no answer
    logging.disable_progress_bar()
    warnings.simplefilter("ignore")
    order = json.loads(sys.stdin.readline())
    try:
        parties = _parties(order)
        _say(said, _first(parties, order["tokens"]))
        for line in sys.stdin:
            shown = json.loads(line)
            _say(said, {one.name: _judged(one, shown[one.name]) for one in parties if one.name in shown})
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        _say(said, {"error": " ".join(f"{type(error).__name__}: {error}".split())[:400]})


def _say(to: TextIO, what: JSON) -> None:
    print(json.dumps(what), file=to, flush=True)


def _parties(order: JSON) -> list[Party]:
    parties = []
    for base in dict.fromkeys(one["base"] for one in order["models"]):
        names = [one for one in order["models"] if one["base"] == base]
        model = AutoModelForCausalLM.from_pretrained(
            base, use_safetensors=True, trust_remote_code=False, dtype=order["dtype"]
        ).eval()
        adapters = {one["name"]: one["adapter"] for one in names if one["adapter"]}
        called = {name: f"a{at}" for at, name in enumerate(adapters)}  # peft takes no dots in a name
        for name, path in adapters.items():
            if isinstance(model, PeftModel):
                model.load_adapter(path, adapter_name=called[name], torch_device="cpu")
            else:
                model = PeftModel.from_pretrained(model, path, adapter_name=called[name], torch_device="cpu")
        model.eval()
        own = AutoTokenizer.from_pretrained(base, trust_remote_code=False)
        parties += [_party(one, model, own, order, called.get(one["name"])) for one in names]
    return parties


def _party(one: JSON, model: Any, base: Any, order: JSON, adapter: str | None) -> Party:
    tokenizer, unlike = base, None
    if one["adapter"] and any((Path(one["adapter"]) / file).exists() for file in TOKENIZERS):
        tokenizer = AutoTokenizer.from_pretrained(one["adapter"], trust_remote_code=False)
        unlike = _unlike(tokenizer, base, templates=not order["own_tokenizers"])
    template = tokenizer.chat_template or base.chat_template
    prompts = [
        tokenizer.apply_chat_template(
            prompt, chat_template=template, add_generation_prompt=True, tokenize=True, return_dict=True
        )["input_ids"]
        for prompt in order["prompts"]
    ]
    return Party(name=one["name"], model=model, adapter=adapter, prompts=prompts, unlike=unlike)


def _unlike(own: Any, base: Any, *, templates: bool) -> JSON:
    """How an adapter's tokenizer differs from its base's, whose tokens the weights know."""
    here, there = own.get_vocab(), base.get_vocab()
    if here != there:
        token = min((token for token in here.keys() | there.keys() if here.get(token) != there.get(token)), key=str)
        detail = f"{token!r} is token {here.get(token, 'none')}, and {there.get(token, 'none')} of the base"
        return {"what": "tokenizer", "detail": detail}
    for special in ("bos_token_id", "eos_token_id"):
        if getattr(own, special) != getattr(base, special):
            detail = f"{special} is {getattr(own, special)}, and {getattr(base, special)} of the base"
            return {"what": "tokenizer", "detail": detail}
    if templates and own.chat_template and _plain(own.chat_template) != _plain(base.chat_template):
        return {"what": "chat template", "detail": "the one that came with it, which it was trained with, is another"}
    return None


def _plain(template: Any) -> Any:
    return template.strip() if isinstance(template, str) else template


def _first(parties: Sequence[Party], n: int) -> JSON:
    """What each answers, and how far each adapter moves its base."""
    answers = {one.name: [_answer(one, prompt, n) for prompt in one.prompts] for one in parties}
    effects = {one.name: _effect(one, answers[one.name]) for one in parties if one.adapter}
    return {
        "unlike": {one.name: one.unlike for one in parties if one.unlike},
        "prompts": {one.name: one.prompts for one in parties},
        "answers": answers,
        "effects": effects,
        "ends": sorted({end for one in parties for end in _ends(one)}),
        "dtype": str(next(parties[0].model.base_model.parameters()).dtype).removeprefix("torch."),
    }


def _answer(one: Party, prompt: Sequence[int], n: int) -> list[int]:
    """The most likely tokens after `prompt`, at most `n`."""
    fed, cache, ends = torch.tensor([list(prompt)]), None, _ends(one)
    found: list[int] = []
    while len(found) < n and (not found or found[-1] not in ends):
        step = one.logits(fed, past_key_values=cache, use_cache=True, logits_to_keep=1)
        found.append(int(step.logits[0, -1].argmax()))
        fed, cache = torch.tensor([found[-1:]]), step.past_key_values
    return found


def _ends(one: Party) -> frozenset[int]:
    end = one.model.generation_config.eos_token_id
    return frozenset(end if isinstance(end, list) else [] if end is None else [end])


def _effect(one: Party, answers: Sequence[Sequence[int]]) -> float:
    """The most by which the adapter moves any token's log-probability, in nats."""
    bare = Party(name=one.name, model=one.model, adapter=None, prompts=one.prompts)
    return max(
        float((one.log_probabilities([*prompt, *said]) - bare.log_probabilities([*prompt, *said])).abs().max())
        for prompt, said in zip(one.prompts, answers, strict=True)
    )


def _judged(one: Party, shown: Sequence[Sequence[int]]) -> JSON:
    """For each token of each answer its log-probability here, and that of the most likely one."""
    return [_likely(one, prompt, said) for prompt, said in zip(one.prompts, shown, strict=True)]


def _likely(one: Party, prompt: Sequence[int], said: Sequence[int]) -> JSON:
    if not said:
        return {"said": [], "best": []}
    after = one.log_probabilities([*prompt, *said[:-1]])[len(prompt) - 1 :]  # (T, V)
    chosen = after.gather(1, torch.tensor(list(said))[:, None])[:, 0]
    return {"said": chosen.tolist(), "best": after.max(1).values.tolist()}


if __name__ == "__main__":
    main(int(sys.argv[1]))
