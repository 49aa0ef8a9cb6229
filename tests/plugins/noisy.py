"""A task of another distribution that says far too much: to its output, to its events, and in what it logs."""

import hashlib
import os

from mlaas_lab.context import Context, Outcome
from mlaas_lab.errors import DataError
from mlaas_lab.spec import Spec
from mlaas_lab.tasks import Task


class Noisy(Spec):
    """Make noise."""

    mb: int = 1
    """Megabytes of output."""
    lines: bool = True
    """In lines of 100 characters; otherwise all of it is one."""
    events: int = 0
    """Events of progress, as fast as they can be written."""
    fails: bool = False
    """Fail in the end, so that the tail of the log is shown."""
    name: str = ""
    """What to call it."""


def make_noise(spec: Noisy, context: Context) -> Outcome:
    """Write `spec.mb` megabytes to standard output, and say what they were."""
    digest = hashlib.sha256()
    share = spec.events // max(1, spec.mb)
    for n in range(spec.mb):
        block = (b"%09d" % n + b"x" * (90 if spec.lines else 91) + (b"\n" if spec.lines else b"")) * 10_000
        while block:
            written = os.write(1, block)
            digest.update(block[:written])
            block = block[written:]
        for m in range(share):
            context._shown_at = 0.0
            context.progress(n * share + m, spec.mb * share + 1)
    if spec.fails:
        raise DataError("enough.")
    return Outcome(result={"sha256": digest.hexdigest(), "bytes": spec.mb * 1_000_000})


task = Task(spec=Noisy, entry="noisy:make_noise", tracked=False)
