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
    """The words were wrong: unknown command, flag or name."""

    exit_code = 2


class DataError(LabError):
    """A file cannot be used: its line, what was expected."""


class MissingExtra(LabError):
    """A library or server is not installed."""


class JobError(LabError):
    """A job failed; the message ends with the tail of its log."""


class OutOfMemory(LabError):
    """A job's entry asked for more memory than there is."""


class Interrupted(LabError):
    """Waiting was interrupted; what was waited for goes on."""

    exit_code = 130


class StoreError(LabError):
    """The store cannot be opened, read or written."""

    def __init__(self, message: str, *, next: str | None = None, temporary: bool = False) -> None:
        """`temporary`: the same call may succeed later by itself, as when the disk is full or others hold the file."""
        super().__init__(message, next=next)
        self.temporary = temporary


class TrackingError(LabError):
    """MLflow refused or cannot be reached."""


class CapReached(LabError):
    """The job may spend no more: this was not asked, and nothing was billed."""


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
    """Too many requests or tokens for now."""

    retryable = True


class QuotaExceeded(CallError):
    """The account's money or quota is used up; waiting does not help."""


class AuthFailed(CallError):
    """The key is missing, wrong or not allowed."""


class NotFound(CallError):
    """The model or route does not exist at this address."""


class InvalidRequest(CallError):
    """The vendor rejects the request as it is."""


class ContentFiltered(CallError):
    """The vendor's filter withheld the answer."""


class Overloaded(CallError):
    """The vendor's side failed or is at capacity."""

    retryable = True


class TimedOut(CallError):
    """No answer within the limit."""

    retryable = True


class Unreachable(CallError):
    """No connection, or it broke before an answer."""

    retryable = True


class Truncated(CallError):
    """The answer ended before the vendor's own end mark."""

    retryable = True


class ProviderBug(CallError):
    """The answer cannot be read as what the vendor documents."""


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
