"""`logs JOB`: the last lines that a job wrote."""

from dataclasses import dataclass

from pydantic import Field

from mlaas_lab.commands import Command
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, JobId, Spec
from mlaas_lab.view import Code, Shown, View


class Logs(Spec):
    """Show the last lines of a job's log."""

    job: JobId = Arg()
    """Id, unique prefix or name."""
    lines: int = Field(50, ge=1, le=5000)
    """How many."""


@dataclass(frozen=True)
class LogTail(Shown):
    """The end of a log, and where all of it lies."""

    job_id: str
    path: str
    lines: list[str]

    def view(self) -> View:
        """The lines as they are."""
        text = "\n".join(self.lines) or "(nothing yet)"
        return View(title=f"Log of {self.job_id}", marks=[Code(text=text)], notes=[f"All of it: {self.path}"])

    def as_json(self) -> JSON:
        """`{job_id, path, lines}`."""
        return {"job_id": self.job_id, "path": self.path, "lines": self.lines}


def _run(args: Logs, lab: Lab) -> LogTail:
    handle = lab.jobs.get(args.job)
    return LogTail(handle.id, str(handle.folder.log), handle.logs(args.lines))


command = Command(args=Logs, run=_run, examples=("logs support", "logs 3f9a --lines 200"))
