"""Who may ask the front, and for what: each guard, and the same without it."""

import os
import socket
import stat
import time

import pytest
from scripted_server import ScriptedServer

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.fronting import _run, callers, heads, routes
from mlaas_lab.fronting.guard import Guard
from mlaas_lab.fronting.heads import Head
from mlaas_lab.store.front import Kept

STRANGERS = {
    "no token": {"authorization": None},
    "another token": {"token": "mlaas-another"},
    "half of the token": {"half": True},
    "another scheme": {"authorization": "Basic bWxhYXM6"},
    "another host": {"host": "rebound.example:8000"},
    "another port": {"host": "127.0.0.1:1"},
    "no port": {"host": "127.0.0.1"},
    "a host that ends like ours": {"host": "evil.127.0.0.1"},
    "a host with a path": {"host": "127.0.0.1:{port}/x?"},
    "a page": {"origin": "https://evil.example"},
    "a file": {"origin": "null"},
    "a page whose name begins like ours": {"origin": "http://127.0.0.1:{port}.evil.example"},
    "a page of another port": {"origin": "http://localhost:1"},
    "a page of another site": {"sec_fetch_site": "cross-site"},
    "a page of the same site": {"sec_fetch_site": "same-site"},
}


def asked(front, *, half=False, **more):
    more = {name: value and value.replace("{port}", str(front.port)) for name, value in more.items()}
    if half:
        more["token"] = front.token[: len(front.token) // 2]
    return front.ask(**more)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_strangers_are_sent_away(front, monkeypatch, stranger):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        status, headers, said = asked(front, **STRANGERS[stranger])
        assert status in (401, 403), said
        assert ("WWW-Authenticate" in {name.title().replace("Www", "WWW") for name in headers}) == (status == 401)
        assert "access-control-allow-origin" not in {name.lower() for name in headers}
        assert server.requests == []
        # The control: it is the guard who says so.
        monkeypatch.setattr(Guard, "check", lambda _guard, _head: None)
        assert asked(front, **STRANGERS[stranger])[0] == 200
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "friend",
    [
        {},
        {"host": "localhost:{port}"},
        {"host": "LOCALHOST:{port}"},
        {"origin": "http://127.0.0.1:{port}"},
        {"sec_fetch_site": "same-origin"},
        {"authorization": None, "x_api_key": "{token}"},
        {"authorization": "bearer {token}"},
    ],
)
def test_friends_are_not(front, friend):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        friend = {name: value and value.replace("{token}", front.token) for name, value in friend.items()}
        assert asked(front, **friend)[0] == 200


def test_the_token_is_compared_in_constant_time(monkeypatch):
    seen = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: seen.append((a, b)) or a == b)
    guard = Guard(port=8, token="mlaas-x")
    fields = {b"host": b"localhost:8", b"authorization": b"Bearer mlaas-x"}
    guard.check(Head(method=b"GET", path=b"/", query=b"", fields=fields, passed=b"", length=0, closes=False))
    assert seen == [(b"mlaas-x", b"mlaas-x")]


