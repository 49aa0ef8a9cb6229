"""What stands before a server: an allow list of paths, this machine's own names, and two keys."""

import asyncio

import pytest

from mlaas_lab.serving import _guard
from mlaas_lab.serving._guard import Guard

ASK = {"host": "127.0.0.1:8000", "authorization": "Bearer k"}


@pytest.fixture
def guarded(monkeypatch, tmp_path):
    """A guard before an application that answers everything with 200; what a request gets back."""
    (tmp_path / _guard.KEYS).write_text('["k", "o"]')
    monkeypatch.setattr(_guard, "__file__", str(tmp_path / "guard.py"))
    passed = []

    async def app(scope, _receive, send):
        passed.append(scope["path"] if scope["type"] == "http" else scope["type"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    def ask(path, headers=ASK, kind="http", **more):
        sent = []

        async def send(message):
            sent.append(message)

        pairs = [
            (name.encode(), value.encode())
            for name, value in (headers.items() if isinstance(headers, dict) else headers)
        ]
        scope = {"type": kind, "path": path, "headers": pairs, **more}
        asyncio.new_event_loop().run_until_complete(Guard(app)(scope, None, send))
        return sent[0].get("status", sent[0].get("code")) if sent else None

    ask.passed = passed
    return ask


def test_what_is_served_passes(guarded):
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages", "/v1/models", "/metrics"):
        assert guarded(path) == 200
    assert guarded("/health", {"host": "localhost"}) == 200
    assert guarded("/v1/load_lora_adapter", {**ASK, "authorization": "Bearer o"}) == 200
    assert len(guarded.passed) == 8


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/tokenize",
            "/invocations",
            "/pause",
            "/update_weights",
            "/sleep",
            "/v1/responses",
            "/docs",
            "/openapi.json",
        ),
        *(
            "/v1/chat/completions/",
            "//v1/chat/completions",
            "/v1/../tokenize",
            "/V1/models",
            "/v1/chat/completions/render",
        ),
    ],
)
def test_no_other_route_is_there_whoever_asks(guarded, path):
    for key in ("k", "o"):
        assert guarded(path, {**ASK, "authorization": f"Bearer {key}"}) == 404
    assert guarded("/v1/models", root_path="/tokenize") == 404
    assert guarded.passed == []


@pytest.mark.parametrize(
    "key", ["", "Bearer ", "Bearer x", "Bearer o", "bearer k", "Basic k", "Bearer k ", "Bearer kk"]
)
def test_no_answer_without_the_key(guarded, key):
    for path in ("/v1/chat/completions", "/v1/models", "/metrics"):
        assert guarded(path, {"host": "127.0.0.1", "authorization": key}) == 401
    assert guarded.passed == []


def test_more_paths_are_for_the_job_alone(guarded, tmp_path):
    (tmp_path / _guard.KEYS).write_text('["k", "o", "/sleep"]')
    assert guarded("/sleep") == 401
    assert guarded("/sleep", {**ASK, "authorization": "Bearer o"}) == 200
    assert guarded("/wake_up", {**ASK, "authorization": "Bearer o"}) == 404


def test_the_key_of_clients_opens_no_adapter_routes(guarded):
    assert guarded("/v1/load_lora_adapter") == 401
    assert guarded("/v1/unload_lora_adapter") == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.evil.example:80", "0.0.0.0"])
def test_other_names_of_this_machine_are_refused(guarded, host):
    assert guarded("/health", {**ASK, "host": host}) == 400
    assert guarded.passed == []


def test_pages_of_other_sites_are_refused(guarded):
    for origin in ("null", "http://evil.example", "http://localhost.evil.example", "file://"):
        assert guarded("/v1/models", {**ASK, "origin": origin}) == 403
    assert guarded("/v1/models", {**ASK, "origin": "http://localhost:8888"}) == 200


def test_a_header_that_comes_twice_counts_for_nothing(guarded):
    twice = [("host", "127.0.0.1"), ("authorization", "Bearer x"), ("authorization", "Bearer k")]
    assert guarded("/v1/models", twice) == 401
    assert guarded("/health", [("host", "127.0.0.1"), ("host", "evil.example")]) == 400


def test_sockets_are_closed_and_the_start_passes(guarded):
    assert guarded("/v1/realtime", kind="websocket") == 1008
    assert guarded.passed == []
    guarded("", kind="lifespan")
    assert guarded.passed == ["lifespan"]


def test_a_guard_that_lets_all_pass_is_caught(guarded, monkeypatch):
    monkeypatch.setattr(Guard, "refusal", lambda _self, _scope: None)
    assert guarded("/tokenize", {}) == 200


def test_the_copy_knows_nothing_but_the_standard_library():
    from pathlib import Path

    text = Path(_guard.__file__).read_text()
    imported = [line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert imported == ["hmac", "json", "collections.abc", "pathlib", "typing"]
