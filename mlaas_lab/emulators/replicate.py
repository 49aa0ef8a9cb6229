"""Replicate, from its HTTP reference: predictions are kept between requests, looked at, streamed and cancelled."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlaas_lab.emulators import Answer, Asked, Emulator, Frame, Kind, Mind, Question, Refusal, Reply, practice_key
from mlaas_lab.emulators._openai_chat import json_reply

CREATE = re.compile(r"/v1/(?:models/(?P<model>[^/]+/[^/]+)/|deployments/(?P<deployment>[^/]+/[^/]+)/|)predictions")
LOOK = re.compile(r"/v1/predictions/(?P<id>[^/]+)(?P<cancel>/cancel)?")
STREAM = re.compile(r"/v1/files/(?P<id>[^/]+)")
STATUSES: Mapping[Kind, tuple[int, str | None]] = {
    "rate_limited": (429, None),
    "overloaded": (503, None),
    "auth": (401, "Unauthenticated"),
    "not_found": (404, None),
    "invalid": (422, "Input validation failed"),
}
"""Kind of refusal → HTTP status and title."""
FIELDS = frozenset({"input", "version", "stream", "webhook", "webhook_events_filter"})
INPUTS: Mapping[str, type | tuple[type, ...]] = {
    "prompt": str,
    "system_prompt": str,
    "prompt_template": str,
    "stop_sequences": str,
    "max_tokens": int,
    "min_tokens": int,
    "top_k": int,
    "seed": int,
    "temperature": (int, float),
    "top_p": (int, float),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "length_penalty": (int, float),
}
"""What its language models take, and as what."""
FILTERED = "The output was flagged as sensitive. Please try again with different inputs. (E005)"
MADE_AT = "2025-06-15T15:06:40.000Z"


@dataclass(kw_only=True)
class _Prediction:
    id: str
    model: str
    version: str
    input: Mapping[str, Any]
    answer: Answer
    streams: bool
    status: str = "starting"
    looks: int = 0
    billed: bool = False


@dataclass(kw_only=True)
class Replicate:
    """One account's predictions."""

    slow: int = 0
    """So many looks find a prediction still running."""
    counts: bool = True
    """The models count tokens, as those that Replicate itself keeps do."""
    joined: bool = False
    """The models give their output as one string."""
    kept: dict[str, _Prediction] = field(default_factory=dict)

    def answer(self, asked: Asked, mind: Mind) -> Reply:
        """The reply to `asked`: a prediction, or its stream."""
        self._authenticate(asked)
        if asked.method == "POST" and (found := CREATE.fullmatch(asked.path)):
            return self._created(asked, found, mind)
        if asked.method == "GET" and (found := STREAM.fullmatch(asked.path)):
            return self._streamed(asked, self._found(found["id"]))
        found = LOOK.fullmatch(asked.path)
        if found is None or asked.method != ("POST" if found["cancel"] else "GET"):
            raise Refusal("not_found", "The requested resource could not be found.")
        prediction = self._found(found["id"])
        if found["cancel"]:
            prediction.status = "canceled"
        else:
            self._advance(prediction)
        return self._shown(asked, prediction, status=200)

    def refusal(self, refusal: Refusal, asked: Asked) -> Reply:
        """How Replicate refuses: a problem document, or a prediction that failed."""
        if refusal.kind == "filtered":
            nothing = Answer(pieces=(), finish="filter", input_tokens=0, output_tokens=0)
            failed = _Prediction(
                id="refused", model="", version="", input={}, answer=nothing, streams=False, status="failed"
            )
            return json_reply(self._json(asked, failed), status=201)
        status, title = STATUSES[refusal.kind]
        body = {**({"title": title} if title else {}), "detail": refusal.message, "status": status}
        return json_reply(body, status=status, headers={"Content-Type": "application/problem+json"})

    def _authenticate(self, asked: Asked) -> None:
        sent = asked.headers.get("Authorization")
        if not sent:
            raise Refusal("auth", "You did not pass an authentication token")
        if sent != f"Bearer {practice_key('REPLICATE_API_TOKEN')}":
            raise Refusal("auth", f"You did not pass a valid authentication token: {sent.removeprefix('Bearer ')}")

    def _created(self, asked: Asked, path: re.Match[str], mind: Mind) -> Reply:
        body = _body(asked)
        named = path["model"] or path["deployment"]
        if (body.get("version") is None) == (named is None):
            raise Refusal("invalid", "- version is required, unless the path names a model\n")
        asks = body["input"]
        before = (("system", asks["system_prompt"]),) if asks.get("system_prompt") else ()
        model = str(named or body["version"])
        answer = mind(
            Question(
                model=model,
                turns=(*before, ("user", asks["prompt"])),
                max_tokens=asks.get("max_tokens", 512),
                temperature=asks.get("temperature"),
            )
        )
        prediction = _Prediction(
            id=f"emulated{len(self.kept)}",
            model=model,
            version=str(body.get("version") or "hidden"),
            input=asks,
            answer=answer,
            streams=body.get("stream") is True,
        )
        self.kept[prediction.id] = prediction
        if re.fullmatch(r"wait(=\d+)?", asked.headers.get("Prefer", "")):
            self._advance(prediction)
        return self._shown(asked, prediction, status=201)

    def _found(self, name: str) -> _Prediction:
        if name not in self.kept:
            raise Refusal("not_found", "The requested resource could not be found.")
        return self.kept[name]

    def _advance(self, prediction: _Prediction) -> None:
        """Time goes by between two looks."""
        if prediction.status == "canceled":
            return
        prediction.looks += 1
        ended = "failed" if prediction.answer.finish == "filter" else "succeeded"
        prediction.status = ended if prediction.looks > self.slow else "processing"

    def _shown(self, asked: Asked, prediction: _Prediction, *, status: int) -> Reply:
        ended = prediction.status in ("succeeded", "failed")
        bills = ended and not prediction.billed
        prediction.billed = prediction.billed or ended
        more = {"model": prediction.model, "answer": prediction.answer} if bills else {}
        return json_reply(self._json(asked, prediction), status=status, **more)

    def _json(self, asked: Asked, prediction: _Prediction) -> dict[str, Any]:
        answer, here = prediction.answer, f"{asked.url}/v1/predictions/{prediction.id}"
        succeeded, ended = prediction.status == "succeeded", prediction.status in ("succeeded", "failed")
        counts = {"input_token_count": answer.input_tokens, "output_token_count": answer.output_tokens}
        metrics = {"predict_time": 0.1, "total_time": 0.2, **(counts if self.counts else {})}
        output = answer.text if self.joined else list(answer.pieces)
        stream = {"stream": f"{asked.url}/v1/files/{prediction.id}"} if prediction.streams else {}
        return {
            "id": prediction.id,
            "model": prediction.model,
            "version": prediction.version,
            "input": prediction.input,
            "logs": "",
            "output": output if succeeded else None,
            "data_removed": False,
            "error": FILTERED if prediction.status == "failed" else None,
            "status": prediction.status,
            "created_at": MADE_AT,
            "started_at": MADE_AT if ended else None,
            "completed_at": MADE_AT if ended else None,
            "metrics": metrics if ended else {},
            "urls": {"get": here, "cancel": f"{here}/cancel", **stream},
        }

    def _streamed(self, asked: Asked, prediction: _Prediction) -> Reply:
        if "text/event-stream" not in asked.headers.get("Accept", ""):
            raise Refusal("invalid", "- Accept: text/event-stream is expected\n")
        if not prediction.streams:
            raise Refusal("not_found", "The requested resource could not be found.")
        prediction.billed = True
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        frames = list(_frames(prediction))
        return Reply(headers=headers, frames=frames, model=prediction.model, answer=prediction.answer)


