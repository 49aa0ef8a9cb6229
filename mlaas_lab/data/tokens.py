"""How many tokens a chat has for a base model: its own chat template and tokenizer, without torch.

The template comes with the base and runs in jinja2's sandbox.
"""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from mlaas_lab import registry
from mlaas_lab.data.rows import BadRow
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message

GENERATION = re.compile(r"(\{%-?\s*)(end)?generation(\s*-?%\})")
"""A tag of transformers that marks the assistant's tokens and writes nothing."""


def counter(base: Path) -> Callable[[Sequence[Message]], int]:
    """A function that counts the tokens of a chat under the base in folder `base`.

    The function raises BadRow where the template refuses a chat.

    Raises:
        DataError: if the folder has no tokenizer or no chat template.
        MissingExtra: if tokenizers or jinja2 is not installed.
    """
    if not (base / "tokenizer.json").is_file():
        raise DataError(f"{base} has no tokenizer.json.", next="Name a base that is built or downloaded: --base NAME")
    tokenizer = registry.resolve("tokenizers:Tokenizer").from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    render = _template(base)

    def count(messages: Sequence[Message]) -> int:
        return len(tokenizer.encode(render(messages), add_special_tokens=False).ids)

    return count


def _template(base: Path) -> Callable[[Sequence[Message]], str]:
    """The base's chat template as a function, as transformers would run it."""
    jinja2 = registry.resolve("jinja2")
    sandbox = registry.resolve("jinja2.sandbox")
    text, special = _template_text(base)
    environment = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals |= {"raise_exception": _refuse, "strftime_now": datetime.now().astimezone().strftime}
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    template = environment.from_string(GENERATION.sub(_as_condition, text))

    def render(messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            return str(template.render(messages=turns, add_generation_prompt=False, **special))
        except jinja2.TemplateError as error:
            raise BadRow(f"the base's chat template refuses this chat: {error}") from None

    return render


def _template_text(base: Path) -> tuple[str, dict[str, str]]:
    """The template, and the special tokens that it may name."""
    place = base / "tokenizer_config.json"
    config: dict[str, Any] = json.loads(place.read_text()) if place.is_file() else {}
    special = {name: _token(value) for name, value in config.items() if name.endswith("_token") and value}
    beside = base / "chat_template.jinja"
    text = beside.read_text() if beside.is_file() else config.get("chat_template")
    if isinstance(text, list):  # several named templates
        text = next((entry["template"] for entry in text if entry.get("name") == "default"), None)
    if not text:
        raise DataError(f"{base} has no chat template.", next="Use the instruction-tuned model of that family.")
    return str(text), special


def _token(value: Any) -> str:
    return str(value.get("content", "")) if isinstance(value, dict) else str(value)


def _as_condition(tag: re.Match[str]) -> str:
    return f"{tag[1]}{'endif' if tag[2] else 'if true'}{tag[3]}"


def _refuse(message: str) -> None:
    raise BadRow(f"the base's chat template refuses this chat: {message}")
