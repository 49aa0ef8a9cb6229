"""An exporter before another one: the same spans under OpenInference's or traceAI's names.

For one's own pipeline: `BatchSpanProcessor(Renaming(OTLPSpanExporter(), "openinference"))`.
"""

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from mlaas_lab.telemetry.names import RENAMED


class Renaming(SpanExporter):
    """Hands spans on under the names that `to` has for them."""

    def __init__(self, exporter: SpanExporter, to: str) -> None:
        """`to` is `openinference` or `traceai`."""
        self._exporter = exporter
        self._names = RENAMED[to]

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send `spans`, renamed."""
        return self._exporter.export([self._renamed(span) for span in spans])

    def shutdown(self) -> None:
        """As the exporter behind does."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """As the exporter behind does."""
        return self._exporter.force_flush(timeout_millis)

    def _renamed(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._names(span.attributes or {}),
            events=span.events,
            links=span.links,
            kind=span.kind,
            status=span.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )
