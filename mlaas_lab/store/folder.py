"""A job's folder: the one place that knows its file names.

Whatever is read by another process is written beside its place and renamed there, so nobody sees half a file.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from mlaas_lab.durable import settle
from mlaas_lab.schema import JSON, Job

LONGEST = 500
"""Characters of a line in a tail: a progress bar without line ends is one line of megabytes."""
HEAD = 200


class JobFolder:
    """Paths inside `data_dir/jobs/ID`."""

    def __init__(self, path: Path | str) -> None:
        """`path` need not exist yet."""
        self.path = Path(path)

    def __fspath__(self) -> str:
        return str(self.path)

    @property
    def job(self) -> Path:
        """`{id, task, spec, attempt, settings}`: all the worker needs."""
        return self.path / "job.json"

    @property
    def events(self) -> Path:
        """What the entry says, one JSON object a line; also the outbox of metrics."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """Standard output and error of worker and entry."""
        return self.path / "log.txt"

    @property
    def outcome(self) -> Path:
        """What the entry returned; absent until it ended well."""
        return self.path / "outcome.json"

    @property
    def delivered(self) -> Path:
        """How far the outbox was sent to MLflow."""
        return self.path / "delivered.json"

    @property
    def records(self) -> Path:
        """The one table of an evaluation."""
        return self.path / "records.parquet"

    @property
    def judgements(self) -> Path:
        """What judges said of the answers of an evaluation, as they said it."""
        return self.path / "judgements.jsonl"

    def exchanges(self, attempt: int) -> Path:
        """What the targets of an evaluation sent to one attempt of it."""
        return self.path / f"exchanges-{attempt}.jsonl.gz"

    @property
    def plan(self) -> Path:
        """Which plan the records belong to, so that another attempt can tell whether they are still of use."""
        return self.path / "plan.json"

    @property
    def prompts(self) -> Path:
        """Name → text of the prompts that an evaluation used: those of judges, and those of its variants."""
        return self.path / "prompts.json"

    @property
    def budget(self) -> Path:
        """What the attempts of an evaluation may have spent on calls so far."""
        return self.path / "budget.json"

    @property
    def models(self) -> Path:
        """What a server serves: the name of each endpoint, and the fingerprint of the weights behind it."""
        return self.path / "models.json"

    @property
    def key(self) -> Path:
        """What requests to a server must bring, if it asks; only its user can read it."""
        return self.path / "key"

    @property
    def changes(self) -> Path:
        """What shall change about a server that runs: one file each, and what became of it."""
        return self.path / "changes"

    @property
    def adapter(self) -> Path:
        """The LoRA weights, tokenizer and model card that a fine-tune keeps."""
        return self.path / "adapter"

    @property
    def checkpoints(self) -> Path:
        """One folder per checkpoint."""
        return self.path / "checkpoints"

    @property
    def complete(self) -> bool:
        """Whether the job ended well and all that it made is still on disk."""
        outcome = read_json(self.outcome)
        if outcome is None:
            return False
        made = [*outcome["artifacts"], (outcome["adapter"] or {}).get("path"), outcome["result"].get("path")]
        return all(Path(path).exists() for path in made if path)

    def make(self, job: Job, **more: JSON) -> None:
        """Begin the folder, with what the worker needs of `job` and `more`."""
        kept = ("id", "task", "name", "spec", "spec_hash", "attempt", "created_at", "executor")
        self.path.mkdir(parents=True, mode=0o700)
        write_json(self.job, {**{key: getattr(job, key) for key in kept}, **more})

    def discard(self) -> None:
        """Take back what `make` began; nothing was run there."""
        self.job.unlink()
        self.path.rmdir()

    def tail(self, lines: int = 20, *, limit_bytes: int = 64_000) -> list[str]:
        """The last lines of the log, from at most its last `limit_bytes`; of a long one, its beginning and its end."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(max(0, self.log.stat().st_size - limit_bytes))
            found = file.read(limit_bytes).decode(errors="replace").splitlines()[-lines:]
        return [line if len(line) <= LONGEST else f"{line[:HEAD]} … {line[HEAD - LONGEST :]}" for line in found]

    def events_from(self, offset: int = 0) -> Iterator[tuple[int, JSON]]:
        """Whole event lines after byte `offset`, each with the offset that follows it."""
        if not self.events.exists():
            return
        with self.events.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield offset, _event(line)


def _event(line: bytes) -> dict[str, JSON]:
    """One event; what a power failure left of a line is an event too, so that nobody stops at it for ever."""
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    return event if isinstance(event, dict) and "event" in event else {"event": "unreadable"}


def write_json(path: Path, value: JSON) -> None:
    """Write `value` so that a reader sees the old file or the new one, also after a power failure."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("w") as file:
        json.dump(value, file, indent=1, default=str)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    settle(path.parent)


def read_json(path: Path) -> JSON:
    """What `write_json` wrote, or None if it never did."""
    return json.loads(path.read_text()) if path.exists() else None
