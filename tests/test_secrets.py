"""Canary secrets through every path: the vendor repeats whatever it is sent, and no key is found anywhere afterwards.

Looked through: what the shell and a cell print, logs, the store, records and raw exchanges, MLflow's database and files,
tracebacks, and the command lines of all processes meanwhile.
"""

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from mlaas_lab import registry
from mlaas_lab.errors import CallError
from mlaas_lab.inference import Limits
from mlaas_lab.providers import Provider
from mlaas_lab.schema import Message

NAMES = [name for name in registry.names("provider") if registry.load("provider", name).reply is None]


class Parrot(BaseHTTPRequestHandler):
    """A vendor that repeats every header and byte it was sent, under a status that changes."""

    statuses = (401, 400, 429, 500, 200)
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode(errors="replace")
        said = " ".join([*self.headers.values(), body, self.path])
        self.server.heard.append(said)
        status = self.statuses[len(self.server.heard) % len(self.statuses)]
        data = json.dumps({"error": {"message": f"you sent {said}", "code": "e", "type": "t"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Echo", self.headers.get("Authorization", "none"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        self.do_POST()

    def log_message(self, *_):
        pass


@pytest.fixture
def parrot():
    with ThreadingHTTPServer(("127.0.0.1", 0), Parrot) as server:
        server.heard = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def canaries(monkeypatch):
    """A canary in every variable that any provider reads a secret from."""
    found = {}
    for name in NAMES:
        provider: Provider = registry.load("provider", name)
        for api in (provider, *provider.apis.values()):
            for sign in api.signs:
                for key in (*sign.keys, *sign.optional):
                    if "CREDENTIALS" not in key:
                        found[key] = f"canary-{len(found)}-{key.lower().replace('_', '-')}"
    for key, value in found.items():
        monkeypatch.setenv(key, value)
    assert len(found) >= 12
    return found


def targets(port):
    """A target of every provider and way in that sends its key to the parrot."""
    for name in NAMES:
        provider: Provider = registry.load("provider", name)
        for way, api in {"": provider, **provider.apis}.items():
            words = [f"{one.name}={one.example}" for one in provider.parameters if one.required]
            words += [f"api={way}"] if way else []
            words += [f"base_url=http://127.0.0.1:{port}"]
            words += [f"key_env={sign.keys[0]}" for sign in api.signs[:1]]
            model = registry.load("emulator", provider.emulator or name).model
            yield f"{name}/{model}?{'&'.join(words)}"


def leaks(text, canaries):
    return [value for value in canaries.values() if value in text]


@pytest.mark.parametrize("stream", [False, True])
def test_no_error_and_no_exchange_holds_a_key(parrot, canaries, settings, stream):
    from mlaas_lab.inference import Client, on_loop, resolve

    heard = 0
    for target in targets(parrot.server_port):
        route = resolve(target, settings)

        async def one(route=route):
            async with Client(Limits(retries=4, timeout_s=5), keep_exchanges=True) as client:
                await client.complete(route, (Message(role="user", content="hello"),), stream=stream)

        with pytest.raises(CallError) as caught:
            on_loop(one())
        error = caught.value
        everything = [str(error), repr(error), repr(error.__dict__), *chain(error)]
        assert not any(leaks(text, canaries) for text in everything), target
        heard += bool(leaks(" ".join(parrot.heard), canaries))
    # The control: the keys did go out, so there was something to hide.
    assert heard > len(NAMES) / 2


def chain(error):
    """What a traceback would show: every cause and context, with the locals' names left out."""
    seen = []
    while error is not None:
        seen.append(f"{error!r} {getattr(error, 'args', ())!r}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return seen


def test_nothing_that_a_user_keeps_holds_a_key(parrot, canaries, home, tmp_path, monkeypatch):
    monkeypatch.setattr(Parrot, "statuses", (401, 200))
    rows = [
        {"messages": [{"role": "user", "content": f"q {n}"}, {"role": "assistant", "content": "a"}]} for n in range(3)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    named = list(targets(parrot.server_port))
    shown = []
    with Watched() as commands:
        for words in (
            ["ask", "hello", "--targets", ",".join(named), "--timeout-s", "5"],
            ["ask", "hello", "--targets", ",".join(named), "--timeout-s", "5", "--json"],
            ["eval", "--data", str(data), "--targets", ",".join(named), "--retries", "0", "--timeout-s", "5"],
            ["jobs"],
            ["providers"],
            ["providers", "--json"],
            ["doctor"],
            ["config"],
            ["logs", "eval"],
            ["compare", "eval", "--html", str(tmp_path / "report.html")],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "mlaas_lab.cli", *words], capture_output=True, text=True, timeout=240
            )
            shown.append(done.stdout + done.stderr)
            assert "Traceback" not in done.stderr, done.stderr[-2000:]
    assert leaks(" ".join(parrot.heard), canaries)
    assert not leaks("\n".join(shown), canaries)
    assert not leaks("\n".join(commands), canaries)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(path.name.endswith(".gz") for path in kept)
    assert any(path.suffix in (".db", ".sqlite3") for path in kept)
    for path, content in kept.items():
        assert not leaks(unpacked(path, content), canaries), path


def unpacked(path: Path, content: bytes) -> str:
    """All text in a file, packed or not."""
    import gzip

    import polars as pl

    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".parquet":
        return pl.read_parquet(path).write_json()
    return content.decode(errors="replace")


class Watched(list):
    """The command lines of all processes of this user, sampled meanwhile."""

    def __enter__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.sample)
        self.thread.start()
        return self

    def sample(self):
        while not self.over.wait(0.05):
            for process in psutil.process_iter(["cmdline"]):
                line = " ".join(process.info["cmdline"] or ())
                if line not in self:
                    self.append(line)

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
