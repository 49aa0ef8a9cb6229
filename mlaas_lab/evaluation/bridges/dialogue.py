"""A tool of another interpreter that asks a judge itself, several answers at a time: the call to the judge is ours.

The tool writes what it wants to ask, and waits; it has no network, no key and no file of ours. An answer that it hangs
on or dies of is tried once more with nobody beside it, so that it costs no other answer its score.
"""

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self

from mlaas_lab.errors import MissingExtra
from mlaas_lab.evaluation.bridges import MOST_DEATHS, Bridge, Died, Refused, Show, as_said, outcome
from mlaas_lab.evaluation.judge import Ask, Unanswered
from mlaas_lab.schema import Message, Sample, Score, ScoreStatus

Embed = Callable[[Sequence[str]], list[list[float]]]
"""Vectors of texts, all of one length."""


class Dialogue:
    """One process, and the answers that it works on; a context on an event loop."""

    def __init__(self, bridge: Bridge, embed: Embed) -> None:
        """`embed` is called in a thread, one call at a time."""
        self._bridge, self._embed = bridge, embed
        self._numbers = itertools.count(1)
        self._open: dict[int, asyncio.Queue[Mapping[str, Any] | Died]] = {}
        self._writing, self._embedding = asyncio.Lock(), asyncio.Lock()
        self._died: Died | None = None

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            MissingExtra, Refused, Died, TimeoutError: as a Bridge does.
        """
        await asyncio.to_thread(self._bridge.__enter__)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._hear, args=(loop,), daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._bridge.close)

    async def score(self, words: Mapping[str, Any], ask: Ask, limit_s: float) -> Any:
        """What its `score` gives, while `ask` answers what it asks.

        Raises:
            Refused: for what it raises.
            TimeoutError: if it does nothing for `limit_s`; the time that a judge takes is not its own.
            Died: if it ends instead.
        """
        if self._died:
            raise self._died
        number = next(self._numbers)
        lines = self._open[number] = asyncio.Queue()
        try:
            await self._tell({"id": number, "call": "score", **words}, limit_s)
            while True:
                line = await _within(limit_s, lines.get())
                if isinstance(line, Died):
                    raise line
                if "asks" not in line:
                    return outcome(line)
                await self._tell(await self._answer(line, ask), limit_s)
        finally:
            del self._open[number]

    async def _answer(self, line: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
        if "texts" in line:
            async with self._embedding:
                return {"answers": line["asks"], "said": await asyncio.to_thread(self._embed, line["texts"])}
        try:
            said = await ask([Message(role=turn["role"], content=turn["content"]) for turn in line["messages"]])
        except Unanswered as error:
            return {"answers": line["asks"], "failed": str(error)}
        return {"answers": line["asks"], "said": said}

    async def _tell(self, line: Mapping[str, Any], limit_s: float) -> None:
        async with self._writing:
            await _within(limit_s, asyncio.to_thread(self._bridge.tell, line))

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand every line on to the loop; a thread's work, until the process ends."""
        while True:
            try:
                line = self._bridge.hear()
            except Died as error:
                loop.call_soon_threadsafe(self._end, error)
                return
            loop.call_soon_threadsafe(self._hand, line)

    def _hand(self, line: Mapping[str, Any]) -> None:
        waiting = self._open.get(line.get("of", line.get("id")))
        if waiting is not None:
            waiting.put_nowait(line)

    def _end(self, error: Died) -> None:
        self._died = error
        for waiting in self._open.values():
            waiting.put_nowait(error)


class Consultation:
    """A tool that scores answers by asking a judge; its processes come and go; a context on an event loop."""

    def __init__(self, start: Callable[[], Bridge], *, show: Show, embed: Embed, limit_s: float) -> None:
        """`limit_s` is how long the tool itself may take between two lines."""
        self._start, self._show, self._embed, self._limit_s = start, show, embed, limit_s
        self._live: Dialogue | None = None
        self._starting, self._gate = asyncio.Lock(), asyncio.Lock()
        self._n, self._still = 0, asyncio.Event()
        self._still.set()
        self._deaths, self._reason = 0, ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._let_go(self._live)

    async def score(self, answer: str, sample: Sample, begin: Callable[[], Ask]) -> Score:
        """What the tool says of `answer`, or why it says nothing."""
        words = self._show(answer, sample)
        with suppress(Died, TimeoutError):
            async with self._among_others():
                return await self._tried(words, begin())
        async with self._alone():
            try:
                return await self._tried(words, begin())
            except (Died, TimeoutError) as error:
                status = ScoreStatus.TIMEOUT if isinstance(error, TimeoutError) else ScoreStatus.JUDGE_ERROR
                self._deaths, self._reason = self._deaths + 1, str(error)
                return Score(value=None, status=status, reason=self._reason)

    async def _tried(self, words: Mapping[str, Any], ask: Ask) -> Score:
        """One try.

        Raises:
            Died, TimeoutError: if it may be this answer's fault, or that of one beside it.
        """
        if self._deaths >= MOST_DEATHS:
            return _failed(self._reason)
        live: Dialogue | None = None
        try:
            live = await self._started()
            said = await live.score(words, ask, self._limit_s)
            self._deaths = 0
        except Refused as error:
            # One that does not come up would not for the next answer either.
            self._deaths, self._reason = self._deaths + (live is None), str(error)
            return _failed(str(error))
        except (Died, TimeoutError):
            await self._let_go(live)
            raise
        return as_said(said)

    async def _started(self) -> Dialogue:
        async with self._starting:
            if self._live is None:
                made = Dialogue(self._start(), self._embed)
                try:
                    self._live = await made.__aenter__()
                except MissingExtra as error:
                    raise Refused(str(error)) from None
            return self._live

    async def _let_go(self, one: Dialogue | None) -> None:
        if one is not None and one is self._live:
            self._live = None
            await one.__aexit__(None, None, None)

    @asynccontextmanager
    async def _among_others(self) -> AsyncIterator[None]:
        async with self._gate:
            self._n += 1
            self._still.clear()
        try:
            yield
        finally:
            self._n -= 1
            if not self._n:
                self._still.set()

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        async with self._gate:
            await self._still.wait()
            yield


async def _within(limit_s: float, work: Any) -> Any:
    # Not `asyncio.wait_for`: before Python 3.12 it swallows a stop that comes as its work ends.
    try:
        async with asyncio.timeout(limit_s):
            return await work
    except TimeoutError:
        raise TimeoutError(f"no answer within {limit_s:g} s") from None


def _failed(reason: str) -> Score:
    return Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason=reason)
