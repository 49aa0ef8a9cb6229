"""`%mlaas front`: one address on this machine for all of one's endpoints."""

from pydantic import Field

from mlaas_lab.spec import Span, Spec
from mlaas_lab.tasks import Task


class Front(Spec):
    """Answer for all endpoints at one address, `http://127.0.0.1:PORT/v1`, where a model's name is the endpoint's."""

    port: int = Field(0, ge=0, le=65535)
    """Port on 127.0.0.1; 0 takes that of the last time, and the first time a free one."""
    queue_s: float = Field(60.0, ge=0, le=3600)
    """Seconds a request waits for an endpoint that is starting; 0 answers 503 with Retry-After at once."""
    idle: Span = ""
    """Stop a server that nobody asked for so long, unless it has an `--idle` of its own, as in `10m`; the next request
    starts it again. Empty: never."""


task = Task(spec=Front, entry="mlaas_lab.fronting._run:serve", tracked=False, service=True)
