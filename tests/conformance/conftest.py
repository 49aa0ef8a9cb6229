"""What the comparisons found, kept for the specifications and for the README's table."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mlaas_lab.emulators import Asked

FOUND = Path(__file__).parents[2] / "build" / "conformance"


@pytest.fixture
def captured():
    """Keeps the requests that our adapter made, and how they differ from the SDK's."""

    def captured(script: Any, streaming: bool, requests: list[Asked], differences: dict[str, Any], done: Any) -> None:
        FOUND.mkdir(parents=True, exist_ok=True)
        kept = {
            "requests": [
                {
                    "method": one.method,
                    "path": one.path,
                    "query": one.query,
                    "headers": {f"{name}".lower(): value for name, value in one.headers.items()},
                    "body": one.body.decode(errors="replace"),
                }
                for one in requests
            ],
            "differences": {path: [repr(value) for value in pair] for path, pair in differences.items()},
            "usage": asdict(done.usage),
        }
        (FOUND / f"{script.name}-{'stream' if streaming else 'plain'}.json").write_text(json.dumps(kept, indent=1))

    return captured


@pytest.fixture
def results():
    """What is kept of one script."""

    def results(script: Any) -> list[dict[str, Any]]:
        paths = (FOUND / f"{script.name}-{how}.json" for how in ("plain", "stream"))
        return [json.loads(path.read_text()) for path in paths if path.exists()]

    return results
