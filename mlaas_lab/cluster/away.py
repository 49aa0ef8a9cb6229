"""The storage of a job as one attempt on a cluster sees it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mlaas_lab.cluster.lines import lines_file, turn_file
from mlaas_lab.cluster.parcel import JOB
from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder


class Away(JobFolder):
    """A job's folder, but for the job itself, which is in the parcel, and its lines, which go home."""

    def __init__(self, storage: Path | str, *, attempt: int, scratch: Path | str, logged: Mapping[str, int]) -> None:
        """`scratch` holds the job with the paths it has here; `logged` is the last step of each metric that is home."""
        super().__init__(storage)
        self.attempt, self.scratch, self.logged = attempt, Path(scratch), dict(logged)

    @property
    def job(self) -> Path:
        """The job with the paths it has here."""
        return self.scratch / JOB

    @property
    def events(self) -> Path:
        """The lines of this attempt."""
        return lines_file(self.path, self.attempt)

    @property
    def turn(self) -> Path:
        """Whose turn it is."""
        return turn_file(self.path)

    def events_from(self, offset: int = 0) -> Iterator[tuple[int, JSON]]:
        """What came home from earlier attempts, in short."""
        del offset
        for name, step in self.logged.items():
            yield 0, {"event": "metrics", "step": step, "values": {name: None}}
