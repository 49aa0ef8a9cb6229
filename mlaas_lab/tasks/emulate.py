"""`%mlaas emulate PROVIDER…`: vendors on this machine, for practice without keys and for demonstrations."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.tasks import Task

SCRIPTS = (".jsonl", ".json")


class Emulate(Spec):
    """Stand in for vendors on this machine until the job is cancelled: `provider/model?emulated=yes` leads here."""

    providers: tuple[Annotated[str, Refers("emulator")], ...] = Arg(min_length=1)
    """Whom to stand in for; `all` is everybody."""
    answers: str = "echo"
    """Who answers: `echo`, a JSONL script of `{"prompt": …, "completion": …}`, or an endpoint's name."""
    ttft_s: float = Field(0.0, ge=0)
    """Seconds before the first token."""
    tokens_per_s: float | None = Field(None, gt=0)
    """Tokens a second after it; by default all at once."""
    chunk_bytes: int | None = Field(None, ge=1)
    """Write in pieces of this size, wherever that cuts; by default an event at a time."""
    faults: dict[str, float] = Field(default_factory=dict)
    """Share of the requests that meet a fault, as in `rate_limited=0.1,cut=0.01`."""
    retry_after: str | None = None
    """What Retry-After says when there are too many requests."""
    tls: bool = False
    """Speak https, with a certificate made for this job; its authority is `ca.pem` in the job's folder."""
    seed: int = 0
    """Which requests meet a fault."""

    @field_validator("answers")
    @classmethod
    def _standing(cls, answers: str) -> str:
        """A script's path from where one stands: the job will stand elsewhere."""
        path = Path(answers).expanduser()
        return str(path.resolve()) if path.suffix in SCRIPTS or path.is_file() else answers


task = Task(spec=Emulate, entry="mlaas_lab.emulators._run:serve", tracked=False, service=True)
