"""What can go wrong, as a tree.

LabError
├── UsageError            the words were wrong: unknown command, flag or name (exit 2)
├── DataError             a file: its line, what was expected
├── MissingExtra          a library or server is not there, and the command that adds it
├── JobError              a job failed, with the tail of its log
├── OutOfMemory           a job's entry asked for more memory than there is
├── Interrupted           ctrl-C while waiting; the job goes on (exit 130)
├── StoreError            the store cannot be opened, read or written
├── TrackingError         MLflow refused or cannot be reached
├── CapReached            the job may spend no more; what says so was not asked
└── CallError             a target did not answer
    ├── RateLimited ├── QuotaExceeded ├── AuthFailed ├── NotFound ├── InvalidRequest
    └── ContentFiltered ├── Overloaded ├── TimedOut ├── Unreachable ├── Truncated └── ProviderBug

A message says what happened with the value, what was expected, and the next command. Bugs are not LabErrors.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

OBEYED = {code: chr(0x2400 + code) for code in range(32) if chr(code) not in "\t\n"}
OBEYED |= {code: f"⟨U+{code:04X}⟩" for code in (*range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""What a terminal or a text's direction would obey, and what is shown instead."""


class LabError(Exception):
    """Anything a user can mend; shown as one line, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, next: str | None = None) -> None:
        """`next` is the command or action that mends it."""
        super().__init__(message)
        self.message = message
        self.next = next

    def __str__(self) -> str:
        return f"{self.message} {self.next}" if self.next else self.message

    def _render_traceback_(self) -> list[str]:
        """IPython shows this instead of a traceback; the cell still fails, so "Run all" stops."""
        return [f"{type(self).__name__}: {self}".translate(OBEYED)]

    def as_json(self) -> dict[str, str | None]:
        """The object that `--json` prints."""
        return {"name": snake(type(self).__name__), "message": self.message, "next": self.next}


class UsageError(LabError):
    """The words were wrong: unknown command, flag or name.

    The message names the nearest that exists; `mlaas help COMMAND` lists all.
    """

    exit_code = 2


class DataError(LabError):
    """A file cannot be used: its line, what was expected.

    Mend the line that the message names; `mlaas data check FILE` lists all that is wrong with a dataset.
    """


class MissingExtra(LabError):
    """A library or server is not installed.

    Run the pip command in the message, in the environment of the kernel; `mlaas doctor` shows what else is missing.
    """


class JobError(LabError):
    """A job failed; the message ends with the tail of its log.

    Read on in `mlaas logs JOB`; once the cause is gone, `mlaas resume JOB` goes on where it was.
    """


class OutOfMemory(LabError):
    """A job's entry asked for more memory than there is.

    Half the micro-batch was tried once by itself; cut chats at a shorter `--max-length`, add
    `--gradient-checkpointing`, or take a machine with more.
    """


class Interrupted(LabError):
    """Waiting was interrupted; what was waited for goes on.

    Nothing is lost: `mlaas wait JOB` waits again, `mlaas attach JOB` shows it, `mlaas cancel JOB` stops it.
    """

    exit_code = 130


class StoreError(LabError):
    """The store cannot be opened, read or written.

    Look whether the disk is full or the folder is a network's; `mlaas config` says where it lies, `mlaas prune` frees
    space.
    """

    def __init__(self, message: str, *, next: str | None = None, temporary: bool = False) -> None:
        """`temporary`: the same call may succeed later by itself, as when the disk is full or others hold the file."""
        super().__init__(message, next=next)
        self.temporary = temporary


class TrackingError(LabError):
    """MLflow refused or cannot be reached.

    Look whether the server runs and `MLFLOW_TRACKING_URI` is right. No result is lost: `mlaas sync` sends what waits.
    """


class CapReached(LabError):
    """The job may spend no more: this was not asked, and nothing was billed.

    `mlaas resume JOB --max-usd N` goes on with what was not asked; `mlaas cost` shows budgets and who used them.
    """


class CallError(LabError):
    """A target did not answer."""

    retryable = False
    attempts: tuple[Any, ...] = ()
    """A `schema.Attempt` per request on the wire; set by the client."""
    usage: Any = None
    """`schema.Usage` that is billed although there is no answer, as far as the vendor said so."""
    exchange: Any = None
    """`schema.Exchange`: the last answer as it came; set by the client."""

    def __init__(
        self,
        message: str,
        *,
        next: str | None = None,
        status: int | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
    ) -> None:
        """`status` is HTTP's, `code` the vendor's, `retry_after_s` what the vendor asked us to wait."""
        super().__init__(message, next=next)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.request_id = request_id


class RateLimited(CallError):
    """Too many requests or tokens for now.

    It is tried again by itself; say the target's pace (`?rpm=60&tpm=90000`) or a smaller `--concurrency`.
    """

    retryable = True


class QuotaExceeded(CallError):
    """The account's money or quota is used up; waiting does not help.

    Top up the account or raise its limit at the vendor, then ask again with `--force`; answers come from the cache.
    """


class AuthFailed(CallError):
    """The key is missing, wrong or not allowed.

    `mlaas providers NAME` says which variable the key belongs in; look whether it is set where the kernel was started.
    """


class NotFound(CallError):
    """The model or route does not exist at this address.

    Look at the model's name, the region and `base_url`; `mlaas providers NAME` has an example that works.
    """


class InvalidRequest(CallError):
    """The vendor rejects the request as it is.

    The message has the vendor's words: often a prompt or `--max-tokens` beyond what the model takes.
    """


class ContentFiltered(CallError):
    """The vendor's filter withheld the answer.

    It counts as an error of that target; the sample and the filter's words stand in the records.
    """


class Overloaded(CallError):
    """The vendor's side failed or is at capacity.

    It is tried again by itself; later, or with a smaller `--concurrency`, ask again with `--force`.
    """

    retryable = True


class TimedOut(CallError):
    """No answer within the limit.

    Raise `--timeout-s`, or ask for less with `--max-tokens`; a server of yours may be overloaded: `mlaas jobs`.
    """

    retryable = True


class Unreachable(CallError):
    """No connection, or it broke before an answer.

    Look at the address, the proxy and the firewall; a server of yours may have ended: `mlaas jobs`, `mlaas logs serve`.
    """

    retryable = True


class Truncated(CallError):
    """The answer ended before the vendor's own end mark.

    It is tried again by itself; if it stays, a proxy in between cuts streams: try `--no-stream`, or `eval` without
    `--stream`.
    """

    retryable = True


class ProviderBug(CallError):
    """The answer cannot be read as what the vendor documents.

    Keep the answer as it came (the file of exchanges in the job's folder) and report it.
    """


def snake(name: str) -> str:
    """`RateLimited` → `rate_limited`, the form errors have in records and JSON."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`Did you mean 'a' or 'b'?`, or None when nothing is near."""
    bare = {name.lstrip("-"): name for name in sorted(known)}
    near = [bare[name] for name in get_close_matches(word.lstrip("-"), bare, n=2)]
    return f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else None


def one_line(error: BaseException) -> str:
    """An exception as the one line a user reads; for bugs, its type too."""
    if isinstance(error, LabError):
        return str(error)
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text}"
