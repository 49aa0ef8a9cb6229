"""A newer SQLite than the system's, as the library that Python's own `sqlite3` loads; prints the folder it lies in.

    LD_LIBRARY_PATH=$(python tests/newer_sqlite.py) python -m pytest -m '' tests/store

The source is SQLite's amalgamation (public domain) as the npm package better-sqlite3 (MIT) carries it; it is compiled
once, with the options that Debian's library has and the store or the standard library asks for.
"""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

PACKAGE = "better-sqlite3@12.11.1"
"""SQLite 3.53.2, whose write-ahead log has its reset race mended."""
SOURCES = ("sqlite3.c", "sqlite3.h")
OPTIONS = ("THREADSAFE=1", "ENABLE_COLUMN_METADATA", "ENABLE_FTS5", "ENABLE_RTREE", "USE_URI", "ENABLE_MATH_FUNCTIONS")
FOLDER = Path(__file__).parents[1] / "build" / "sqlite"
LIBRARY = FOLDER / "libsqlite3.so.0"


def main() -> int:
    if not LIBRARY.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        fetch()
        compiled()
    print(FOLDER)
    return 0


def fetch() -> None:
    """The two files of the amalgamation, out of the package."""
    subprocess.run(
        ["npm", "pack", "--silent", "--no-update-notifier", "--pack-destination", FOLDER, PACKAGE],
        check=True,
        stdout=sys.stderr,
    )
    (packed,) = FOLDER.glob("better-sqlite3-*.tgz")
    with tarfile.open(packed) as archive:
        for name in SOURCES:
            source = archive.extractfile(f"package/deps/sqlite3/{name}")
            assert source is not None
            (FOLDER / name).write_bytes(source.read())


def compiled() -> None:
    """The library, there in one step: a half one would be loaded."""
    part = LIBRARY.with_suffix(".part")
    options = [f"-DSQLITE_{option}" for option in OPTIONS]
    command = [os.environ.get("CC", "cc"), "-O2", "-shared", "-fPIC", *options, "-o", part, FOLDER / "sqlite3.c"]
    subprocess.run([*command, "-lpthread", "-ldl", "-lm"], check=True, stdout=sys.stderr)
    part.replace(LIBRARY)


if __name__ == "__main__":
    sys.exit(main())
