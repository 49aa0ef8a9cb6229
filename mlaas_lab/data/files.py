"""A file that somebody else made: opened, unpacked, hashed and cut into lines without trusting it.

Pipes and devices are never waited for, a line and an unpacked size have a limit, and what is wrong is one DataError.
"""

import gzip
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from mlaas_lab.errors import DataError, did_you_mean

LINE_BYTES = 16 * 2**20
"""Longest line; a longer one is a broken file or a bomb."""
BLANK_LINES = 100_000
"""Most empty lines in a row."""
BOMB_BYTES, BOMB_RATIO = 16 * 2**20, 200
"""A gzip file that unpacks to more than both is no text: text shrinks 3 to 20 times, gzip's limit is 1,032."""
GZIP = b"\x1f\x8b"
UTF8_BOM = b"\xef\xbb\xbf"
UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of an ordinary file.

    Raises:
        DataError: if it is absent, unreadable, or no ordinary file.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe waits for a writer that may never come.
        handle = os.open(path.expanduser(), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise absent(path) from None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise DataError(f"{path} is a folder, not a dataset.", next="Name a file in it, or a snapshot's folder.")
        raise DataError(f"{path} is a pipe or device, not an ordinary file.", next="Save it as a file first.")
    with os.fdopen(handle, "rb") as file:
        yield file


def absent(path: Path) -> DataError:
    """The error for a file that is not there, with the nearest names beside it."""
    folder = path.expanduser().parent
    try:
        beside = [entry.name for entry in os.scandir(folder)]
    except (OSError, ValueError):
        return DataError(f"{path} does not exist: there is no folder {str(folder)!r}.", next="Check the path.")
    hint = did_you_mean(path.name, beside)
    return DataError(f"{path} does not exist.", next=hint or "Check the path; a relative one starts here.")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, gzip unpacked, each with its number from 1 and with its line end.

    Raises:
        DataError: for a file that cannot be opened or unpacked, one in UTF-16, and a line over the limit.
    """
    with opened(path) as file:
        packed = file.read(2) == GZIP
        file.seek(0)
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if packed else file
        number = total = blank = 0
        while line := _readline(stream, path, number):
            number += 1
            total += len(line)
            blank = 0 if line.strip() else blank + 1
            if number == 1:
                line = _without_bom(line, path)
            if len(line) > LINE_BYTES or blank > BLANK_LINES:
                raise _no_text(path, number, blank)
            if packed and total > BOMB_BYTES and total > BOMB_RATIO * file.tell():
                raise DataError(
                    f"{path}:{number}: it unpacks to {total // file.tell():,} times its size.",
                    next="That is no text: unpack it by hand and look.",
                )
            yield number, line


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Raises:
        DataError: if the file cannot be read.
    """
    seen = hashlib.sha256()
    with opened(path) as file:
        try:
            while block := file.read(2**20):
                seen.update(block)
        except OSError as error:
            raise _unreadable(path, error) from None
    return seen.hexdigest()


def digest(content: bytes) -> str:
    """SHA-256 of `content`, in hex."""
    return hashlib.sha256(content).hexdigest()


def _readline(stream: IO[bytes], path: Path, before: int) -> bytes:
    try:
        return stream.readline(LINE_BYTES + 4)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = " ".join(str(error).split()).lower().rstrip(".")
        raise DataError(
            f"{path}:{before + 1}: the gzip data is broken here ({reason}).", next="Copy or download the file again."
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None


def _no_text(path: Path, number: int, blank: int) -> DataError:
    what = f"{blank:,} lines in a row are empty" if blank else f"the line is longer than {LINE_BYTES // 2**20} MiB"
    return DataError(f"{path}:{number}: {what}.", next="Write one row per line (JSONL), or use Parquet.")


def _without_bom(line: bytes, path: Path) -> bytes:
    if line.startswith(UTF16_BOMS):
        raise DataError(
            f"{path}:1: the file is UTF-16, expected UTF-8.", next=f"iconv -f UTF-16 -t UTF-8 {path} > utf8-{path.name}"
        )
    return line.removeprefix(UTF8_BOM)


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"{str(path)!r} cannot be read: {reason[:1].lower()}{reason[1:]}.", next="Check path and rights.")
