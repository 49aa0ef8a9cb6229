"""The far end of a bridge: run by another interpreter, with its libraries and none of ours.

`PYTHON -I _runner.py SCRIPT` reads requests and writes replies as lines of JSON; what a library prints goes to
standard error. Before any library is loaded, an audit hook (PEP 578) is set that cannot be taken back: a connection or
a name looked up beyond this machine, another process, and with `folders` named a file opened elsewhere, raise
PermissionError. It keeps honest libraries from fetching; it is no sandbox for code that means harm.
"""

import importlib.util
import json
import os
import sys
import sysconfig
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

    def __init__(self, folders: list[str]) -> None:
        """`folders`: where files may be read besides the interpreter's own; none: everywhere."""
        own = {*sysconfig.get_paths().values(), sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(__file__)}
        system = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/")
        named = [os.path.realpath(folder) for folder in folders]
        self._folders = (*(f"{place}{os.sep}" for place in (*named, *map(os.path.realpath, own))), *system)
        self._closed = bool(folders)

    def watch(self, event: str, found: tuple[Any, ...]) -> None:
        """The audit hook.

        Raises:
            PermissionError: for what may not be.
        """
        if event in CONNECTS:
            address = found[1]
            if not isinstance(address, tuple) or not _is_local(address[0]):
                raise PermissionError(f"a bridge reaches no other machine: {address!r}")
        elif event in LOOKS_UP:
            if found[0] not in (None, "", b"") and not _is_local(found[0]):
                raise PermissionError(f"a bridge looks nobody up: {found[0]!r}")
        elif event in STARTS:
            raise PermissionError(f"a bridge starts no other process: {event}")
        elif event == "open" and self._closed and isinstance(found[0], (str, bytes)):
            path = os.path.realpath(os.fsdecode(found[0]))
            if not f"{path}{os.sep}".startswith(self._folders):
                raise PermissionError(f"a bridge opens no file here: {path!r}")


def _is_local(host: Any) -> bool:
    return (host.decode("ascii", "replace") if isinstance(host, bytes) else host) in LOCAL


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


def main(script: str) -> None:
    """Make the `Task` of `script` with the first request's words, then call what the others name, until they end."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What reads or prints unasked must not mix with the lines.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    task: Any = None
    for line in requests:
        words = json.loads(line)
        outcome = _Outcome()
        with outcome as reply:
            if task is None:
                sys.addaudithook(Guard(words.pop("folders")).watch)
                task = _module(script).Task(**words)
                reply["said"] = None
            else:
                reply["said"] = getattr(task, words.pop("call"))(**words)
        replies.write(json.dumps(outcome.reply) + "\n")
        replies.flush()
        if task is None:
            return


def _module(script: str) -> Any:
    spec = importlib.util.spec_from_file_location("bridged", script)
    if spec is None or spec.loader is None:
        raise ImportError(f"{script} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
