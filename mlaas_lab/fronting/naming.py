"""The name of the model in a request's body: read once, and replaced where the server calls it something else."""

import re
from typing import Any

import orjson

from mlaas_lab.fronting.heads import bad
from mlaas_lab.fronting.refusals import Refused

_NAME = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


class Body:
    """A body of JSON that names a model."""

    def __init__(self, data: bytes) -> None:
        """Read it.

        Raises:
            Refused: if it is no JSON object with a `model`.
        """
        self._data = data
        try:
            self._values: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise bad("its body is not JSON") from None
        name = self._values.get("model") if isinstance(self._values, dict) else None
        if not isinstance(name, str) or not name:
            raise Refused(
                400, "the body names no model. GET /v1/models lists what there is.", code="missing_required_parameter"
            )
        self.model: str = name

    def naming(self, model: str) -> bytes:
        """The same body, naming `model`; the rest of it stays byte for byte where that is sure to be right."""
        if model == self.model:
            return self._data
        found = _NAME.search(self._data)
        # Escapes can spell a name in many ways, and a text can hold what looks like the name.
        if found is None or self._data.count(b'"model"') != 1 or b"\\u00" in self._data or not self._is(found[1]):
            return orjson.dumps({**self._values, "model": model})
        return self._data[: found.start(1)] + orjson.dumps(model) + self._data[found.end(1) :]

    def _is(self, text: bytes) -> bool:
        return bool(orjson.loads(text) == self.model)
