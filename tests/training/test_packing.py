"""Which tokens are learnt, and that a batch is its chats and nothing else."""

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM

from mlaas_lab.data import Chat
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message
from mlaas_lab.training.lora import loss_of
from mlaas_lab.training.packing import IGNORED, Batches, Row, collate, encode

CHATML = (
    "{%- for m in messages -%}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|end|>\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)
NO_PROMPT = (
    "{%- for m in messages -%}"
    "{%- if m['role'] == 'user' -%}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{%- else -%}{{ ' ' + m['content'] + eos_token }}{%- endif -%}"
    "{%- endfor -%}"
)
FORGETS = (
    "{%- for m in messages -%}"
    "{%- if m['role'] == 'user' -%}{{ '<|user|>' + m['content'] }}"
    "{%- else -%}{{ '<|assistant|>' + ('<think></think>' if loop.last else '') + m['content'] + eos_token }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|assistant|>' }}{%- endif -%}"
)
NO_END = (
    "{%- for m in messages -%}{{ m['role'] + ': ' + m['content'] + '\n' }}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ 'assistant: ' }}{%- endif -%}"
)
REFUSES = "{{ raise_exception('roles must alternate') }}"


def chat(*turns: str, line: int = 1) -> Chat:
    roles = ("user", "assistant")
    messages = tuple(Message(role=roles[at % 2], content=turn) for at, turn in enumerate(turns))  # type: ignore[arg-type]
    return Chat(id=turns[0], messages=messages, line=line)


def learnt(tokenizer, *chats: Chat, template: str | None = None, max_length: int = 200) -> list[str]:
    used = copy.deepcopy(tokenizer)
    if template:
        used.chat_template = template
    rows = encode(chats, used, max_length=max_length)
    return [
        used.decode(
            [token for token, yes in zip(row.tokens, row.learnt, strict=True) if yes], skip_special_tokens=False
        )
        for row in rows
    ]


@pytest.mark.parametrize("template", [None, CHATML, NO_PROMPT])
def test_only_the_answer_and_its_end_are_learnt(tokenizer, template):
    (text,) = learnt(tokenizer, chat("is it red", "no it is blue"), template=template)
    assert text.strip() == "no it is blue<|end|>"


@pytest.mark.parametrize("template", [None, CHATML, NO_PROMPT])
def test_every_answer_of_a_chat_is_learnt(tokenizer, template):
    (text,) = learnt(tokenizer, chat("one", "two", "three", "four"), template=template)
    assert text.replace(" ", "") == "two<|end|>four<|end|>"


def test_a_turn_that_the_template_rewrites_later_is_not_learnt_wrongly(tokenizer):
    (text,) = learnt(tokenizer, chat("one", "two", "three", "four"), template=FORGETS)
    assert text.replace(" ", "") == "<think></think>four<|end|>"


def test_a_template_without_end_mark_gets_one(tokenizer):
    (text,) = learnt(tokenizer, chat("one", "two"), template=NO_END)
    assert text.replace(" ", "") == "two<|end|>"


def test_system_message_is_not_learnt(tokenizer):
    told = Chat(id="x", messages=(Message(role="system", content="be kind"), *chat("one", "two").messages))
    assert learnt(tokenizer, told) == ["two<|end|>"]


def test_what_is_cut_off_is_not_learnt_and_a_chat_without_answer_is_left_out(tokenizer):
    long = chat("word " * 60, "answer")
    assert learnt(tokenizer, long, chat("one", "two"), max_length=20) == ["two<|end|>"]
    with pytest.raises(DataError, match="no answer begins within 20 tokens"):
        learnt(tokenizer, long, max_length=20)


def test_base_without_template_is_one_line(tokenizer):
    used = copy.deepcopy(tokenizer)
    used.chat_template = None
    with pytest.raises(DataError, match="no chat template"):
        encode([chat("one", "two")], used, max_length=10)


def test_chat_that_the_template_refuses_is_named_by_its_line(tokenizer):
    with pytest.raises(DataError, match=r"line 7.*roles must alternate"):
        learnt(tokenizer, chat("one", "two", line=7), template=REFUSES)


@pytest.fixture(scope="module")
def rows(tokenizer) -> tuple[Row, ...]:
    return encode(
        [chat("is it " + "very " * n + "red", "yes " * (1 + n % 4)) for n in range(23)], tokenizer, max_length=200
    )


def test_epochs_hold_every_row_once_in_another_order(rows):
    batches = Batches(rows=rows, size=4, seed=0)
    first, second = ([at for batch in batches.order(epoch) for at in batch] for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert (
        batches.order(0) == Batches(rows=rows, size=4, seed=0).order(0) != Batches(rows=rows, size=4, seed=1).order(0)
    )


def test_batches_after_a_step_are_those_that_would_have_come(rows):
    batches = Batches(rows=rows, size=4, seed=0)
    whole = batches.after(0)
    taken = [next(whole) for _ in range(15)]
    later = batches.after(8)
    for batch in taken[8:]:
        assert torch.equal(next(later).tokens, batch.tokens)


def test_little_is_padded(rows):
    batches = Batches(rows=rows * 20, size=8, seed=0)
    filled = [
        batch.size / batch.tokens.numel() for batch, _ in zip(batches.after(0), range(batches.per_epoch), strict=False)
    ]
    assert sum(filled) / len(filled) > 0.9


def test_loss_of_a_batch_is_that_of_its_chats(toy, rows):
    model = AutoModelForCausalLM.from_pretrained(toy).eval()
    loaded = SimpleNamespace(model=model, device=torch.device("cpu"))
    with torch.no_grad():
        each = [(loss_of(loaded, collate([row])).item(), sum(row.learnt[1:])) for row in rows]
        whole = loss_of(loaded, collate(rows)).item()
        pieces = sum(loss_of(loaded, part).item() for part in collate(rows).parts(5))
        # By hand: logits of one chat alone, all columns, the learnt tokens picked afterwards.
        row = rows[3]
        scores = model(torch.tensor([row.tokens])).logits[0].log_softmax(-1)
        picked = [-scores[at - 1, row.tokens[at]].item() for at in range(1, len(row.tokens)) if row.learnt[at]]
    mean = sum(loss * count for loss, count in each) / sum(count for _, count in each)
    assert whole == pytest.approx(mean, rel=1e-5)
    assert pieces == pytest.approx(whole, rel=1e-5)
    assert each[3][0] == pytest.approx(sum(picked) / len(picked), rel=1e-5)


def test_batch_knows_its_size(rows):
    batch = collate(rows[:3])
    assert batch.size == sum(len(row.tokens) for row in rows[:3])
    assert batch.learnt == int((batch.wanted != IGNORED).sum()) == sum(sum(row.learnt) for row in rows[:3])
