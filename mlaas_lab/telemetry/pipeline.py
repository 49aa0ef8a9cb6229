"""The way of spans to a collector: OpenTelemetry's own queue and exporter, kept quiet, and counted.

The queue is bounded and a thread of its own delivers. What could not be delivered is said once, when it is asked for:
OpenTelemetry's own log lines about it would fill a notebook.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from urllib.parse import urlsplit

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from mlaas_lab.environment import secret
from mlaas_lab.pricing import cost, lists
from mlaas_lab.schema import Target, Usage
from mlaas_lab.settings import Settings
from mlaas_lab.telemetry import mlflow_traces
from mlaas_lab.telemetry.attributes import Call, attempts, attributes
from mlaas_lab.telemetry.renaming import Renaming

TRACES = "/v1/traces"
DEFAULT = "http://localhost:4318"
"""Where OpenTelemetry's own exporters go when nobody says anything."""
AT_EXIT_S = 2.0
NOISY = ("opentelemetry.sdk._shared_internal", "opentelemetry.exporter.otlp.proto.http.trace_exporter")

_delivering: ContextVar["Delivery | None"] = ContextVar("delivering", default=None)
"""Whose work this thread does; log lines of that work are ours to keep."""


class Delivery(SpanExporter):
    """Exporter that is made when it is first needed, and that counts."""

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        """`make` may ask over the network: it is called on the delivering thread."""
        self._make = make
        self._exporter: SpanExporter | None = None
        self.delivered = 0
        self.failed = 0
        self.why = ""
        """What went wrong last."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send `spans`; a failure is counted, not raised."""
        mine = _delivering.set(self)
        try:
            self._exporter = self._exporter or self._make()
            result = self._exporter.export(spans)
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            self.why = f"HTTP {status}" if status else ""
            result = SpanExportResult.FAILURE
        finally:
            _delivering.reset(mine)
        if result is SpanExportResult.SUCCESS:
            self.delivered += len(spans)
        else:
            self.failed += len(spans)
        return result

    def shutdown(self) -> None:
        """Give up what is under way."""
        if self._exporter is not None:
            self._exporter.shutdown()


def _kept(record: logging.LogRecord) -> bool:
    """Whether a log line is somebody else's; of ours, the status is remembered."""
    delivery = _delivering.get()
    if delivery is None:
        return True
    numbers = [one for one in record.args if isinstance(one, int)] if isinstance(record.args, tuple) else []
    delivery.why = f"HTTP {numbers[0]}" if numbers else delivery.why
    return False


for name in NOISY:
    logging.getLogger(name).addFilter(_kept)


class Pipeline:
    """Spans of one process on their way to one place."""

    def __init__(self, make: Callable[[], SpanExporter], settings: Settings, *, where: str) -> None:
        """`where` is the place, as the user is told of it."""
        self._settings = settings
        self._where = where
        self._delivery = Delivery(make)
        self._processor = BatchSpanProcessor(self._delivery)
        provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("mlaas_lab")
        self._made = 0
        self._dropped = 0
        self._told = 0
        # Price lists are read now, and not while a call is under way.
        cost(Target(provider="openai", model="gpt-4o"), Usage(input_tokens=0, output_tokens=0), at=time.time())
        atexit.register(self._at_exit)

    def tell(self, call: Call) -> None:
        """Make the span of a call that is over; returns at once."""
        began, ended = call.times_ns
        said = attributes(call, content=self._settings.telemetry_content, book=lists(self._settings))
        span = self._tracer.start_span(call.name, kind=SpanKind.CLIENT, attributes=said, start_time=began)
        for name, more, at in attempts(call):
            span.add_event(name, more, timestamp=at)
        if call.error is not None:
            span.set_status(Status(StatusCode.ERROR))
        self._made += span.get_span_context().trace_flags.sampled
        mine = _delivering.set(self._delivery)
        span.end(end_time=ended)
        _delivering.reset(mine)

    def flush(self, within_s: float) -> str | None:
        """Deliver what waits; what could not be delivered since the last time, in one line."""
        made = self._made
        if self._open(made):
            # The queue's own flush knows no limit of time.
            work = threading.Thread(target=self._processor.force_flush, name="mlaas telemetry", daemon=True)
            work.start()
            work.join(within_s)
            if not work.is_alive():
                # Whatever the exporter never saw, the full queue has dropped.
                self._dropped += self._open(made)
        lost = self._delivery.failed + self._dropped + self._open(made)
        new, self._told = lost - self._told, lost
        if new <= 0:
            return None
        why = self._delivery.why or "no answer"
        return f"Telemetry: {new} span{'s'[: new > 1]} could not be delivered to {self._where} ({why})."

    def _open(self, made: int) -> int:
        """Of so many spans, those that nobody has heard of yet."""
        return max(0, made - self._delivery.delivered - self._delivery.failed - self._dropped)

    def _at_exit(self) -> None:
        self.flush(AT_EXIT_S)


def opened(settings: Settings) -> Pipeline:
    """The pipeline that `settings` ask for.

    Raises:
        UsageError: if it is to go to an MLflow that is no server.
    """
    address = settings.telemetry
    if address == "mlflow":
        make: Callable[[], SpanExporter] = mlflow_traces.exporter(settings.mlflow_uri, settings.experiment)
        where = settings.mlflow_uri
    elif address == "on":
        # OTEL_EXPORTER_OTLP_ENDPOINT and its kin, as the exporter itself reads them.
        make = OTLPSpanExporter
        where = secret("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or secret("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT
    else:
        full = address.rstrip("/") if address.endswith(TRACES) else address.rstrip("/") + TRACES
        make, where = (lambda: OTLPSpanExporter(endpoint=full)), address
    renamed = make if settings.telemetry_names == "otel" else (lambda: Renaming(make(), settings.telemetry_names))
    return Pipeline(renamed, settings, where=_origin(where))


def _origin(url: str) -> str:
    """Scheme, host and port: the rest may hold a password or a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _resource() -> Resource:
    named = OTELResourceDetector().detect().attributes
    return Resource.create({} if "service.name" in named else {"service.name": "mlaas_lab"})
