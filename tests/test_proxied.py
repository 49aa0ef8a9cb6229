"""MLflow's pages through a real Jupyter server with a Hub's prefix, a real jupyter-server-proxy and a real MLflow."""

import http.client
import json
import re
import sys
from importlib.metadata import entry_points
from xml.etree import ElementTree as ET

import pytest
from served_jupyter import BASE, TOKEN, JupyterServer

from mlaas_lab import proxied

AT = f"{BASE}mlflow/"
CALL = f"{AT}ajax-api/2.0/mlflow/experiments/search"


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """`servers(on_a_hub=True)`: one whose pages a Hub hands on; it takes any Host, as there the Hub has looked."""
    started = []

    def start(*, on_a_hub):
        folder = tmp_path_factory.mktemp("server")
        (folder / "config").mkdir()
        settings = {"ServerApp": {"allow_remote_access": on_a_hub}}
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(settings))
        hub = {"JUPYTERHUB_SERVICE_PREFIX": BASE} if on_a_hub else {}
        started.append(JupyterServer(folder, tmp_path_factory.mktemp("data"), **hub))
        return started[-1]

    yield start
    for server in started:
        server.close()


def asked(server, path, *, method="GET", body=None, **headers):
    """Status, headers and bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


def weight(server):
    """Bytes of MLflow's server with its workers."""
    (first,) = [one for one in server.children() if "mlflow" in " ".join(one.cmdline())]
    weight = sum(one.memory_full_info().pss for one in (first, *first.children(recursive=True)))
    print(f"MLflow's server: {weight / 1e6:.0f} MB")
    return weight


def test_jupyter_finds_both():
    found = {one.name: one.value for one in entry_points(group="jupyter_serverproxy_servers")}
    assert found.items() >= {"mlflow": "mlaas_lab.proxied:mlflow", "review": "mlaas_lab.proxied:dashboard"}.items()
    for entry in (proxied.mlflow(), proxied.dashboard()):
        assert entry["command"][0] == sys.executable
        assert "{port}" in entry["command"]
        assert entry["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
        assert ET.parse(entry["launcher_entry"]["icon_path"]).getroot().tag.endswith("svg")


@pytest.mark.long
def test_mlflow_works_on_a_hub_and_for_its_user_alone(servers):
    server = servers(on_a_hub=True)
    hub = {"Host": "hub.example", "Authorization": f"token {TOKEN}"}
    status, _, page = asked(server, AT, **hub)
    assert status == 200, page[-500:]
    pieces = [one.decode() for one in re.findall(rb'(?:src|href)="([^"]+\.(?:js|css))"', page)]
    assert pieces
    for piece in pieces:
        assert not piece.startswith("/"), "the prefix would be lost"
        status, headers, text = asked(server, AT + piece.removeprefix("./"), **hub)
        assert (status, bool(text)) == (200, True)
        assert "html" not in headers["Content-Type"]
    from_page = {**hub, "Origin": "https://hub.example", "Content-Type": "application/json"}
    status, _, text = asked(server, CALL, method="POST", body={"max_results": 5}, **from_page)
    assert status == 200, text
    assert "experiments" in json.loads(text)
    assert asked(server, f"{CALL}?max_results=5", **hub)[0] == 200
    nobody = {"Host": "hub.example"}
    assert {asked(server, path, **nobody)[0] for path in (AT, CALL, AT + pieces[0])} <= {302, 403}
    assert asked(server, CALL, method="POST", body={}, **nobody)[0] == 403
    assert asked(server, AT, **hub | {"Authorization": "token wrong"})[0] in (302, 403)


@pytest.mark.long
def test_mlflow_at_home_lets_other_pages_change_nothing(servers):
    server = servers(on_a_hub=False)
    user = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    assert asked(server, AT, **user)[0] == 200
    assert asked(server, AT, **user | {"Host": "elsewhere.example"})[0] == 403
    place = f"{AT}ajax-api/2.0/mlflow/experiments/create"
    made = [
        asked(server, place, method="POST", body={"name": origin}, **user, Origin=origin)[0]
        for origin in (server.origin, "http://elsewhere.example", "null")
    ]
    assert made == [200, 403, 403]
    assert weight(server) < 600e6, "shared pages counted once"
