"""`%mlaas tiny`: build the small base model that every first fine-tune stands on."""

from pydantic import Field

from mlaas_lab.spec import Spec
from mlaas_lab.tasks import Task


class Tiny(Spec):
    """Build `tiny`, a Llama of 1.6 M parameters trained here from scratch; it is kept for all later jobs."""

    rebuild: bool = False
    """Build it again, also if it is there."""
    seed: int = Field(0, ge=0)
    """Another seed makes another model, named `tiny@FINGERPRINT`."""


task = Task(
    spec=Tiny,
    entry="mlaas_lab.training.making:make",
    tracked=False,
    fresh=lambda spec: spec.rebuild,
    resumable=True,
    needs="mlaas_lab.forecast:threads",
)
