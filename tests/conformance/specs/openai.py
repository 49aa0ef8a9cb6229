# requires: openai==3.54.0
"""The typed requests of OpenAI's SDK, which are made from its OpenAPI document: no other field, no other type."""

import json
import sys
import typing
from pathlib import Path

# This file has the library's name.
sys.path = [path for path in sys.path if Path(path) != Path(__file__).parent]
import openai._types  # noqa: E402

# pydantic reads no protocol; this one means a sequence.
openai._types.SequenceNotStr = typing.Sequence

from openai.types.chat import completion_create_params as typed  # noqa: E402
from pydantic import ConfigDict, TypeAdapter, ValidationError  # noqa: E402
from typing_extensions import is_typeddict  # noqa: E402


def strict() -> None:
    """Every typed dictionary of the chat API refuses what it does not name."""
    for name, module in list(sys.modules.items()):
        if name.startswith("openai.types."):
            for found in vars(module).values():
                if is_typeddict(found):
                    found.__pydantic_config__ = ConfigDict(extra="forbid")


def violations(request: dict[str, typing.Any]) -> list[str]:
    """What is wrong with one request."""
    body = json.loads(request["body"])
    adapter = STREAMING if body.get("stream") else PLAIN
    try:
        read = adapter.validate_python(body)
        # An iterable is read as it is asked for.
        list(read["messages"])
    except ValidationError as error:
        return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


strict()
PLAIN = TypeAdapter(typed.CompletionCreateParamsNonStreaming)
STREAMING = TypeAdapter(typed.CompletionCreateParamsStreaming)
print(json.dumps([found for request in json.load(sys.stdin) for found in violations(request)]))