def _body(asked: Asked) -> dict[str, Any]:
    if asked.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise Refusal("invalid", "- the body must be application/json\n")
    try:
        body = json.loads(asked.body)
    except ValueError:
        raise Refusal("invalid", "- the body is not JSON\n") from None
    if not isinstance(body, dict) or not isinstance(body.get("input"), dict):
        raise Refusal("invalid", "- input is required\n")
    if unknown := sorted(set(body) - FIELDS):
        raise Refusal("invalid", f"- Additional property {unknown[0]} is not allowed\n")
    if not body["input"].get("prompt"):
        raise Refusal("invalid", "- input: prompt is required\n")
    for name, value in body["input"].items():
        if name not in INPUTS:
            raise Refusal("invalid", f"- input: Additional property {name} is not allowed\n")
        if not isinstance(value, INPUTS[name]) or isinstance(value, bool):
            raise Refusal("invalid", f"- input.{name}: Invalid type\n")
    return body


def _frames(prediction: _Prediction) -> Iterator[Frame]:
    for n, piece in enumerate(prediction.answer.pieces):
        yield _event("output", piece, n, tokens=1)
    n = len(prediction.answer.pieces)
    if prediction.status == "canceled":
        yield _event("done", '{"reason": "canceled"}', n)
    elif prediction.answer.finish == "filter":
        yield _event("error", FILTERED, n)
        yield _event("done", '{"reason": "error"}', n + 1)
    else:
        yield _event("done", "{}", n)
    yield Frame(data=b":408\n")


def _event(name: str, data: str, n: int, *, tokens: int = 0) -> Frame:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return Frame(data=f"event: {name}\nid: {n}:0\n{lines}\n".encode(), tokens=tokens)


emulator = Emulator(title="Replicate", vendor=Replicate, model="meta/meta-llama-3-8b-instruct")
