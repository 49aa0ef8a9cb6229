"""A job for tests that need one and do not care which."""

import time
from typing import Any

from mlaas_lab.schema import Job, JobState


def made(name: str = "a", /, **values: Any) -> Job:
    """A queued job whose id and spec hash are its name, unless `values` say otherwise."""
    given = {"id": name, "task": "toy", "name": name, "spec": {"n": 1}, "spec_hash": name, "state": JobState.QUEUED}
    more = {"attempt": 1, "executor": "process", "folder": "/x", "created_at": time.time()}
    return Job(**{**given, **more, **values})
