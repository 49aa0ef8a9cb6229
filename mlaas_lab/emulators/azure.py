"""Azure OpenAI: both of its ways in, its two ways to prove who asks, and what its content filter says.

A prompt that the filter stops is an HTTP 400 with an `innererror`; an answer that it stops is an HTTP 200 that ends
with `content_filter`. A stream begins with a chunk that has no choice but the filter's results for the prompt.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Refusal, Reply, practice_key
from mlaas_lab.emulators._openai_chat import KNOWN, Chat, json_reply

UNDATED = "/openai/v1/chat/completions"
DATED = r"/openai/deployments/(?P<model>[^/]+)/chat/completions"
VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
NEWER = "2024-10-21"
"""The last general version, and those before it, know no `max_completion_tokens`."""
CATEGORIES = ("hate", "self_harm", "sexual", "violence")
SAFE = {name: {"filtered": False, "severity": "safe"} for name in CATEGORIES}
FILTERED = {**SAFE, "violence": {"filtered": True, "severity": "medium"}}
STATUSES: Mapping[Kind, tuple[int, str]] = {
    "rate_limited": (429, "429"),
    "overloaded": (503, "InternalServerError"),
    "filtered": (400, "content_filter"),
    "auth": (401, "401"),
    "not_found": (404, "DeploymentNotFound"),
    "invalid": (400, "BadRequest"),
}
"""Kind of refusal → HTTP status and code."""


def refused(refusal: Refusal) -> Reply:
    """A refusal in Azure's words: its code is often the status as text."""
    status, code = STATUSES[refusal.kind]
    error: dict[str, Any] = {"code": code, "message": refusal.message}
    if refusal.kind == "filtered":
        inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": FILTERED}
        error |= {"type": None, "param": "prompt", "status": status, "innererror": inner}
    return json_reply({"error": error}, status=status)


@dataclass(kw_only=True)
class Azure(Chat):
    """A resource with any deployment one asks for."""

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The completion, with the headers of Azure's gateway."""
        reply = super().answer(asked, mind)
        mark = f"{int(asked.at * 1e6):x}"
        gateway = {
            "apim-request-id": f"apim-{mark}",
            "azureml-model-session": "v20250101-1-000000000",
            "x-ms-region": "Sweden Central",
            "x-ms-deployment-name": reply.model,
            "x-ratelimit-remaining-requests": "99",
        }
        return replace(reply, headers={**reply.headers, **gateway})

    def _authenticate(self, asked: Asked) -> None:
        key = asked.headers.get("api-key")
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        accepted = {practice_key("AZURE_OPENAI_AD_TOKEN")}
        if asked.path == UNDATED:
            accepted.add(practice_key("AZURE_OPENAI_API_KEY"))
        if key != practice_key("AZURE_OPENAI_API_KEY") and token not in accepted:
            raise Refusal(
                "auth",
                "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key"
                f" for an active subscription, not {key or token}.",
            )

    def _body(self, asked: Asked) -> dict[str, Any]:
        version = parse_qs(asked.query).get("api-version", [""])[0]
        if asked.path != UNDATED and not VERSION.fullmatch(version):
            raise Refusal("not_found", "Resource not found")
        body = super()._body(asked)
        if asked.path != UNDATED and version <= NEWER and "max_completion_tokens" in body:
            raise Refusal("invalid", "Unrecognized request argument supplied: max_completion_tokens")
        return body

    def _whole(self, model: str, answer: Answer) -> dict[str, Any]:
        whole = super()._whole(unquote(model), answer)
        whole["choices"][0]["content_filter_results"] = _results(answer)
        return {**whole, "prompt_filter_results": _prompt_results()}

    def _stream(self, model: str, body: Mapping[str, Any], answer: Answer) -> list[Frame]:
        first = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        first["prompt_filter_results"] = _prompt_results()
        frames = super()._stream(unquote(model), body, answer)
        return [Frame(data=f"data: {json.dumps(first)}\n\n".encode()), *frames]

    def _deltas(self, answer: Answer) -> Iterator[tuple[dict[str, Any], str | None, int]]:
        yield {"role": "assistant", "content": "", "refusal": None}, None, 0
        for piece in answer.pieces:
            yield {"content": piece}, None, 1
        yield {}, self._finish(answer), 0


def _results(answer: Answer) -> dict[str, Any]:
    return FILTERED if answer.finish == "filter" else SAFE


def _prompt_results() -> list[dict[str, Any]]:
    return [{"prompt_index": 0, "content_filter_results": SAFE}]


emulator = Emulator(
    title="Azure OpenAI",
    vendor=lambda: Azure(
        key="AZURE_OPENAI_API_KEY",
        path=f"{UNDATED}|{DATED}",
        known=KNOWN | {"data_sources", "user_security_context"},
        refused=refused,
    ),
    model="my-deployment",
    target="resource=my-resource",
)