HOSTILE = {
    "both lengths": b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
    "chunks": b"transfer-encoding: chunked\r\n",
    "chunks, spelled": b"transfer-encoding: xchunked\r\n",
    "chunks, twice": b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
    "chunks, a space before the colon": b"transfer-encoding : chunked\r\ncontent-length: 0\r\n",
    "chunks, a tab before it": b"transfer-encoding\t: chunked\r\ncontent-length: 0\r\n",
    "two lengths": b"content-length: 0\r\ncontent-length: 5\r\n",
    "the same length twice": b"content-length: 0\r\ncontent-length: 0\r\n",
    "two lengths in one": b"content-length: 0, 5\r\n",
    "a sign": b"content-length: +5\r\n",
    "less than nothing": b"content-length: -5\r\n",
    "hexadecimal": b"content-length: 0x5\r\n",
    "not ASCII": "content-length: ٥\r\n".encode(),
    "an underscore": b"content-length: 1_0\r\n",
    "a folded line": b"x: a\r\n content-length: 5\r\n",
    "a folded value": b"transfer-encoding:\r\n chunked\r\n",
    "a bare line feed": b"x: a\ncontent-length: 5\r\n",
    "a bare carriage return": b"x: a\rcontent-length: 5\r\n",
    "a zero": b"x: a\x00\r\ncontent-length: 0\r\n",
    "no name": b": a\r\ncontent-length: 0\r\n",
    "no colon": b"content-length\r\n",
    "two hosts": b"host: evil.example\r\ncontent-length: 0\r\n",
    "no length": b"",
    "too long": b"content-length: 99999999999\r\n",
    "far too long": b"content-length: " + b"9" * 40 + b"\r\n",
    "too many headers": b"x: y\r\n" * 200 + b"content-length: 0\r\n",
    "too large a header": b"x: " + b"y" * 40_000 + b"\r\n",
}
STARTS = {
    "an address": b"POST http://evil.example/v1/chat/completions HTTP/1.1",
    "two spaces": b"POST  /v1/chat/completions HTTP/1.1",
    "a tab": b"POST\t/v1/chat/completions HTTP/1.1",
    "no version": b"POST /v1/chat/completions",
    "an old version": b"POST /v1/chat/completions HTTP/1.0",
    "a version of its own": b"POST /v1/chat/completions HTTP/1.1.1",
    "a small letter": b"post /v1/chat/completions HTTP/1.1",
    "HTTP/2": b"PRI * HTTP/2.0",
    "not ASCII": "POST /v1/chät HTTP/1.1".encode(),
    "an empty line": b"\r\nPOST /v1/chat/completions HTTP/1.1",
}
EVIL = b"0\r\n\r\nPOST /v1/load_lora_adapter HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n"
"""What a body holds that only another reading of the lengths makes a request."""


def hostile(front, start=b"POST /v1/chat/completions HTTP/1.1", lines=b"content-length: 0\r\n"):
    ours = f"host: 127.0.0.1:{front.port}\r\nauthorization: Bearer {front.token}\r\n".encode()
    return front.send(start + b"\r\n" + ours + lines + b"\r\n" + EVIL)


@pytest.mark.parametrize("form", HOSTILE)
def test_what_two_servers_could_read_differently_is_refused_and_the_connection_closed(front, form):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        got = hostile(front, lines=HOSTILE[form])
        assert int(got.split()[1]) in (400, 411, 413, 431), got
        assert got.count(b"HTTP/1.1 ") == 1, "one answer, and then the connection ends"
        assert b"connection: close" in got
        assert server.requests == []


@pytest.mark.parametrize("form", STARTS)
def test_what_is_no_request_is_refused(front, form):
    got = hostile(front, start=STARTS[form])
    assert int(got.split()[1]) in (400, 505), got
    assert got.count(b"content-length:") == 1


def test_the_servers_would_have_read_them(front, monkeypatch):
    """The control: with a reader that forgives, what was in the body arrives at a server as a request of its own."""
    lax = heads._length
    monkeypatch.setattr(
        heads, "_length", lambda method, fields: 0 if b"transfer-encoding" in fields else lax(method, fields)
    )
    monkeypatch.setattr(routes, "check", lambda head: None)
    ours = b"host: 127.0.0.1:%d\r\nauthorization: Bearer %s\r\n" % (front.port, front.token.encode())
    seen = []
    real = callers.Caller._ask
    monkeypatch.setattr(
        callers.Caller, "_ask", lambda self, head, body: seen.append(head.path) or real(self, head, body)
    )
    evil = EVIL.replace(b"host: x\r\n", ours).removeprefix(b"0\r\n\r\n")
    head = b"POST /v1/chat/completions HTTP/1.1\r\n" + ours + b"transfer-encoding: chunked\r\n\r\n"
    front.send(head + evil + b"GET / HTTP/9\r\n\r\n")
    assert seen == [b"/v1/chat/completions", b"/v1/load_lora_adapter"]


