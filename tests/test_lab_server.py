"""The sidebar's part of the Jupyter server, in a real one: who gets in, what is pushed, what a lost line misses."""

import json
import time
from contextlib import closing

import pytest
import websocket
from busy_jupyter import busy, news, states
from made_jobs import made
from served_jupyter import BASE, JupyterServer

from mlaas_lab.schema import Endpoint, JobState, Progress
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.ledger import Ledger
from mlaas_lab.store.spending import Charge, Hold, Kind, Payer, Wish


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def server(tmp_path_factory, data):
    server = JupyterServer(tmp_path_factory.mktemp("server"), data, MLAAS_MAX_USD_PER_DAY="2.5")
    yield server
    server.close()


@pytest.fixture
def store(data):
    with closing(Store(data / "store.sqlite3")) as store:
        yield store


def refused(connect):
    with pytest.raises(websocket.WebSocketBadStatusException) as error:
        connect()
    return error.value.status_code


def test_every_route_wants_a_user(server):
    paths = ("jobs", "endpoints", "spend", "jobs/a1", "jobs/a1/log", "jobs/a1/cancel", "changes")
    asked = [server.get(path, token=None, method="POST" if path.endswith("cancel") else "GET") for path in paths]
    assert {status for status, _ in asked} == {403}
    assert {server.get(path, token="wrong", method="GET")[0] for path in paths[:5]} == {403}
    assert refused(lambda: server.watch(token=None)) == 403
    assert refused(lambda: server.watch(token="wrong")) == 403
    assert server.get("jobs")[0] == 200, "the control: with its token it answers"
    assert server.watch().close() is None


def test_pages_from_elsewhere_get_nothing(server):
    page, elsewhere = server.browser(), "http://elsewhere.example"
    assert refused(lambda: server.watch(token=None, cookie=page.cookie, origin=elsewhere)) == 403
    assert page.get("jobs", origin=elsewhere)[0] == 404
    server.watch(token=None, cookie=page.cookie).close()
    assert page.get("jobs", origin=server.origin)[0] == 200, "the control: the page itself is let in"


def test_cancel_is_a_row_and_wants_the_page_that_was_given_out(server, store):
    store.add(made("c1", handle={"pid": 1}))
    page = server.browser()
    assert page.post("jobs/c1/cancel", xsrf=False)[0] == 403
    assert not store.job("c1").cancel_requested
    assert page.post("jobs/c1/cancel", xsrf=True) == (200, {"id": "c1", "state": "queued", "cancel_requested": True})
    assert store.job("c1").cancel_requested, "its supervisor does the rest"


def test_cancelling_what_nobody_supervises_ends_it(server, store):
    store.add(made("c2"))
    store.add(made("c3"))
    store.move("c3", JobState.RUNNING, attempt=1)
    store.move("c3", JobState.PREEMPTED, attempt=1)
    for job_id in ("c2", "c3"):
        assert server.get(f"jobs/{job_id}/cancel", method="POST")[1]["state"] == "cancelled"
    ended = store.add(made("c4"))
    store.move("c4", JobState.FAILED, attempt=ended.attempt, why="broken")
    assert server.get("jobs/c4/cancel", method="POST")[1] == {"id": "c4", "state": "failed", "cancel_requested": False}


def test_no_path_comes_from_the_page(server, store, data):
    (data / "secret.txt").write_text("sesame")
    folder = JobFolder(data / "jobs" / "l1")
    folder.path.mkdir(parents=True)
    folder.log.write_text("one\ntwo\nthree\n")
    store.add(made("l1", folder=str(folder.path)))
    assert server.get("jobs/l1/log?lines=2") == (200, {"id": "l1", "lines": ["two", "three"]})
    for path in ("jobs/..%2f..%2fsecret.txt/log", "jobs/../log", "jobs/%2e%2e/log", "jobs/l1%00/log", "jobs/l1/secret"):
        assert server.get(path)[0] in (400, 404)
    assert server.get("jobs/nobody/log")[0] == 404
    assert server.get("jobs/l1/log?lines=0")[0] == server.get("jobs/l1/log?lines=9e9")[0] == 400
    assert server.get(f"{BASE}api/status")[0] == 200
    assert server.get("/mlaas_lab/jobs")[0] == 404, "only under the prefix"


