"""A collector on loopback: takes OTLP over HTTP and decodes the protobuf as OpenTelemetry's own definitions have it.

with Receiver() as receiver:
    ...                            # telemetry = receiver.url
    assert receiver.spans[0].name == "chat gpt"
"""

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True, kw_only=True)
class Event:
    name: str
    at_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    name: str
    kind: int
    start_ns: int
    end_ns: int
    parent: bytes
    trace: bytes
    error: bool
    error_message: str
    attributes: dict[str, Any]
    events: tuple[Event, ...]
    resource: dict[str, Any]


class Receiver:
    """The collector; `status` is what it answers, and `let` holds its answers back until it is set."""

    def __init__(self, *, status: int = 200) -> None:
        self.status = status
        self.let = threading.Event()
        self.let.set()
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.let.wait()
                body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
                receiver.paths.append(self.path)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                receiver.bodies.append(body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def spans(self) -> list[Span]:
        """All that arrived, in the order in which they began."""
        found = []
        for body in self.bodies:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                about = _values(resource.resource.attributes)
                found += [_span(span, about) for scope in resource.scope_spans for span in scope.spans]
        return sorted(found, key=lambda span: span.start_ns)


def _span(span: Any, about: dict[str, Any]) -> Span:
    return Span(
        name=span.name,
        kind=span.kind,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        parent=span.parent_span_id,
        trace=span.trace_id,
        error=span.status.code == 2,
        error_message=span.status.message,
        attributes=_values(span.attributes),
        events=tuple(
            Event(name=event.name, at_ns=event.time_unix_nano, attributes=_values(event.attributes))
            for event in span.events
        ),
        resource=about,
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)
