"""One thing that the end of a job sends to MLflow: it may be sent twice, and is then there once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlflow import MlflowClient


@dataclass(frozen=True, kw_only=True)
class Part:
    """One thing to send; `name` says in the outbox that it was sent."""

    name: str
    send: Callable[[MlflowClient, str], Mapping[str, str] | None]
    """Called with the client and the run's id; returns the runs below it that it made, by their place, if any."""
