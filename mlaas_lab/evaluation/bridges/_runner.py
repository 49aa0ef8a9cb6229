"""The far end of a bridge: run by another interpreter, with its libraries and none of ours.

`PYTHON -I _runner.py SCRIPT` reads requests and writes replies as lines of JSON; what a library prints goes to
standard error. Before any library is loaded, an audit hook (PEP 578) is set that cannot be taken back: a connection or
a name looked up beyond this machine, another process, and with `folders` named a file opened elsewhere, raise
PermissionError. It keeps honest libraries from fetching; it is no sandbox for code that means harm.

A `Task` with `asks` works on several requests at a time, each with an `id`, and may ask back: `{"asks": n, "of": id}`
is answered by `{"answers": n}`.
"""

import asyncio
import importlib.util
import inspect
import itertools
import json
import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

LOCAL = frozenset({"127.0.0.1", "::1", "localhost"})
"""The hosts that may be spoken to."""
CONNECTS = ("socket.connect", "socket.sendto", "socket.sendmsg")
LOOKS_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
)


class Guard:
    """What code in this process may reach."""

    def __init__(self, folders: list[str], alone: bool = False) -> None:
        """`folders`: where files may be read besides the interpreter's own; none: everywhere, unless it is `alone`.

        Who is alone reaches nobody on this machine either.
        """
        own = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(__file__)}
        system = ("/dev/", "/usr/") if alone else ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/")
        named = [os.path.realpath(folder) for folder in folders]
        self._folders = (*(f"{place}{os.sep}" for place in (*named, *map(os.path.realpath, own))), *system)
        self._closed = bool(folders) or alone
        self._local = frozenset() if alone else LOCAL

    def watch(self, event: str, found: tuple[Any, ...]) -> None:
        """The audit hook.

        Raises:
            PermissionError: for what may not be.
        """
        if event in CONNECTS:
            address = found[1]
            if not isinstance(address, tuple) or not self._near(address[0]):
                raise PermissionError(f"a bridge reaches no other machine: {address!r}")
        elif event in LOOKS_UP:
            if found[0] not in (None, "", b"") and not self._near(found[0]):
                raise PermissionError(f"a bridge looks nobody up: {found[0]!r}")
        elif event in STARTS:
            raise PermissionError(f"a bridge starts no other process: {event}")
        elif event == "open" and self._closed and isinstance(found[0], (str, bytes)):
            path = os.path.realpath(os.fsdecode(found[0]))
            if not f"{path}{os.sep}".startswith(self._folders):
                raise PermissionError(f"a bridge opens no file here: {path!r}")

    def _near(self, host: Any) -> bool:
        return (host.decode("ascii", "replace") if isinstance(host, bytes) else host) in self._local


class _Outcome:
    """What became of a request: `said`, or `failed` with the error's name and words."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = {}

    def __enter__(self) -> dict[str, Any]:
        return self.reply

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> bool:
        if error is not None:
            self.reply = {"failed": type(error).__name__, "message": " ".join(str(error).split())}
        return True


class Near:
    """Our side, as a task sees it that asks back: it writes a line, and somebody answers it."""

    def __init__(self, write: Callable[[dict[str, Any]], None]) -> None:
        self._write = write
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Future[Any]] = {}

    def ask(self, **words: Any) -> "Future[Any]":
        """What our side answers, once it does; on behalf of the request that is being worked on."""
        number = next(self._numbers)
        found = self._waiting[number] = Future()
        self._write({"asks": number, "of": CURRENT.get(), **words})
        return found

    def heard(self, line: dict[str, Any]) -> None:
        """Hand an answer to whoever waits for it."""
        waiting = self._waiting.pop(line["answers"])
        if "failed" in line:
            waiting.set_exception(Unanswered(line["failed"]))
        else:
            waiting.set_result(line["said"])


class Unanswered(Exception):
    """Our side has no answer, and says why."""


CURRENT: "ContextVar[Any]" = ContextVar("CURRENT")
"""The request that is being worked on, where several are."""


def main(script: str) -> None:
    """Make the `Task` of `script` with the first request's words, then call what the others name, until they end."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What reads or prints unasked must not mix with the lines.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    one_by_one = threading.Lock()

    def write(line: dict[str, Any]) -> None:
        with one_by_one:
            replies.write(json.dumps(line) + "\n")
            replies.flush()

    words = json.loads(requests.readline())
    near, outcome = Near(write), _Outcome()
    with outcome as reply:
        sys.addaudithook(Guard(words.pop("folders"), words.pop("alone")).watch)
        made = _module(script).Task
        task = made(**words, near=near) if getattr(made, "asks", False) else made(**words)
        reply["said"] = None
    write(outcome.reply)
    if "failed" in outcome.reply:
        return
    if getattr(made, "asks", False):
        asyncio.run(_side_by_side(task, requests, near, write))
        return
    for line in requests:
        words, outcome = json.loads(line), _Outcome()
        with outcome as reply:
            reply["said"] = getattr(task, words.pop("call"))(**words)
        write(outcome.reply)


async def _side_by_side(task: Any, requests: Any, near: Near, write: Callable[[dict[str, Any]], None]) -> None:
    """Work on every request as it comes, while answers to what others asked come too, until the lines end."""
    loop, over, working = asyncio.get_running_loop(), asyncio.Event(), set()

    async def work(number: Any, words: dict[str, Any]) -> None:
        CURRENT.set(number)
        outcome = _Outcome()
        with outcome as reply:
            found = getattr(task, words.pop("call"))(**words)
            reply["said"] = await found if inspect.isawaitable(found) else found
        write({"id": number, **outcome.reply})

    def begin(words: dict[str, Any]) -> None:
        one = loop.create_task(work(words.pop("id", None), words))
        working.add(one)
        one.add_done_callback(working.discard)

    def hear() -> None:
        for line in requests:
            words = json.loads(line)
            if "answers" in words:
                near.heard(words)
            else:
                loop.call_soon_threadsafe(begin, words)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=hear, daemon=True).start()
    await over.wait()


def _module(script: str) -> Any:
    spec = importlib.util.spec_from_file_location("bridged", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
