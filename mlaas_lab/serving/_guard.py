"""What stands before a server's routes: ASGI middleware that lets through what we serve, and nothing else.

A copy of this file is read by the interpreter of the engine, so it knows the standard library alone. A server has more
routes than it guards: some load other weights, some stop it, some run for whoever asks.
"""

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OPEN = frozenset({"/health"})
"""For everybody on this machine."""
KEYED = frozenset({"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/metrics"}) | frozenset(
    {"/v1/messages", "/v1/messages/count_tokens"}
)
"""For whoever has the key of the endpoint."""
OURS = frozenset({"/v1/load_lora_adapter", "/v1/unload_lora_adapter"})
"""For the job that started the server."""
HOSTS = frozenset({b"127.0.0.1", b"localhost"})
KEYS = "keys.json"
"""Beside this file, for its user alone: keys of clients and of the job, then more paths for the job."""


class Guard:
    """An application behind an allow list of paths, the names of this machine, and keys."""

    def __init__(self, app: Any) -> None:
        """`app` is called with the requests that may pass."""
        self.app = app
        key, owner, *paths = json.loads(Path(__file__).with_name(KEYS).read_text())
        self.key, self.owner = key.encode(), owner.encode()
        self.ours = OURS.union(paths)

    async def __call__(self, scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        """Pass a request on, or answer it here; sockets that are no HTTP are closed."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := self.refusal(scope):
            await _answer(send, *refusal)
        else:
            await self.app(scope, receive, send)

    def refusal(self, scope: Mapping[str, Any]) -> tuple[int, str] | None:
        """Status and message; None where the request may pass."""
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            # Of a header that comes twice, neither: two readers might choose differently.
            headers[name] = b"" if name in headers else value
        path = scope["path"]
        if headers.get(b"host", b"").partition(b":")[0] not in HOSTS:
            return 400, "ask for this machine by its own name, 127.0.0.1"
        # A page of another site can post here without reading the answer; it cannot hide that it is one.
        if b"origin" in headers and not _is_here(headers[b"origin"]):
            return 403, "pages of other sites may not ask"
        if path not in OPEN | KEYED | self.ours or scope.get("root_path"):
            return 404, "there is nothing here"
        wanted = self.owner if path in self.ours else self.key
        given = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if path not in OPEN and not hmac.compare_digest(given, wanted):
            return 401, "the key of this endpoint is missing or wrong"
        return None


def _is_here(origin: bytes) -> bool:
    scheme, _, place = origin.partition(b"://")
    return scheme in (b"http", b"https") and place.partition(b":")[0] in HOSTS


async def _answer(send: Any, status: int, message: str) -> None:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