def test_a_change_is_pushed_and_only_that(server, store):
    with closing(server.watch()) as socket:
        first = news(socket, lambda message: message["full"])
        assert first["about"]["store"].endswith("store.sqlite3")
        assert first["spend"] == {"today_usd": 0.0, "held_usd": 0.0, "at_least": False, "cap_usd": 2.5}
        store.add(made("p1"))
        assert states(news(socket, lambda message: message["jobs"])) == {"p1": "queued"}
        store.move("p1", JobState.RUNNING, attempt=1)
        news(socket, lambda message: states(message) == {"p1": "running"})
        store.update("p1", attempt=1, progress=Progress(n=3, total=float("nan"), at=1.0))
        (job,) = news(socket, lambda message: message["jobs"])["jobs"]
        assert job["progress"]["n"] == 3
        assert job["progress"]["total"] is None, "what is no number in JSON is none"
        store.announce(
            Endpoint(name="e", job_id="p1", base_url="u", model="m", engine="x", ready=True, source="s"), attempt=1
        )
        assert news(socket, lambda message: "endpoints" in message)["endpoints"][0]["name"] == "e"
        store.move("p1", JobState.FAILED, attempt=1, why="x" * 9000)
        last = news(socket, lambda message: states(message) == {"p1": "failed"})
        assert len(last["jobs"][0]["error"]) == 2000
        assert last["endpoints"] == []


def test_a_lost_line_misses_nothing(server, store):
    with closing(server.watch()) as socket:
        seen = news(socket, lambda message: message["full"])["at"]
    for job_id in ("r1", "r2"):
        store.add(made(job_id))
        store.move(job_id, JobState.RUNNING, attempt=1)
    store.move("r1", JobState.SUCCEEDED, attempt=1)
    with closing(server.watch(since=seen)) as socket:
        missed = news(socket, lambda message: True)
    assert not missed["full"]
    assert states(missed) == {"r1": "succeeded", "r2": "running"}
    store.forget("r1", attempt=1)
    with closing(server.watch(since=missed["at"])) as socket:
        assert news(socket, lambda message: message["gone"])["gone"] == ["r1"]
    # A number of another server's life, or none: everything.
    for stranger in (f"0000.{missed['at'].split('.')[1]}", "", "x", f"{missed['at']}999"):
        with closing(server.watch(since=stranger)) as socket:
            fresh = news(socket, lambda message: True)
            assert fresh["full"]
            assert "r2" in states(fresh)
            assert "r1" not in states(fresh)
    # The control: a client that forgets where it was is told nothing new about what it has.
    with closing(server.watch(since=fresh["at"])) as socket, pytest.raises(websocket.WebSocketTimeoutException):
        news(socket, lambda message: message["jobs"], within_s=1)


def test_a_hundred_lost_lines_end_where_the_store_is(server, store):
    store.add(made("h1"))
    store.move("h1", JobState.RUNNING, attempt=1)
    seen, known = None, {}
    for n in range(100):
        store.update("h1", attempt=1, progress=Progress(n=n, total=100, at=1.0))
        with closing(server.watch(since=seen)) as socket:
            message = news(socket, lambda message: True)
        seen = message["at"]
        known |= {job["id"]: job for job in message["jobs"]}
    assert known["h1"]["progress"]["n"] == 99


def test_money_is_pushed_as_the_ledger_has_it(server, store, data):
    with closing(server.watch()) as socket:
        news(socket, lambda message: message["full"])
        with closing(Ledger(data / "ledger.sqlite3")) as ledger:
            hold = Hold(id=0, payer=Payer(job="m", project="p"), kind=Kind.API, target="t", amount=0, at=0)
            ledger.draw(hold, [Charge(kind=Kind.API, target="t", spent=1_250_000)], Wish(over=True))
        told = news(socket, lambda message: "spend" in message and message["spend"]["today_usd"])
    assert told["spend"]["today_usd"] == 1.25
    assert server.get("spend")[1]["spend"]["today_usd"] == 1.25


