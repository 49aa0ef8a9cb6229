"""From a target's text to a place: near matches for what is unknown, and a wait for what is starting."""

import threading
import time

import pytest
from loopback import Loopback
from made_jobs import made

from mlaas_lab.errors import TimedOut, UsageError
from mlaas_lab.inference import complete, resolve, route
from mlaas_lab.schema import Endpoint, JobState, Message, Target
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("opnai/x", "unknown provider 'opnai'. Did you mean 'openai'?"),
        ("openai", "Write openai/MODEL."),
        ("tiny", "no endpoint 'tiny' is running. Start it: serve tiny"),
        ("openai/x?bas_url=1", "unknown parameter 'bas_url'. Did you mean 'base_url'?"),
        ("echo/x?base_url=http://h/v1", "unknown parameter 'base_url'"),
        ("openai/x?base_url=host", "is no address"),
        ("openai/x?base_url=http://h:99999/v1", "is no address"),
        ("openai/x?base_url=http://[::1/v1", "is no address"),
        ("openai/x?base_url=file:///etc/passwd", "is no address"),
        ("openai/x?base_url=http://u:p@h/v1", "holds no password"),
        ("openai/x?base_url=http://h/v1&temperature=warm", "temperature must be a number, not 'warm'"),
        ("openai/", "has no model"),
        ("/m", "has no model"),
    ],
)
def test_wrong_words_get_one_line(text, said, settings):
    with pytest.raises(UsageError) as caught:
        resolve(text, settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_providers_without_a_network(settings):
    found = resolve("echo/m?max_tokens=3&stop=x", settings)
    assert (found.model, found.url, found.concurrency) == ("m", "", 8)
    assert found.overrides == {"max_tokens": 3, "stop": ("x",)}
    assert resolve(Target.parse("echo/m"), settings).name == "echo/m"


@pytest.fixture
def serving(settings):
    """A store with a running `serve` job; the function announces an endpoint of it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(settings.store_path)
    store.add(made("j1", task="serve"))
    store.move("j1", JobState.RUNNING, attempt=1)

    def announce(name, *, base_url="http://127.0.0.1:1/v1", engine="transformers", ready=True):
        place = Endpoint(
            name=name, job_id="j1", base_url=base_url, model=f"/{name}", engine=engine, ready=ready, source=name
        )
        store.announce(place, attempt=1)

    yield announce, store
    store.close()


def test_an_endpoint_of_ours(serving, settings):
    announce, _store = serving
    announce("tiny")
    announce("fast", engine="vllm")
    announce("other", engine="somebody-elses")
    found = resolve("tiny?max_tokens=9", settings)
    assert (found.url, found.model) == ("http://127.0.0.1:1/v1/chat/completions", "/tiny")
    assert (found.private, found.sign, found.concurrency) == (True, None, 16)
    assert found.overrides == {"max_tokens": 9}
    assert found.name == "tiny?max_tokens=9"
    assert resolve("fast", settings).concurrency == 32
    assert resolve("other", settings).concurrency == 8


def test_an_endpoint_that_asks_for_a_key_gets_its_own(serving, settings):
    announce, _store = serving
    folder = JobFolder(settings.jobs_dir / "j1")
    folder.path.mkdir(parents=True)
    folder.key.write_text("k-123")
    with Loopback() as server:
        announce("tiny", base_url=server.base_url)
        assert complete("tiny", [Message(role="user", content="hi")], settings=settings).text == "hi"
    assert [ask.headers["Authorization"] for ask in server.requests] == ["Bearer k-123"]
    assert "k-123" not in repr(resolve("tiny", settings))


def test_it_answers(serving, settings):
    announce, _store = serving
    with Loopback() as server:
        announce("tiny", base_url=server.base_url)
        done = complete("tiny", [Message(role="user", content="hi there")], settings=settings)
    assert done.text == "hi there"
    assert server.requests[0].body["model"] == "/tiny"


def test_near_matches_among_those_that_run(serving, settings):
    announce, _store = serving
    announce("support")
    with pytest.raises(UsageError, match="Did you mean 'support'"):
        resolve("suport", settings)
    with pytest.raises(UsageError, match="Running: support"):
        resolve("zzz", settings)


def test_one_that_is_starting_is_waited_for(serving, settings):
    announce, _store = serving
    announce("tiny", ready=False)
    timer = threading.Timer(0.5, announce, ["tiny"])
    timer.start()
    started = time.monotonic()
    assert resolve("tiny", settings).model == "/tiny"
    assert time.monotonic() - started >= 0.4
    timer.join()


def test_one_that_dies_while_starting_is_not_waited_for(serving, settings):
    announce, store = serving
    announce("tiny", ready=False)
    timer = threading.Timer(0.3, store.move, ["j1", JobState.FAILED], {"attempt": 1})
    timer.start()
    with pytest.raises(UsageError, match="no endpoint 'tiny'"):
        resolve("tiny", settings)
    timer.join()


def test_the_wait_has_an_end(serving, settings, monkeypatch):
    announce, _store = serving
    announce("tiny", ready=False)
    monkeypatch.setattr(route, "STARTING_S", 0.1)
    with pytest.raises(TimedOut, match="logs j1"):
        resolve("tiny", settings)
