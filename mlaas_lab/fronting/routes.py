"""What can be asked for through the front, and nothing else: not one of an engine's own unguarded routes."""

import json
from collections.abc import Iterable

from mlaas_lab.fronting.doors import Door
from mlaas_lab.fronting.heads import Head
from mlaas_lab.fronting.refusals import MESSAGES, Refused

MODELS = b"/v1/models"
CHAT = b"/v1/chat/completions"
ASKED = frozenset((CHAT, b"/v1/completions", b"/v1/embeddings", MESSAGES, MESSAGES + b"/count_tokens"))
"""Routes that a model answers."""
ANSWERED = {"transformers": frozenset((CHAT,))}
"""Engine → what it answers, where that is not all of it."""


def check(head: Head) -> None:
    """See that there is such a route. Paths are compared as they were sent: nothing is decoded, joined or shortened.

    Raises:
        Refused: if there is not.
    """
    listed = head.path == MODELS or head.path.startswith(MODELS + b"/")
    if not listed and head.path not in ASKED:
        known = ", ".join(sorted(path.decode() for path in (MODELS, *ASKED)))
        raise Refused(404, f"there is no such route; there are: {known}.", code="no_such_route")
    wanted = b"GET" if listed else b"POST"
    if head.method != wanted:
        raise Refused(405, f"this route takes {wanted.decode()} only.", code="method_not_allowed")


def answered(door: Door, path: bytes) -> None:
    """See that the engine behind `door` answers `path`.

    Raises:
        Refused: if it does not; nothing is translated that would mean something else afterwards.
    """
    if path not in ANSWERED.get(door.engine, ASKED):
        raise Refused(
            404,
            f"engine {door.engine} of endpoint {door.name!r} does not answer {path.decode()}. Ask {CHAT.decode()}, or"
            " serve it with an engine that does (serve --engine vllm).",
            code="no_such_route",
        )


def listing(doors: Iterable[Door], path: bytes) -> bytes:
    """What `path` lists: the endpoints, or the one it names; with the fields of both kinds of client.

    Raises:
        Refused: if it names one that is not there.
    """
    rows = [_row(door) for door in doors]
    if path != MODELS:
        name = path[len(MODELS) + 1 :].decode("ascii")
        found = next((row for row in rows if row["id"] == name), None)
        if found is None:
            raise Refused(404, f"there is no endpoint {name!r}.", code="model_not_found")
        return json.dumps(found).encode()
    ends = {"first_id": rows[0]["id"], "last_id": rows[-1]["id"]} if rows else {"first_id": None, "last_id": None}
    return json.dumps({"object": "list", "data": rows, "has_more": False, **ends}).encode()


def _row(door: Door) -> dict[str, object]:
    return {
        "id": door.called,
        "object": "model",
        "type": "model",
        "display_name": door.called,
        "created": int(door.since),
        "created_at": door.since_iso,
        "owned_by": "mlaas_lab",
        "engine": door.engine,
        "state": str(door.state),
        "unchecked": door.unchecked,
        "cold_first_token_s": door.cold_first_token_s,
        "warm_first_token_s": door.warm_first_token_s,
    }
