"""MLflow's pages and the review dashboard under the Jupyter server's own address and login, by jupyter-server-proxy.

So they work on a Hub and on Binder, where no other port is reached. The proxy asks for the login, starts a server with
the first visit, and says the Host that the server knows. This knows no more of both than how they are started.
"""

import os
import secrets
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mlaas_lab.environment import REVIEW_KEY, SILENT, given
from mlaas_lab.settings import Preferences

START_S = 90
"""MLflow imports much, and makes its tables at the first start."""
NAMED = {"Host": "localhost:{port}"}
HOMELY = {"Origin": "http://localhost:{port}"}
"""What the server's own pages would send; the proxy fills in the port."""
HOST = "127.0.0.1"
ICONS = Path(__file__).parent / "icons"
"""Of one grey that is seen on white and on black, since a card's picture does not know the theme."""
TOKEN_BYTES = 32


def mlflow() -> dict[str, Any]:
    """How MLflow's pages are started.

    MLflow lets no page but those of this machine change anything. That stays so, but on a Hub, whose pages have its
    name: there the Hub's login is what keeps others out.
    """
    entry = _entry("MLflow", "mlflow.svg", "mlaas_lab.proxied", "{port}")
    if given("JUPYTERHUB_SERVICE_PREFIX"):
        entry["request_headers_override"] |= HOMELY
    return entry


def dashboard() -> dict[str, Any]:
    """How the review dashboard is started; whose page opens its websocket is what the proxy itself looks at.

    Jupyter's login stands before it; the token is between the two, and keeps out who reaches the port past Jupyter.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    entry = _entry("Review dashboard", "review.svg", "mlaas_lab.cli", "dashboard", "--port", "{port}")
    entry["environment"] |= {REVIEW_KEY: token}
    entry["request_headers_override"] |= {**HOMELY, "Authorization": f"Bearer {token}"}
    return entry


def _entry(title: str, icon: str, module: str, *words: str) -> dict[str, Any]:
    return {
        "command": [sys.executable, "-m", module, *words],
        # MLflow's scheduler is eight more processes and a gigabyte, for jobs that nobody here starts.
        "environment": {**SILENT, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        "timeout": START_S,
        "request_headers_override": dict(NAMED),
        # Of its launcher's cards, JupyterLab shows icons of others in this category alone.
        "launcher_entry": {"title": title, "category": "Notebook", "icon_path": str(ICONS / icon)},
        # Neither lets itself be framed by others.
        "new_browser_tab": True,
    }


def serve(port: int) -> None:
    """Become MLflow's server over the database of runs; where runs are logged to a server, lead to its pages."""
    settings = Preferences().settings()
    if settings.mlflow_uri.startswith(("http://", "https://")):
        HTTPServer((HOST, port), _leading(settings.mlflow_ui_url or settings.mlflow_uri)).serve_forever()
    store = ["--backend-store-uri", settings.mlflow_uri, "--workers", "1"]
    words = [sys.executable, "-m", "mlflow", "server", *store, "--host", HOST, "--port", str(port)]
    os.execv(sys.executable, words)  # noqa: S606 - the proxy ends the process that it started, and no other


def _leading(address: str) -> type[BaseHTTPRequestHandler]:
    """What answers every page with the address of the pages, without a password."""
    parts = urlsplit(address)
    place = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + "/"))

    class Leading(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", place)
            self.end_headers()

    return Leading


if __name__ == "__main__":
    serve(int(sys.argv[1]))
