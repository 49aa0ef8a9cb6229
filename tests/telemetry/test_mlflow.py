"""A real MLflow server takes our spans, and its own API reads them back."""

import pytest
from loopback import Loopback
from mlflow import MlflowClient
from mlflow_loopback import MlflowServer

from mlaas_lab import telemetry
from mlaas_lab.errors import UsageError


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = MlflowServer(tmp_path_factory.mktemp("mlflow")).start()
    yield server
    server.kill()


@pytest.mark.parametrize("way", ["its name", "the standard variables"])
def test_mlflow_reads_what_we_told(server, ask, monkeypatch, way):
    client = MlflowClient(tracking_uri=server.url)
    if way == "its name":
        more = {"telemetry": "mlflow", "tracking_uri": server.url, "experiment": "spans"}
    else:
        number = client.create_experiment("other spans")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-mlflow-experiment-id={number}")
        monkeypatch.setattr(telemetry, "_open", {})
        more = {"telemetry": "on"}
    with Loopback() as vendor:
        done = ask(f"openai/any?base_url={vendor.base_url}", telemetry_content=True, **more)
    assert telemetry.flush(within_s=20) is None
    experiment = client.get_experiment_by_name("spans" if way == "its name" else "other spans")
    (trace,) = client.search_traces(locations=[experiment.experiment_id])
    (span,) = trace.data.spans
    assert span.name == "chat any"
    assert span.span_type == "CHAT_MODEL"
    assert span.end_time_ns - span.start_time_ns == pytest.approx(1e9 * done.latency_s, abs=1e3)
    assert span.attributes["gen_ai.request.model"] == "any"
    assert span.attributes["mlaas.attempts"] == 1
    assert trace.info.token_usage["input_tokens"] == done.usage.input_tokens
    assert trace.info.token_usage["output_tokens"] == done.usage.output_tokens
    assert done.text in str(span.outputs)


def test_a_database_file_is_refused_in_one_line(ask):
    with pytest.raises(UsageError, match="needs a tracking server"):
        ask("echo/any", telemetry="mlflow")


def test_a_server_that_went_away_is_named(ask):
    ask("echo/any", telemetry="mlflow", tracking_uri="http://127.0.0.1:9", stream=False)
    # `ask` has flushed: it was said there, once.
    assert telemetry.flush() is None