def test_a_ledger_that_cannot_be_read_leaves_money_unknown(home, monkeypatch):
    from mlaas_lab.settings import Settings
    from mlaas_lab.store.overview import spend

    (home / "ledger.sqlite3").write_text("no database, and long enough to be taken for one" * 100)
    assert spend(Settings(data_dir=home))["today_usd"] is None


def test_code_makes_the_job_again(server, store):
    spec = {"data": 'rows "a: b".jsonl', "rank": 8, "targets": ["x/y", "ü"], "name": None, "flag": True}
    store.add(made("s1", task="finetune", spec=spec))
    code = server.get("jobs/s1")[1]["code"]
    import yaml

    head, _, body = code.partition("\n")
    assert head == "%%mlaas finetune"
    assert yaml.safe_load(body) == {key: value for key, value in spec.items() if value is not None}


def test_a_store_of_a_newer_version_is_said(server, data, home, monkeypatch):
    """Without a server of its own: what every route and the websocket are told."""
    import asyncio
    import sqlite3

    from mlaas_lab.errors import StoreError
    from mlaas_lab.server import Desk

    monkeypatch.setenv("MLAAS_DATA_DIR", str(home))
    with closing(sqlite3.connect(home / "store.sqlite3")) as db:
        db.execute("pragma user_version=9999")

    class Page:
        free, worried = True, True

        def __init__(self):
            self.told = asyncio.Queue()

        def tell(self, text):
            self.told.put_nowait(text)
            return True

    async def asked():
        desk, page = Desk(), Page()
        with pytest.raises(StoreError, match="newer"):
            await desk.shown()
        desk.join(page, None)
        told = await page.told.get()
        desk.leave(page)
        return told

    assert "newer" in json.loads(asyncio.run(asked()))["error"]["message"]


def test_a_thousand_jobs_leave_the_loop_to_the_others(tmp_path):
    """How long it is kept is in `tests/benchmarks/lab.py`."""
    assert busy(tmp_path / "a", 1000)["touched"] == ["thread"], "nothing reads a disk on the loop"
    assert "loop" in busy(tmp_path / "b", 1, SABOTAGE="loop")["touched"], "the control"


def test_silence_is_told_apart_from_work(store, data, monkeypatch):
    from mlaas_lab.store import overview

    monkeypatch.setattr(overview, "AGAIN_S", 0.0)
    for job_id in ("q1", "q2"):
        store.add(made(job_id))
        store.move(job_id, JobState.RUNNING, attempt=1)
    with closing(overview.Overview(data / "store.sqlite3")) as seen:
        seen.look()
        later = time.monotonic() + overview.SILENT_S + 1
        monkeypatch.setattr(overview.time, "monotonic", lambda: later)
        store.update("q1", attempt=1, beat=1)
        seen.look()
        silent = {job["id"] for job in seen.since(None)["jobs"] if job["silent"]}
    assert "q2" in silent
    assert "q1" not in silent


def test_what_is_deleted_too_often_is_told_by_starting_afresh(store, data, monkeypatch):
    from mlaas_lab.store import overview

    monkeypatch.setattr(overview, "REMEMBERED", 2)
    with closing(overview.Overview(data / "store.sqlite3")) as seen:
        seen.look()
        for n in range(4):
            store.add(made(f"d{n}"))
            store.move(f"d{n}", JobState.CANCELLED, attempt=1)
        seen.look()
        before = seen.at
        for n in range(4):
            assert seen.since(before)["full"] is (n > 2)
            store.forget(f"d{n}", attempt=1)
            seen.look()
        assert seen.since(before)["full"], "two of four are no longer known"
