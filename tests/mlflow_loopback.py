"""A real MLflow server on loopback that can be killed and restarted, and a proxy before it that misbehaves on request.

The proxy keeps a ledger of what it was asked and what it let through; it shares no code with the client.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """`mlflow server` with one worker and job execution off (0.47 GB instead of 1.4)."""

    def __init__(self, folder: Path) -> None:
        """`folder` keeps its database and artifacts, so a restart finds them."""
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        store = ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        store += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words, *store],
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "server.log").read_text()[-2000:])
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        """SIGKILL, all of it at once; the group is the one we made for it."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


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


class FaultProxy:
    """`sick` is asked about each request, with method and path, and says what goes wrong, if anything."""

    def __init__(self, port: int) -> None:
        """Forwards to `port` of loopback."""
        self.sick: Callable[[str, str], Sick | None] = lambda _method, _path: None
        self.ledger: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.ledger.append(f"{self.command} {self.path.partition('?')[0]}")
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
                self._answer(status, text, kind)

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

            def _answer(self, status: int, text: bytes, kind: str) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
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


def refusal(message: str, code: str = "INVALID_PARAMETER_VALUE") -> Sick:
    """MLflow's own way to say no."""
    return Sick(status=400, body=json.dumps({"error_code": code, "message": message}))


def copied(template: Path, to: Path) -> None:
    """A migrated database at `to`, without waiting for the migrations."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, to)
