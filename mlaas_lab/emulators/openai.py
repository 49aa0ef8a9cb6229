"""OpenAI's chat completions, with its own key and nothing that OpenAI does not know.

Its reasoning models refuse `max_tokens` and any temperature but 1, as the real ones do.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from mlaas_lab.emulators import Asked, Emulator, Refusal
from mlaas_lab.emulators._openai_chat import KNOWN, Chat

REASONING = re.compile(r"(o\d|gpt-[5-9])")
"""How the names of models begin that think before they answer."""


@dataclass(kw_only=True)
class OpenAI(Chat):
    """The vendor itself: stricter than those who took its wire over."""

    def _body(self, asked: Asked) -> dict[str, Any]:
        body = super()._body(asked)
        if REASONING.match(str(body.get("model"))):
            if "max_tokens" in body:
                raise Refusal(
                    "invalid",
                    "Unsupported parameter: 'max_tokens' is not supported with this model."
                    " Use 'max_completion_tokens' instead.",
                )
            if body.get("temperature", 1) != 1:
                given = json.dumps(body["temperature"])
                raise Refusal(
                    "invalid",
                    f"Unsupported value: 'temperature' does not support {given} with this model."
                    " Only the default (1) value is supported.",
                )
        return body


emulator = Emulator(
    title="OpenAI", vendor=lambda: OpenAI(key="OPENAI_API_KEY", known=KNOWN), base="/v1", model="gpt-4.1-mini"
)
