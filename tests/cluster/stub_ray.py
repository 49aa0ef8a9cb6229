"""A loopback server with the few routes of Ray's Jobs API that are used, and switches that break each."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

TOKEN = "t" * 64


class StubRay(ThreadingHTTPServer):
    """One job, whose state and output the test sets."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.version, self.token = "2.60.0", TOKEN
        self.job: dict = {"status": "RUNNING", "driver_node_id": "n1"}
        self.output = b""
        self.broken: set[str] = set()
        """`hang`, `node`, `log`."""
        self.seen: list[tuple[str, str]] = []
        self.submitted: dict = {}
        self.over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StubRay
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _route(self) -> None:
        stub, path = self.server, self.path
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        stub.seen.append((self.command, path))
        if "hang" in stub.broken:
            stub.over.wait(60)
            return None
        if stub.token and self.headers.get("Authorization") != f"Bearer {stub.token}":
            return self._say(401, b"Unauthorized")
        if path == "/api/version":
            return self._json({"ray_version": stub.version})
        if path.startswith("/api/packages/"):
            return self._say(200 if self.command == "PUT" else 404, b"")
        if path == "/api/jobs/":
            stub.submitted = json.loads(body)
            return self._json({"submission_id": stub.submitted["submission_id"]})
        if path.endswith("/stop"):
            return self._json({"stopped": True})
        if path.startswith("/api/jobs/"):
            return self._json(stub.job)
        if path.startswith("/api/v0/logs/stream"):
            return self._stream()
        if "node" in stub.broken:
            return self._say(500, json.dumps({"result": False, "msg": "the node is away"}).encode())
        return self._json({"result": True})

    do_GET = do_POST = do_PUT = _route  # noqa: N815 - names that http.server wants

    def _stream(self) -> None:
        stub, sent = self.server, 0
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not stub.over.is_set():
            if fresh := stub.output[sent : sent + 7]:
                try:
                    self.wfile.write(f"{len(fresh):x}\r\n".encode() + fresh + b"\r\n")
                except OSError:
                    return
                sent += len(fresh)
            elif "log" in stub.broken:
                stub.broken.discard("log")
                self.close_connection = True
                return
            else:
                time.sleep(0.01)

    def _json(self, value: dict) -> None:
        self._say(200, json.dumps(value).encode())

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
