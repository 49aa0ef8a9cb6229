"""What the embedded server counts, and says in Prometheus' text format: requests, steps of its models, tokens."""

from collections import Counter
from typing import Any, ClassVar

import torch
from starlette.responses import PlainTextResponse

CHAT, METRICS = "/v1/chat/completions", "/metrics"


class Counting:
    """Counts requests under way, steps of the models and tokens, and tells them at `/metrics`."""

    running = 0
    steps = 0
    read: ClassVar[Counter[str]] = Counter()
    """Tokens of prompts, by model."""
    written: ClassVar[Counter[str]] = Counter()
    """Tokens of whole answers, and of streams that were looked at when they had ended."""
    streams: ClassVar[list[tuple[str, Any]]] = []
    """Model and streamer of those that may go on; each knows its own tokens."""

    def __init__(self, app: Any) -> None:
        """`app` answers everything else."""
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Count what is passed on."""
        if scope["type"] != "http" or scope["path"] not in (CHAT, METRICS):
            await self.app(scope, receive, send)
        elif scope["path"] == METRICS:
            await PlainTextResponse(told())(scope, receive, send)
        else:
            Counting.running += 1
            try:
                await self.app(scope, receive, send)
            finally:
                Counting.running -= 1


def told() -> str:
    """All counts, a line each."""
    written = Counter(Counting.written)
    for model, streamer in Counting.streams:
        written[model] += streamer.total_tokens
    if not Counting.running:  # they have ended, and would stay in memory
        Counting.written, Counting.streams = written, []
    lines = [f"mlaas:requests_running {Counting.running}", f"mlaas:steps_total {Counting.steps}"]
    for name, counts in {"prompt_tokens_total": Counting.read, "generation_tokens_total": written}.items():
        lines += [f'mlaas:{name}{{model="{model}"}} {n}' for model, n in counts.items()] or [f"mlaas:{name} 0"]
    return "".join(f"{line}\n" for line in lines)


def one_step(*_: Any) -> None:
    """Count a forward pass; a hook of each model."""
    Counting.steps += 1


class Heard:
    """One answer as it is generated, kept in tokens."""

    def __init__(self, manager: Any, model: str) -> None:
        """`manager` generates it; `model` is how it is counted."""
        self._manager, self._model = manager, model
        self.read: list[int] = []
        self.written: list[int] = []

    def generate_streaming(self, model: Any, processor: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        """A queue of pieces, and the streamer that fills it and counts its tokens."""
        queue, streamer = self._manager.generate_streaming(model, processor, inputs, *args, **more)
        Counting.read[self._model] += torch.as_tensor(inputs["input_ids"]).numel()
        Counting.streams.append((self._model, streamer))
        return queue, streamer

    async def generate_non_streaming(self, model: Any, processor: Any, inputs: Any, *args: Any, **more: Any) -> Any:
        """Text, prompt length in tokens, and the tokens of the answer."""
        found = await self._manager.generate_non_streaming(model, processor, inputs, *args, **more)
        self.read = torch.as_tensor(inputs["input_ids"]).flatten().tolist()
        self.written = torch.as_tensor(found[2]).tolist()
        Counting.read[self._model] += len(self.read)
        Counting.written[self._model] += len(self.written)
        return found
