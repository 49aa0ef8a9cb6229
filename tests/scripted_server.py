"""A server of raw bytes: it answers each request with the pieces it is told to, and remembers what it saw."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

BODY = b'{"id": "1", "choices": []}'
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CUT = object()
"""A piece that is no bytes: hang up."""
RESET = object()
"""Hang up so that the other side reads an error."""
Script = Callable[["Request"], Sequence[object]]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST = b"0\r\n\r\n"


@dataclass
class Request:
    head: bytes
    body: bytes

    @property
    def start(self) -> bytes:
        return self.head.split(b"\r\n")[0]

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None


@dataclass
class ScriptedServer:
    """With `pause_s` between pieces."""

    script: Script = lambda _request: [WHOLE]
    pause_s: float = 0.0
    requests: list[Request] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)
    """The other side hung up in the middle of an answer."""
    connections: int = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        # A thread that waits in accept keeps the port; a shutdown wakes it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        received = b""
        try:
            while True:
                while b"\r\n\r\n" not in received:
                    data = connection.recv(65536)
                    if not data:
                        return
                    received += data
                head, _, received = received.partition(b"\r\n\r\n")
                request = Request(head, b"")
                size = int(request.header("content-length") or 0)
                while len(received) < size:
                    received += connection.recv(65536)
                request.body, received = received[:size], received[size:]
                self.requests.append(request)
                self._answer(connection, request)
        except OSError:
            self.gone.set()
        finally:
            connection.close()

    def _answer(self, connection, request):
        for piece in self.script(request):
            if piece is CUT:
                connection.shutdown(socket.SHUT_RDWR)
                raise OSError
            if piece is RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                raise OSError
            if isinstance(piece, float):
                _wait(connection, piece)
            else:
                connection.sendall(piece)
                if self.pause_s:
                    time.sleep(self.pause_s)


def _wait(connection, seconds):
    """Pause, but see at once when the other side is gone."""
    connection.settimeout(seconds)
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            raise OSError
    except TimeoutError:
        return
    finally:
        connection.settimeout(None)
