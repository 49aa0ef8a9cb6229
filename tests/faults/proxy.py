"""An HTTP proxy on loopback that misbehaves on request: it refuses, dawdles, or swallows an answer.

It keeps a ledger of what it was asked, and shares no code with the client that is tested.
"""

import http.client
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, kw_only=True)
class Sick:
    """How a request goes wrong; the defaults let it pass."""

    status: int | None = None
    """Answer this at once; the server never sees the request."""
    body: str = ""
    delay_s: float = 0.0
    """Wait before the server sees it."""
    lost: bool = False
    """The server does what it is asked, and its answer never arrives."""
    half: bool = False
    """The server does what it is asked, and its answer ends in the middle."""


class FaultProxy:
    """`sick` is asked about each request, with method and path, and says what goes wrong, if anything."""

    def __init__(self, port: int) -> None:
        """Forwards to `port` of loopback."""
        self.sick: Callable[[str, str], Sick | None] = lambda _method, _path: None
        self.ledger: list[str] = []
        self.bodies: list[bytes] = []
        """What each of these carried."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.ledger.append(f"{self.command} {self.path.partition('?')[0]}")
                proxy.bodies.append(body)
                sick = proxy.sick(self.command, self.path) or Sick()
                if sick.status is not None:
                    self._answer(sick.status, sick.body.encode(), "text/html")
                    return
                time.sleep(sick.delay_s)
                status, text, kind = self._forward(port, body)
                if sick.lost:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self._answer(status, text, kind, half=sick.half)

            def _forward(self, port: int, body: bytes) -> tuple[int, bytes, str]:
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                try:
                    upstream.request(self.command, self.path, body=body, headers=headers)
                    answer = upstream.getresponse()
                    return answer.status, answer.read(), answer.getheader("Content-Type") or "application/json"
                except OSError:
                    return 502, b"", "text/plain"
                finally:
                    upstream.close()

            def _answer(self, status: int, text: bytes, kind: str, *, half: bool = False) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text[: len(text) // 2] if half else text)
                    if half:
                        self.close_connection = True
                        self.connection.shutdown(socket.SHUT_WR)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle  # noqa: N815

            def log_message(self, *_words: object) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
