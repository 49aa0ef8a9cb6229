"""JSON Schema: 1 when the whole answer is one JSON value that its schema allows, else 0 with the first thing wrong.

The schema is the option, a path that ends in .json or the schema itself, or of each sample its reference. The draft is
what its `$schema` says, by default 2020-12. Nothing is fetched: a `$ref` leads into the same schema or nowhere.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score, ScoreStatus

LONGEST_REASON = 200
"""Characters."""


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """What checks values against `schema`.

    Raises:
        ValueError: if it is no JSON Schema.
    """
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    try:
        found = orjson.loads(schema)
    except orjson.JSONDecodeError:
        raise ValueError("the schema is no JSON") from None
    if not isinstance(found, (dict, bool)):
        raise ValueError("the schema is no JSON object")
    kind = validator_for(found, default=Draft202012Validator)
    try:
        kind.check_schema(found)
    except SchemaError as error:
        raise ValueError(f"the schema is none: {error.json_path}: {error.message}"[:LONGEST_REASON]) from None
    return kind(found, registry=REGISTRY)


def _checked(output: str, validator: Any) -> Score:
    from referencing.exceptions import Unresolvable

    try:
        value = orjson.loads(output)
    except orjson.JSONDecodeError:
        return Score(value=0.0, reason="the answer is no JSON")
    try:
        wrong = next(validator.iter_errors(value), None)
    except Unresolvable as error:
        reason = f"the schema refers to what is not in it: {error}"[:LONGEST_REASON]
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=reason)
    if wrong is None:
        return Score(value=1.0)
    return Score(value=0.0, reason=f"{wrong.json_path}: {wrong.message}"[:LONGEST_REASON])


def _score(output: str, sample: Sample) -> Score:
    try:
        validator = _validator(sample.reference or "")
    except ValueError as error:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"of the reference: {error}")
    return _checked(output, validator)


def _options(*, schema: str = "") -> Metric:
    text = schema if schema.lstrip().startswith("{") else _read(schema)
    validator = _validator(text)
    return Metric(
        unit="share",
        higher_is_better=True,
        score=lambda output, _sample: _checked(output, validator),
        libraries=("jsonschema",),
        content=hashlib.sha256(text.encode()).hexdigest(),
    )


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, RuntimeError, ValueError):
        raise ValueError(f"schema {path!r} cannot be read, expected a path that ends in .json") from None


metric = Metric(
    unit="share",
    higher_is_better=True,
    needs=frozenset({"reference"}),
    score=_score,
    options=_options,
    libraries=("jsonschema",),
)
