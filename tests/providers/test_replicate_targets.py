"""Replicate by its targets: models, versions, deployments; predictions that take their time; keys that stay at home."""

import json

import pytest
from emulated import target

from mlaas_lab import errors, registry
from mlaas_lab.emulators import Emulator, Frame, Reply
from mlaas_lab.emulators._minds import echo
from mlaas_lab.emulators._server import Scene, Server
from mlaas_lab.emulators.replicate import Replicate
from mlaas_lab.inference import Limits, resolve
from mlaas_lab.schema import Usage
from mlaas_lab.wires import Follow

TEXT = "Grüße an die 世界 🙂 heute"
HEX = "5a6809ca6288247d06daf6365557e5e429063f32a21146b2a807c682652136b8"


@pytest.fixture
def served():
    """A running emulator of one account."""
    servers = []

    def served(vendor, **scene):
        emulator = Emulator(title="t", vendor=lambda: vendor, model="meta/meta-llama-3-8b-instruct")
        server = Server(emulator, mind=echo, scene=Scene(**scene))
        server.__enter__()
        servers.append(server)
        return server

    yield served
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Looks at a prediction follow each other at once."""
    monkeypatch.setattr("mlaas_lab.wires.replicate.FIRST_S", 0.001)


@pytest.mark.parametrize("joined", [False, True], ids=["pieces", "string"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_slow_predictions_are_looked_at_until_they_end(served, ask, stream, joined):
    server = served(Replicate(slow=4, joined=joined))
    done = ask(target(server, "replicate"), stream=stream)
    assert (done.text, done.finish_reason) == (TEXT, "succeeded")
    assert done.usage.output_tokens == sum(row.output_tokens for row in server.ledger) == 6
    assert len(done.attempts) == 1
    asked = [(one.method, one.path.rpartition("/")[0]) for one in server.asked]
    looks = [("GET", "/v1/predictions")]
    created = ("POST", "/v1/models/meta/meta-llama-3-8b-instruct")
    assert asked == [created, *([("GET", "/v1/files")] if stream else []), *looks * (5 if stream else 4)]


def test_waiting_is_asked_for_only_where_it_delays_nothing(served, ask):
    server = served(Replicate())
    ask(target(server, "replicate"))
    ask(target(server, "replicate"), stream=True)
    created = [one for one in server.asked if one.method == "POST"]
    assert [one.headers.get("Prefer") for one in created] == ["wait", None]
    assert [json.loads(one.body).get("stream") for one in created] == [None, True]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_models_that_count_nothing_have_no_usage(served, ask, stream):
    usage = ask(target(served(Replicate(counts=False)), "replicate"), stream=stream).usage
    assert (usage.input_tokens, usage.output_tokens) == (None, None)


@pytest.mark.parametrize(("whole", "ended_at"), [(True, 100.0), (False, 200.0)], ids=["kept", "control"])
def test_the_look_for_counts_takes_no_time_of_the_answer(served, ask, monkeypatch, whole, ended_at):
    """The text ends at 100 and is counted at 200, by a clock that the vendor turns; an ordinary look would take it."""
    clock = [0.0]

    class Turning(Replicate):
        def answer(self, asked, mind):
            clock[0] = {"POST": 0.0, "GET": 200.0}[asked.method] if "files" not in asked.path else 100.0
            return super().answer(asked, mind)

    monkeypatch.setattr("mlaas_lab.inference.attempt.now", lambda: clock[0])
    if not whole:
        monkeypatch.setattr("mlaas_lab.wires.replicate.Follow", lambda whole=None, **more: Follow(**more))
    done = ask(target(served(Turning()), "replicate"), stream=True)
    assert (done.text, done.usage.output_tokens) == (TEXT, 6)
    assert done.attempts[0].ended_at == ended_at


def test_a_look_for_counts_that_fails_spoils_no_answer(served, ask, monkeypatch):
    """It was streamed to its end mark, and is on the bill."""

    class Forgetful(Replicate):
        def answer(self, asked, mind):
            if asked.method == "GET" and "files" not in asked.path:
                return Reply(status=500, frames=())
            return super().answer(asked, mind)

    done = ask(target(served(Forgetful()), "replicate"), stream=True)
    assert (done.text, done.finish_reason, done.usage) == (TEXT, "succeeded", Usage())
    assert [(one.status, one.error) for one in done.attempts] == [(200, None)]
    monkeypatch.setattr("mlaas_lab.wires.replicate.Follow", lambda whole=None, **more: Follow(**more))
    with pytest.raises(errors.CallError):
        ask(target(served(Forgetful()), "replicate"), stream=True)


@pytest.mark.parametrize(
    ("model", "path", "body"),
    [
        ("deployments/me/mine", "/v1/deployments/me/mine/predictions", {}),
        (f"meta/llama:{HEX}", "/v1/predictions", {"version": HEX}),
        (HEX, "/v1/predictions", {"version": HEX}),
    ],
)
def test_other_names(served, ask, model, path, body):
    server = served(Replicate())
    assert ask(target(server, "replicate", model=model)).text == TEXT
    assert server.asked[0].path == path
    assert json.loads(server.asked[0].body).get("version") == body.get("version")


def test_the_addresses_of_the_vendor(settings, monkeypatch):
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_x")
    route = resolve("replicate/meta/meta-llama-3-8b-instruct", settings)
    assert route.url == "https://api.replicate.com/v1/models/meta/meta-llama-3-8b-instruct/predictions"
    assert route.hosts == (".replicate.com",)


@pytest.mark.parametrize("name", ["get", "stream"])
def test_a_key_follows_to_no_other_host(served, ask, name):
    class Elsewhere(Replicate):
        def answer(self, asked, mind):
            reply = super().answer(asked, mind)
            data = json.loads(reply.frames[0].data)
            data["status"] = "starting"
            data["urls"][name] = "http://127.0.0.2:9/v1/predictions/emulated0"
            return Reply(status=201, headers=reply.headers, frames=[Frame(data=json.dumps(data).encode())])

    server = served(Elsewhere())
    with pytest.raises(errors.ProviderBug, match="not the vendor's"):
        ask(target(server, "replicate"), stream=name == "stream")
    assert len(server.asked) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_one_that_is_cancelled_elsewhere(served, ask, stream):
    class Cancelled(Replicate):
        def _created(self, asked, path, mind):
            reply = super()._created(asked, path, mind)
            for one in self.kept.values():
                one.status = "canceled"
            return reply

    with pytest.raises(errors.Overloaded, match="cancel"):
        ask(target(served(Cancelled(slow=9)), "replicate"), stream=stream)


def test_throttled_calls_wait_as_long_as_they_are_told(served, ask):
    server = served(Replicate(), retry_after="30")
    server.next.append("rate_limited")
    with pytest.raises(errors.RateLimited, match="past the deadline") as caught:
        ask(target(server, "replicate"), limits=Limits(timeout_s=5, retries=3))
    assert caught.value.retry_after_s == 30
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("title", "status", "kind"),
    [
        ("Invalid version or not permitted", 422, errors.NotFound),
        ("Input validation failed", 422, errors.InvalidRequest),
        ("Insufficient credit", 402, errors.QuotaExceeded),
    ],
)
def test_titles(title, status, kind):
    provider = registry.load("provider", "replicate")
    body = json.dumps({"title": title, "detail": "m", "status": status}).encode()
    assert provider.error(provider.wire.fault(body, {}), status) is kind
