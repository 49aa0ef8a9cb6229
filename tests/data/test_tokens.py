"""Tokens are counted as transformers counts them: the base's own template, then its tokenizer."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from mlaas_lab.data.rows import BadRow
from mlaas_lab.data.tokens import counter
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message

TEMPLATE = """{{ bos_token }}{%- for message in messages %}
    {%- if message.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}
    {%- if loop.index0 > 8 %}{% break %}{% endif %}
 {{ message.role }} : {% generation %}{{ message.content }}{% endgeneration %}
{%- endfor %}"""
VOCABULARY = {word: i for i, word in enumerate(["[UNK]", "<s>", "user", "assistant", ":", "hello", "there"])}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "bos_token": {"content": "<s>"},
        "eos_token": None,
        "unk_token": "[UNK]",
        "tokenizer_class": "TokenizersBackend",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def chat(*turns: tuple[str, str]) -> list[Message]:
    return [Message(role=role, content=content) for role, content in turns]  # type: ignore[arg-type]


def test_template_and_content_are_counted(base: Path) -> None:
    assert counter(base)(chat(("user", "hello"), ("assistant", "hello there"))) == 1 + 3 + 4


def test_it_agrees_with_transformers(base: Path) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(base / "tokenizer.json"), bos_token="<s>")
    for turns in ([("user", "hello")], [("user", "a b c"), ("assistant", "hello"), ("user", "x")] * 4):
        messages = chat(*turns)
        plain = [{"role": m.role, "content": m.content} for m in messages]
        want = tokenizer.apply_chat_template(plain, chat_template=TEMPLATE, tokenize=True, return_dict=False)
        assert counter(base)(messages) == len(want)


def test_a_chat_that_the_template_refuses(base: Path) -> None:
    with pytest.raises(BadRow, match="refuses this chat: no system role"):
        counter(base)(chat(("system", "x")))


def test_the_template_stays_in_its_sandbox(base: Path) -> None:
    (base / "chat_template.jinja").write_text("{{ ''.__class__.__mro__[1].__subclasses__() }}")
    with pytest.raises(BadRow, match="refuses"):
        counter(base)(chat(("user", "x")))


def test_templates_in_the_config(base: Path) -> None:
    (base / "chat_template.jinja").unlink()
    config = {"chat_template": [{"name": "tool_use", "template": "a b c"}, {"name": "default", "template": "hello"}]}
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    assert counter(base)(chat(("user", "x"))) == 1


@pytest.mark.parametrize(
    ("name", "said"), [("tokenizer.json", "no tokenizer"), ("chat_template.jinja", "no chat template")]
)
def test_what_is_missing(name: str, said: str, base: Path) -> None:
    (base / name).unlink()
    with pytest.raises(DataError, match=said):
        counter(base)
