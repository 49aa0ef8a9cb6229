"""Messages that a page sends: read by a closed schema, answered as data, whatever a page may send."""

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlaas_lab.errors import LabError
from mlaas_lab.schema import JSON
from mlaas_lab.widgets.texts import text


class Message(BaseModel):
    """What every message has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: str
    id: int = Field(ge=0)


Kinds = Mapping[str, type[Message]]
Answering = Callable[[Message], dict[str, JSON]]
EXPECTED: tuple[type[Exception], ...] = (LabError, OSError)


def answered(
    message: object, kinds: Kinds, answering: Answering, *, expected: tuple[type[Exception], ...] = EXPECTED
) -> dict[str, JSON] | None:
    """What to send back, its `id` that of the message; None for what is no message of ours.

    What is `expected` to go wrong is told as text.
    """
    kind = message.get("kind") if isinstance(message, Mapping) else None
    if not isinstance(message, Mapping) or not isinstance(kind, str) or kind not in kinds:
        return None
    given = message.get("id")
    at = given if isinstance(given, int) and not isinstance(given, bool) else None
    try:
        return {**answering(kinds[kind].model_validate(dict(message))), "id": at}
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return {"kind": "error", "id": at, "message": text(f"{where}: {first['msg']}", 300)}
    except expected as error:
        return {"kind": "error", "id": at, "message": text(str(error), 500)}
