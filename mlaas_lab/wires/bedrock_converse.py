"""Amazon Bedrock's Converse and ConverseStream: one shape for all of its models, streamed as binary events.

Input tokens do not include the cache's here, so they are added. A stream ends with `messageStop` and then `metadata`,
which alone has the usage. The answer does not name its model, unless a prompt router chose it.
"""

from typing import Any

from mlaas_lab.errors import ProviderBug, Truncated
from mlaas_lab.schema import JSON, Usage
from mlaas_lab.wires import Delta, Ending, Params, Prompt, Reader, Wire, count, filtered
from mlaas_lab.wires._aws import fault
from mlaas_lab.wires._eventstream import Events
from mlaas_lab.wires._faults import refuse
from mlaas_lab.wires._json import Whole, characters, excerpt, loads

FILTERED = ("guardrail_intervened", "content_filtered")
READ = ("contentBlockDelta", "messageStop", "metadata")
"""Types of events that say something of text or usage."""


def _body(prompt: Prompt, params: Params, stream: bool) -> JSON:  # noqa: ARG001 - the address asks for a stream
    limits: dict[str, Any] = {"maxTokens": params.max_tokens}
    if params.temperature is not None:
        limits["temperature"] = params.temperature
    if params.top_p is not None:
        limits["topP"] = params.top_p
    if params.stop:
        limits["stopSequences"] = params.stop
    messages: list[dict[str, Any]] = []
    for message in prompt.messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        # Turns have to alternate: what the same side says is one turn.
        if not messages or messages[-1]["role"] != role:
            messages.append({"role": role, "content": []})
        messages[-1]["content"].append({"text": message.content})
    body: dict[str, Any] = {"messages": messages, "inferenceConfig": limits}
    if system := [{"text": message.content} for message in prompt.messages if message.role == "system"]:
        body["system"] = system
    if params.seed is not None:
        # Converse has no seed of its own; most models that have one call it so.
        body["additionalModelRequestFields"] = {"seed": params.seed}
    return body


def _whole(data: Any) -> Ending:
    if not isinstance(data, dict) or "output" not in data:
        refuse(data)
    content = data["output"]["message"]["content"]
    # Reasoning, tools and citations stand in blocks of other names.
    text = "".join(block["text"] for block in content if "text" in block)
    return _ending(data["stopReason"], data.get("usage"), data.get("trace"), characters(text))


class _Streamed:
    """Reads an answer that comes as binary events."""

    def __init__(self) -> None:
        self._events = Events()
        self._stop: str | None = None
        self._metadata: Any = None

    @property
    def ended(self) -> bool:
        return self._stop is not None and self._metadata is not None

    def feed(self, chunk: bytes) -> tuple[Delta, ...]:
        text = "".join(self._text(kind, payload) for kind, payload in self._events.feed(chunk))
        return (Delta(text),) if text else ()

    def close(self) -> Ending:
        self._events.close()
        if not self.ended:
            raise Truncated("the stream ended before its end mark.")
        return _ending(self._stop, self._metadata.get("usage"), self._metadata.get("trace"), "")

    def _text(self, kind: str, payload: bytes) -> str:
        """What an event adds to the text; reasoning and tools stand in deltas of other names."""
        if kind not in READ:
            return ""
        try:
            event = loads(payload)
            match kind:
                case "messageStop":
                    self._stop = str(event["stopReason"])
                case "metadata":
                    self._metadata = dict(event)
                case _:
                    return characters(event["delta"].get("text", ""))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise ProviderBug(f"an event of the stream is not Converse's: {excerpt(payload)}.") from None
        return ""


def _reader(stream: bool) -> Reader:
    return _Streamed() if stream else Whole(_whole)


def _ending(stop: Any, usage: Any, trace: Any, text: str) -> Ending:
    counted = _usage(usage)
    if stop in FILTERED:
        raise filtered(counted, code=stop)
    router = trace.get("promptRouter") if isinstance(trace, dict) else None
    model = router.get("invokedModelId") if isinstance(router, dict) else None
    return Ending(finish_reason=str(stop), usage=counted, model=model, text=text)


def _usage(data: Any) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    fresh = count(data.get("inputTokens"))
    read, written = count(data.get("cacheReadInputTokens")), count(data.get("cacheWriteInputTokens"))
    return Usage(
        input_tokens=None if fresh is None else fresh + (read or 0) + (written or 0),
        output_tokens=count(data.get("outputTokens")),
        cached_tokens=read,
        cache_write_tokens=written,
    )


wire = Wire(body=_body, reader=_reader, fault=fault)
