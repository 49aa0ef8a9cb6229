"""MLflow's pages and the dashboard in a browser, through a Jupyter server with a Hub's prefix: for its user alone."""

import http.client
from contextlib import closing

import psutil
import pytest
import websocket
from made_cases import table
from made_jobs import made
from served_jupyter import BASE, TOKEN, JupyterServer

from mlaas_lab.dashboard import door
from mlaas_lab.schema import JobState
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder

pytestmark = pytest.mark.browser
START_MS = 120_000
REVIEW, MLFLOW = f"{BASE}review/", f"{BASE}mlflow/"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One whose store knows an evaluation."""
    data = tmp_path_factory.mktemp("data")
    folder = JobFolder(data / "job")
    folder.path.mkdir()
    assert table(folder.path) == folder.records
    with closing(Store(data / "store.sqlite3")) as store:
        store.add(made("measured", task="eval", folder=str(folder.path)))
        for state in (JobState.RUNNING, JobState.SUCCEEDED):
            store.move("measured", state, attempt=1)
    server = JupyterServer(tmp_path_factory.mktemp("server"), data)
    yield server
    server.close()


def asked(port, path, **headers):
    """Status, words and place to go to instead."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(errors="replace"), answer.headers["Location"] or ""
    connection.close()
    return found


def test_the_dashboard_works_behind_the_prefix(page, server):
    page.goto(f"{server.origin}{REVIEW}?token={TOKEN}", timeout=START_MS)
    page.wait_for_selector("text=good is better than bad")
    assert "token" not in page.url
    page.click("nav a[data-page=cost]")
    page.wait_for_selector("nav a[data-page=cost][aria-current]")
    page.wait_for_url(f"**{REVIEW}?page=cost")
    page.reload()
    page.wait_for_selector("nav a[data-page=cost][aria-current]")
    page.click("nav a[data-page=review]")
    page.fill("input[type=text]", "ada")
    page.click("text=Begin, or go on")
    page.wait_for_selector(".l-review .l-card")
    assert page.wrong == []


def test_mlflow_works_behind_the_prefix(page, server):
    asked_for = []
    page.on("request", lambda request: asked_for.append(request.url))
    page.goto(f"{server.origin}{MLFLOW}?token={TOKEN}", timeout=START_MS)
    page.wait_for_selector("text=Experiments", timeout=60_000)
    page.goto(f"{server.origin}{MLFLOW}#/experiments")
    page.wait_for_selector("text=Default", timeout=60_000)
    own = (f"{server.origin}{MLFLOW}", "data:", "blob:")
    assert [url for url in asked_for if not url.startswith(own)] == []


@pytest.mark.parametrize("place", [REVIEW, f"{REVIEW}static/js/bokeh.min.js", MLFLOW, f"{MLFLOW}version"])
def test_without_jupyters_token_it_is_turned_away(server, place):
    for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": "Bearer wrong"}):
        status, _, instead = asked(server.port, place, **headers)
        assert status == 403 or (status == 302 and instead.startswith(f"{BASE}login")), (status, instead)
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(f"ws://127.0.0.1:{server.port}{REVIEW}ws", subprotocols=["bokeh", "x"], timeout=60)


def test_nobody_comes_past_jupyter(server):
    user = {"Authorization": f"token {TOKEN}"}
    assert asked(server.port, REVIEW, **user)[0] == 200
    started = psutil.Process(server._process.pid).children(recursive=True)
    ports = {at.laddr.port for one in started for at in one.net_connections("tcp") if at.status == psutil.CONN_LISTEN}
    told = {asked(port, "/?page=cost", **headers)[:2] for port in ports for headers in ({}, user)}
    assert (403, door.REFUSED) in told
    assert not any("d-main" in words for _, words in told)
