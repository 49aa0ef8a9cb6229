"""What the front keeps between its starts: its token and its port, in files that only the user can read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mlaas_lab.errors import DataError
from mlaas_lab.settings import Settings
from mlaas_lab.store.folder import read_json, write_json

HOST = "127.0.0.1"
"""Where it listens."""
TOKEN_BYTES = 32
BEGINS = "mlaas-"
"""So that a token that turned up somewhere is known for what it is."""


class Kept:
    """The folder of the front, below the user's data."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is made before it is needed."""
        self.folder = settings.data_dir / "front"

    @property
    def token_file(self) -> Path:
        """Where the token stands."""
        return self.folder / "token"

    @property
    def lock(self) -> Path:
        """Held by the one front of this user."""
        return self.folder / "lock"

    @property
    def port(self) -> int:
        """The port of the last start; 0 before the first."""
        try:
            return int((self.folder / "port").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def keep_port(self, port: int) -> None:
        """Have the next start use `port` again."""
        self._write(self.folder / "port", str(port))

    def token(self) -> str:
        """The token, made when there is none; one that others could read is replaced.

        Raises:
            DataError: if the file holds something else.
        """
        self.make()
        with suppress(FileNotFoundError):
            if self.token_file.stat().st_mode & 0o077 == 0:
                return self._read()
        self._write(self.token_file, BEGINS + secrets.token_urlsafe(TOKEN_BYTES))
        return self._read()

    def sleepers(self) -> dict[str, int]:
        """Job → the attempt of it that the front stopped because nobody wanted it."""
        return dict(read_json(self.folder / "asleep.json") or {})

    def asleep(self, job_id: str, attempt: int) -> None:
        """Note that the front stops a job."""
        write_json(self.folder / "asleep.json", {**self.sleepers(), job_id: attempt})

    def woken(self, job_id: str) -> None:
        """Note that a job is no sleeper any more."""
        write_json(self.folder / "asleep.json", {k: v for k, v in self.sleepers().items() if k != job_id})

    def make(self) -> None:
        """Have the folder."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _read(self) -> str:
        token = self.token_file.read_text().strip()
        if not token.startswith(BEGINS) or not token.isascii() or len(token) < TOKEN_BYTES:
            raise DataError(f"{self.token_file} holds no token.", next="Delete it, and the next start makes one.")
        return token

    def _write(self, path: Path, text: str) -> None:
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
        beside.replace(path)
