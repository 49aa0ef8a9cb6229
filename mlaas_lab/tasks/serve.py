"""`%mlaas serve MODEL…`: servers on this machine for models and adapters; the name of each is then a target."""

from typing import Annotated

from pydantic import Field

from mlaas_lab.spec import Arg, ModelName, Refers, Spec
from mlaas_lab.tasks import Task


class Serve(Spec):
    """Serve models and adapters on this machine until the job is cancelled."""

    models: tuple[ModelName, ...] = Arg(min_length=1)
    """`tiny`, adapters by name, folders, or hub ids; each becomes an endpoint of that name."""
    engine: Annotated[str | None, Refers("engine")] = None
    """What serves them; by default the setting `engine`."""
    name: str = Field("", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    """Another name for the endpoint of a single model."""
    port: int = Field(0, ge=0, le=65535)
    """Port on 127.0.0.1; 0 takes a free one."""
    device: str = "auto"
    """`cpu`, `cuda:0` and so on; `auto` takes a GPU if there is one."""
    batch: bool = True
    """Answer requests of temperature 0 together, which is faster; with `--no-batch` one after another."""
    ready_within_s: float = Field(900, gt=0)
    """Give up when no answer came after so many seconds."""


task = Task(
    spec=Serve,
    entry="mlaas_lab.serving._run:serve",
    tracked=False,
    service=True,
    needs="mlaas_lab.forecast:serving",
)
