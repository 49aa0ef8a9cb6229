"""One metric of ragas, run by `_runner.py` where `ragas` is installed.

What it would send to a model is asked of our side, and so are the vectors of texts: prompts, retries and scores are its
own. It has no network and reads no file, whatever a context names.
"""

import asyncio
import hashlib
import importlib.metadata
import inspect
import json
import math
import re
from pathlib import Path
from typing import Any

import instructor
from openai.types.chat import ChatCompletion
from ragas.embeddings.base import BaseRagasEmbedding
from ragas.llms.base import InstructorBaseRagasLLM, InstructorLLM
from ragas.metrics import collections

try:
    from instructor.exceptions import InstructorRetryException
except ImportError:  # until its 1.11
    from instructor.retry import InstructorRetryException

FIELDS = {
    "user_input": "question",
    "response": "output",
    "retrieved_contexts": "contexts",
    "reference_contexts": "contexts",
    "reference": "reference",
}
"""What ragas calls what an answer and its sample have."""


class Judge(InstructorBaseRagasLLM):  # type: ignore[misc]  # ragas has no types
    """The client that ragas has for models, with our side behind it.

    It remembers which replies could not be read: some metrics of ragas do not say.
    """

    def __init__(self, near: Any) -> None:
        async def create(*, messages: list[dict[str, Any]], **_: Any) -> ChatCompletion:
            turns = [{"role": one["role"], "content": _text(one.get("content"))} for one in messages]
            said = await asyncio.wrap_future(near.ask(messages=turns))
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
            whole = {"id": "judge", "object": "chat.completion", "created": 0, "model": "judge", "choices": [choice]}
            return ChatCompletion.model_validate(whole)

        # The mode that ragas chooses for OpenAI's wire.
        mode = instructor.Mode.JSON
        asked = instructor.AsyncInstructor(client=None, create=instructor.patch(create=create, mode=mode), mode=mode)
        self._inner = InstructorLLM(client=asked, model="judge", provider="openai")
        self.unread: dict[Any, str] = {}
        """What was wrong with the last reply, by the task that works on an answer."""

    def generate(self, *_: Any, **__: Any) -> Any:
        """Not here: while one waited, all others would."""
        raise RuntimeError("a judge is asked side by side, by agenerate")

    async def agenerate(self, prompt: str, response_model: Any) -> Any:
        """A reply to `prompt` as `response_model`."""
        try:
            return await self._inner.agenerate(prompt, response_model)
        except InstructorRetryException as error:
            self.unread[asyncio.current_task()] = _short(error)
            raise


class Vectors(BaseRagasEmbedding):  # type: ignore[misc]
    """Embeddings of our side."""

    def __init__(self, near: Any) -> None:
        self._near = near

    def embed_text(self, text: str, **_: Any) -> list[float]:
        """The vector of one text."""
        return self.embed_texts([text])[0]

    def embed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        """The vectors of texts."""
        found: list[list[float]] = self._near.ask(texts=texts).result()
        return found

    async def aembed_text(self, text: str, **_: Any) -> list[float]:
        """The vector of one text."""
        return (await self.aembed_texts([text]))[0]

    async def aembed_texts(self, texts: list[str], **_: Any) -> list[list[float]]:
        """The vectors of texts."""
        found: list[list[float]] = await asyncio.wrap_future(self._near.ask(texts=texts))
        return found


class Task:
    """A metric by its name: `faithfulness`."""

    asks = True

    def __init__(self, task: str, near: Any) -> None:
        """`near` answers what it asks."""
        known = {_snake(name): found for name, found in vars(collections).items() if inspect.isclass(found)}
        if task not in known:
            raise ValueError(f"this ragas has no metric {task!r}")
        made: Any = known[task]
        self._judge = Judge(near)
        tools = {"llm": self._judge, "embeddings": Vectors(near)}
        takes = inspect.signature(made.__init__).parameters
        self._metric = made(**{name: tool for name, tool in tools.items() if name in takes})
        self._fields = [name for name in inspect.signature(made.ascore).parameters if name != "self"]
        if strange := set(self._fields) - set(FIELDS):
            raise ValueError(f"{task} needs {', '.join(sorted(strange))}, which no sample has")

    def about(self) -> dict[str, Any]:
        """What decides its scores besides the judge: its version, its prompts and its code."""
        version = importlib.metadata.version("ragas")
        files = sorted(Path(inspect.getfile(type(self._metric))).parent.glob("*.py"))
        code = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
        prompts = [one for one in vars(self._metric).values() if hasattr(one, "instruction")]
        head = f"ragas {version}, {type(self._metric).__name__} (code {code[:16]})"
        return {"version": version, "prompts": "\n\n".join([head, *map(_prompt, prompts)]), "fields": self._fields}

    async def score(self, output: str, question: str, contexts: list[str], reference: str | None) -> dict[str, Any]:
        """What it says of `output`."""
        if not output.strip():
            return _none("not_applicable", "the answer is empty")
        given = {"output": output, "question": question, "contexts": contexts, "reference": reference}
        task = asyncio.current_task()
        try:
            found = await self._metric.ascore(**{name: given[FIELDS[name]] for name in self._fields})
        except InstructorRetryException as error:
            return _none("parse_error", _short(error))
        finally:
            unread = self._judge.unread.pop(task, "")
        try:
            value = float(found.value)
        except (TypeError, ValueError):
            return _none("parse_error", f"ragas gives {found.value!r}, no number"[:300])
        if not math.isfinite(value):
            return _none("parse_error", unread) if unread else _none("judge_error", f"ragas gives {value}")
        return {"value": value, "status": "ok", "reason": (found.reason or None) and found.reason[:300]}


def _none(status: str, reason: str) -> dict[str, Any]:
    return {"value": None, "status": status, "reason": reason}


def _prompt(one: Any) -> str:
    """The words of a prompt, and the form of a reply to it."""
    shown = [f"Input: {given.model_dump_json()}\nOutput: {wanted.model_dump_json()}" for given, wanted in one.examples]
    form = json.dumps(one.output_model.model_json_schema(), sort_keys=True)
    return "\n".join([f"[{type(one).__name__}]", one.instruction, form, *shown])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _short(error: Exception) -> str:
    return f"the judge's reply cannot be read: {' '.join(str(error).split())}"[:300]


def _text(content: Any) -> str:
    """The text of a turn.

    Raises:
        ValueError: if it holds anything else.
    """
    if isinstance(content, str):
        return content
    parts = content or []
    if any(part.get("type") != "text" for part in parts):
        raise ValueError("it asks with more than text")
    return "\n".join(part["text"] for part in parts)
