# requires: google-api-python-client==2.202.0
"""Requests to Vertex AI against Google's discovery document: every path has a method, every field is one of its own."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import googleapiclient

DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
DOCUMENT = json.loads((DOCUMENTS / "aiplatform.v1.json").read_text())
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}


def methods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every method there is."""
    yield from resource.get("methods", {}).values()
    for inner in resource.get("resources", {}).values():
        yield from methods(inner)


def served(method: dict[str, Any]) -> str:
    """The paths that `method` serves, as a regular expression."""
    parts = re.split(r"\{[^}]+\}", method["flatPath"])
    return "/" + "[^/:]+".join(re.escape(part) for part in parts)


def violations(value: Any, schema: dict[str, Any], where: str) -> Iterator[str]:
    """Where `value` is not what `schema` says."""
    if "$ref" in schema:
        schema = DOCUMENT["schemas"][schema["$ref"]]
    kind = schema.get("type", "any")
    if kind == "any":
        return
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
        yield f"{where}: {value!r} is no {kind}"
    elif kind == "array":
        for n, one in enumerate(value):
            yield from violations(one, schema["items"], f"{where}[{n}]")
    elif kind == "object":
        yield from fields(value, schema, where)
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"


def fields(value: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    """Where the fields of `value` are not those of `schema`."""
    known, more = schema.get("properties", {}), schema.get("additionalProperties")
    for name, inner in value.items():
        if inner_schema := known.get(name, more):
            yield from violations(inner, inner_schema, f"{where}.{name}")
        else:
            yield f"{where}.{name}: no such field"


def checked(request: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one request."""
    fitting = [one for one in methods(DOCUMENT) if re.fullmatch(served(one), request["path"])]
    method = next((one for one in fitting if one["httpMethod"] == request["method"]), None)
    if method is None:
        yield f"{request['method']} {request['path']}: no such method"
        return
    known = {**DOCUMENT["parameters"], **method["parameters"]}
    for name in (pair.partition("=")[0] for pair in request["query"].split("&") if pair):
        if name not in known:
            yield f"query.{name}: no such parameter"
    yield from violations(json.loads(request["body"]), method["request"], "body")


print(json.dumps([found for request in json.load(sys.stdin) for found in checked(request)]))