PRIVATE = (
    *("/sleep", "/wake_up", "/is_sleeping", "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/metrics", "/docs"),
    *("/tokenize", "/detokenize", "/v1/tokenize", "/openapi.json", "/server_info", "/health", "/version", "/pause"),
    *("/collective_rpc", "/reset_prefix_cache", "/update_config", "/start_profile", "/scale_elastic_ep", "/", "/v1"),
    *("/v1/responses", "/v1/../sleep", "/v1/chat/completions/../../../sleep", "/v1/chat/completions/", "//sleep"),
    *("/v1/chat%2Fcompletions", "/V1/chat/completions", "/v1/chat/completions;x", "/%76%31/models", "/v1//models"),
    *("/v1/chat/completions#/sleep", "/invocations", "/rerank", "/score", "/pooling", "/ping", "/load"),
)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_private_routes_of_an_engine_are_not_there(front, method):
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        found = {path: front.ask(method=method, path=path)[0] for path in PRIVATE}
        assert set(found.values()) == {404}, found
        assert server.requests == []


def test_without_the_list_of_routes_they_would_be(front, monkeypatch):
    monkeypatch.setattr(routes, "ASKED", routes.ASKED | {b"/v1/load_lora_adapter"})
    with ScriptedServer() as server:
        front.serve("a", server.base_url)
        assert front.ask(path="/v1/load_lora_adapter")[0] == 200
        assert server.requests[0].start == b"POST /v1/load_lora_adapter HTTP/1.1"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("OPTIONS", "/v1/chat/completions"),
        ("HEAD", "/v1/models"),
    ],
)
def test_other_methods(front, method, path):
    got = front.send(front.request(method=method, path=path))
    assert got.startswith(b"HTTP/1.1 405")
    assert b"access-control" not in got.lower()


class TestPatience:
    """Who dawdles keeps no connection; the times are cut short here, by the same clock."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch):
        for name in ("HEAD_S", "BODY_S", "IDLE_S"):
            monkeypatch.setattr(callers, name, 0.3)
        monkeypatch.setattr(_run, "SWEEP_S", 0.1)

    def test_a_head_that_drips_is_given_up(self, front):
        with front.connect() as connection:
            begun = time.monotonic()
            got = b""
            connection.settimeout(0.1)
            for byte in front.request()[:-20] * 20:
                try:
                    connection.sendall(bytes([byte]))
                    got += connection.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    break
                if got:
                    break
            assert got.startswith(b"HTTP/1.1 408")
            assert time.monotonic() - begun < 10

    @pytest.mark.parametrize("sent", [b"", b"POST", b"POST / HTTP/1.1\r\nhost: a\r\n"])
    def test_silence_is_too(self, front, sent):
        got = front.send(sent)
        assert got.startswith(b"HTTP/1.1 408") if sent else got == b""

    def test_a_body_that_does_not_come_is_too(self, front):
        assert front.send(front.request(content_length="100")).startswith(b"HTTP/1.1 408")

    def test_a_connection_that_nobody_uses_is_closed(self, front):
        got = front.send(front.request(method="GET", path="/v1/models"))
        assert got.startswith(b"HTTP/1.1 200")


class TestKept:
    def test_the_token_is_the_users_alone_and_stays(self, settings):
        kept = Kept(settings)
        token = kept.token()
        assert stat.S_IMODE(kept.token_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
        assert Kept(settings).token() == token
        assert len(token) > 40

    def test_a_token_that_others_could_read_is_replaced(self, settings):
        kept = Kept(settings)
        token = kept.token()
        kept.token_file.chmod(0o644)
        assert kept.token() != token
        assert stat.S_IMODE(kept.token_file.stat().st_mode) == 0o600

    def test_an_empty_file_is_no_token(self, settings):
        kept = Kept(settings)
        kept.token()
        kept.token_file.write_text("\n")
        with pytest.raises(DataError, match="Delete it"):
            kept.token()

    def test_the_port_stays(self, fronted):
        with fronted() as first:
            port = first.port
        with fronted() as second:
            assert second.port == port

    def test_a_port_that_is_taken_is_said(self, fronted):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(UsageError, match=rf"port {port} .* front --port N"), fronted(port=port):
                pass

    def test_a_user_has_one_front(self, fronted):
        with fronted(), pytest.raises(UsageError, match="runs already"), fronted():
            pass

    def test_it_listens_on_loopback_alone(self, front):
        import psutil

        mine = [one.laddr for one in psutil.Process(os.getpid()).net_connections("inet") if one.status == "LISTEN"]
        assert [place.ip for place in mine if place.port == front.port] == ["127.0.0.1"]
