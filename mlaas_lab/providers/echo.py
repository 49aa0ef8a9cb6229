"""Echo: answers with the last message, in this process, through the very path that every other answer takes.

For first steps without a key, for tests, and to see what the client itself costs. One word is one token.
"""

import re
from collections.abc import Iterator
from typing import Any

import orjson

from mlaas_lab.providers import Provider
from mlaas_lab.wires import openai_chat


def _reply(body: bytes) -> Iterator[bytes]:
    asked = orjson.loads(body)
    words = re.findall(r"\s*\S+\s*$|\s*\S+", asked["messages"][-1]["content"])
    said = words[: asked["max_tokens"]]
    finish = "stop" if len(said) == len(words) else "length"
    usage = {
        "prompt_tokens": sum(len(message["content"].split()) for message in asked["messages"]),
        "completion_tokens": len(said),
    }
    if not asked.get("stream"):
        choice: dict[str, Any] = {"message": {"content": "".join(said)}, "finish_reason": finish}
        yield orjson.dumps({"model": asked["model"], "choices": [choice], "usage": usage})
        return
    for word in said:
        yield _event({"model": asked["model"], "choices": [{"delta": {"content": word}}]})
    yield _event({"choices": [{"delta": {}, "finish_reason": finish}]})
    yield _event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


provider = Provider(title="Echo, in this process", wire=openai_chat.wire, reply=_reply, checked="example: it is ours")
