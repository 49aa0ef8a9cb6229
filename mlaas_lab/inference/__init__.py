"""Prompting targets: one client inside, synchronous functions outside.

    from mlaas_lab import inference
    route = inference.resolve("echo/any", settings)
    inference.complete("echo/any", [Message(role="user", content="hi")], settings=settings).text

What prompts many times (an evaluation, a load test) uses `Client` inside one `on_loop`.
"""

import asyncio
import queue
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from mlaas_lab.inference.client import Client, Limits
from mlaas_lab.inference.loop import background, on_loop
from mlaas_lab.inference.route import Route, parsed, resolve
from mlaas_lab.schema import Completion, Message, Target
from mlaas_lab.settings import Settings
from mlaas_lab.wires import Params

__all__ = ["Client", "Limits", "Params", "Route", "Streaming", "complete", "on_loop", "parsed", "resolve", "stream"]


def complete(
    target: Target | str,
    messages: Sequence[Message],
    *,
    settings: Settings,
    params: Params | None = None,
    limits: Limits | None = None,
) -> Completion:
    """The answer of one target, waited for.

    Raises:
        UsageError: if there is no such target.
        CallError: what went wrong, with `attempts`.
    """
    route = resolve(target, settings)
    return on_loop(_once(route, messages, params, limits))


async def _once(route: Route, messages: Sequence[Message], params: Params | None, limits: Limits | None) -> Completion:
    async with Client(limits) as client:
        return await client.complete(route, messages, params)


class Streaming(Iterator[str]):
    """Pieces of an answer as they arrive; afterwards `completion` is the whole of it."""

    def __init__(self, route: Route, messages: Sequence[Message], params: Params | None, limits: Limits | None) -> None:
        """The request is sent at once."""
        self.completion: Completion | None = None
        self._over = False
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._future = asyncio.run_coroutine_threadsafe(self._run(route, messages, params, limits), background())
        self._future.add_done_callback(lambda _future: self._pieces.put(None))

    def __next__(self) -> str:
        if self._over:
            raise StopIteration
        with ExitStack() as interrupted:
            interrupted.callback(self.close)
            piece = self._pieces.get()
            interrupted.pop_all()
        if piece is not None:
            return piece
        self._over = True
        self.completion = self._future.result()
        raise StopIteration

    def close(self) -> None:
        """Hang up; nothing more is generated."""
        self._over = True
        self._future.cancel()

    async def _run(
        self, route: Route, messages: Sequence[Message], params: Params | None, limits: Limits | None
    ) -> Completion:
        async with Client(limits) as client:
            return await client.complete(route, messages, params, stream=True, on_delta=self._pieces.put)


def stream(
    target: Target | str,
    messages: Sequence[Message],
    *,
    settings: Settings,
    params: Params | None = None,
    limits: Limits | None = None,
) -> Streaming:
    """The answer of one target, piece by piece.

    Raises:
        UsageError: if there is no such target. Iterating raises CallError.
    """
    return Streaming(resolve(target, settings), messages, params, limits)
