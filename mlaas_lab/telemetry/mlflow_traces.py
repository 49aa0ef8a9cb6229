"""MLflow's own door for spans: `/v1/traces` of a tracking server, with the experiment in a header."""

import base64
from collections.abc import Callable

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter

from mlaas_lab.environment import secret
from mlaas_lab.errors import UsageError

API = "/api/2.0/mlflow/experiments"
TIMEOUT_S = 10


def exporter(uri: str, experiment: str) -> Callable[[], SpanExporter]:
    """Makes an exporter to the experiment of that name, which is created if it is not there.

    Raises:
        UsageError: if `uri` is no server's.
    """
    if not uri.startswith(("http://", "https://")):
        raise UsageError(
            "telemetry = 'mlflow' needs a tracking server; spans are not written to a database file.",
            next="Set tracking_uri to its address, or telemetry to a collector's.",
        )
    address = uri.rstrip("/")

    def make() -> SpanExporter:
        headers = _authorization()
        found = requests.get(
            f"{address}{API}/get-by-name", params={"experiment_name": experiment}, headers=headers, timeout=TIMEOUT_S
        )
        if found.status_code == requests.codes.not_found:
            body = {"name": experiment}
            found = requests.post(f"{address}{API}/create", json=body, headers=headers, timeout=TIMEOUT_S)
        found.raise_for_status()
        said = found.json()
        number = said["experiment"]["experiment_id"] if "experiment" in said else said["experiment_id"]
        return OTLPSpanExporter(
            endpoint=f"{address}/v1/traces", headers={**headers, "x-mlflow-experiment-id": str(number)}
        )

    return make


def _authorization() -> dict[str, str]:
    """As MLflow's own client does it."""
    if token := secret("MLFLOW_TRACKING_TOKEN"):
        return {"Authorization": f"Bearer {token}"}
    user, password = secret("MLFLOW_TRACKING_USERNAME"), secret("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {}
