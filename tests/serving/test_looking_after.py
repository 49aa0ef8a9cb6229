"""How a server is doing, and what changes while it runs: states, restarts, adapters that come and go."""

import json
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mlaas_lab import registry
from mlaas_lab.context import Context
from mlaas_lab.errors import JobError, LabError, UsageError
from mlaas_lab.serving import Activity, Engine, Launch, _run
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.wishes import Change, ask
from mlaas_lab.tasks.serve import Serve

STUB = Path(__file__).parent / "stub_server.py"
ACTIVITY = Activity(path="/metrics", running=("stub:running",), done=("stub:steps_total",))


@pytest.fixture
def context(tmp_path, settings):
    folder = tmp_path / "job"
    folder.mkdir()
    return Context(JobFolder(folder), settings, job_id="j1", name="serve")


@pytest.fixture
def moods(tmp_path):
    """A folder; a file in it changes how the stub feels."""
    folder = tmp_path / "moods"
    folder.mkdir()
    return folder


def engine_of(moods, *, activity=ACTIVITY, **more) -> Engine:
    def launch(models, wishes, _folder):
        command = (sys.executable, str(STUB), wishes.socket or str(wishes.port), "--moods", str(moods))
        return Launch(
            command=command, environment={}, models={m.name: m.name for m in models}, activity=activity, places=None
        )

    return Engine(launch=launch, **more)


def states(context) -> list[str]:
    return [line["state"] for _, line in context.folder.events_from(0) if line["event"] == "health"]


def come(context, *wanted: str, within_s: float = 60) -> None:
    """Return when the last states are `wanted`."""
    deadline = time.monotonic() + within_s
    while states(context)[-len(wanted) :] != list(wanted):
        assert time.monotonic() < deadline, states(context)
        time.sleep(0.02)


def during(monkeypatch, context, engine, story, *, models, probe_s=0.3, **words):
    """Serve, tell `story` once it is ready, and stop; what the entry returned."""
    monkeypatch.setattr(registry, "load", lambda _kind, _name: engine)
    errors = []

    def tell():
        try:
            come(context, "ready")
            story()
        except BaseException as error:
            errors.append(error)
        finally:
            context.stopping = True

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        outcome = _run.serve(Serve(models=tuple(map(str, models)), probe_s=probe_s, **words), context)
    finally:
        context.stopping = True
        teller.join()
    if errors:
        raise errors[0]
    return outcome


@pytest.mark.parametrize("mood", ["hung", "refusing"])
def test_without_tokens_it_is_sick_and_comes_back(toys, context, moods, monkeypatch, mood):
    """It does not answer, or answers with an error."""

    def story():
        (moods / mood).touch()
        come(context, "ready", "sick")
        (moods / mood).unlink()
        come(context, "sick", "ready")

    monkeypatch.setattr(_run, "HANGS", 10_000)
    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])
    phases = [line["phase"] for _, line in context.folder.events_from(0) if line["event"] == "progress"]
    assert phases[-3:] == ["ready", "sick", "ready"], "the job's line says so too"


def test_a_look_at_the_health_route_would_see_nothing(toys, context, moods, monkeypatch):
    """The sabotaged twin: the route stays green."""
    from mlaas_lab.serving import _pulse
    from mlaas_lab.serving._health import exchange

    def green(base_url, _model, *, timeout_s, key):
        exchange(base_url.removesuffix("/v1") + "/health", None, timeout_s=timeout_s, headers={})
        return 0, 0

    def story():
        (moods / "hung").touch()
        time.sleep(1.5)

    monkeypatch.setattr(_pulse, "one_token", green)
    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])
    assert states(context) == ["starting", "ready"]


def test_a_look_takes_no_longer_than_one_interval(toys, context, moods, monkeypatch):
    """So whatever hangs is known before the second interval has passed."""
    from mlaas_lab.serving import _pulse

    assert 2 * _pulse.LOOK + _pulse.TOKEN <= 1


def test_slow_with_work_is_busy(toys, context, moods, monkeypatch):
    def story():
        (moods / "working").touch()
        come(context, "ready", "busy")
        time.sleep(1.5)
        assert states(context)[-1] == "busy"
        (moods / "working").unlink()
        come(context, "busy", "ready")
        (moods / "crowded").touch()
        come(context, "ready", "busy")

    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])
    assert "sick" not in states(context)


def test_slow_and_telling_nothing_of_its_work_is_sick(toys, context, moods, monkeypatch):
    def story():
        (moods / "working").touch()
        come(context, "ready", "sick")
        (moods / "working").unlink()

    during(monkeypatch, context, engine_of(moods, activity=None), story, models=[toys / "base"])


def test_what_it_does_is_told_at_each_look(toys, context, moods, monkeypatch):
    """As far as the engine says it, and in the end in words."""
    told = replace(ACTIVITY, read=("stub:steps_total",), written=("stub:steps_total",), cache=("stub:nothing",))

    def works():
        return [line["work"] for _, line in context.folder.events_from(0) if line["event"] == "work"]

    def story():
        (moods / "crowded").touch()
        deadline = time.monotonic() + 60
        while len(works()) < 2 or works()[-1]["running"] != 1:
            assert time.monotonic() < deadline
            time.sleep(0.02)

    during(monkeypatch, context, engine_of(moods, activity=told), story, models=[toys / "base"])
    first, *_, last = works()
    assert first["input_tokens"] == 0, "before the first look nobody asked"
    assert last["over_s"] > first["over_s"] > 0
    assert last["tokens_per_s"] >= 0
    assert (last["running"], last["waiting"], last["cache"]) == (1, None, None)


def test_hung_for_long_it_is_started_anew(toys, context, moods, monkeypatch):
    def story():
        (moods / "hung").touch()
        come(context, "ready", "sick", "sick", "starting")
        (moods / "hung").unlink()
        come(context, "starting", "ready")

    monkeypatch.setattr(_run, "HANGS", 2)
    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])


def change(context, **what) -> None:
    ask(context.folder, Change(**what), alive=lambda: True, within_s=60)


def test_an_adapter_joins_and_leaves(toys, context, moods, monkeypatch):
    calls = []

    def add(weights, place):
        calls.append(("add", weights.name, weights.adapter, place.base_url))
        return f"served-{weights.name}"

    def story():
        change(context, add=str(toys / "lora"))
        lines = [line for _, line in context.folder.events_from(0) if line["event"] == "endpoint"]
        assert (lines[-1]["name"], lines[-1]["model"], lines[-1]["ready"]) == ("lora", "served-lora", True)
        assert set(json.loads(context.folder.models.read_text())) == {"base", "lora"}
        with pytest.raises(UsageError, match=r"endpoint 'lora' is there already"):
            change(context, add=str(toys / "lora"))
        change(context, add=str(toys / "lora"), name="second")
        change(context, remove="lora")
        assert set(json.loads(context.folder.models.read_text())) == {"base", "second"}
        change(context, add=str(toys / "lora"))

    outcome = during(
        monkeypatch,
        context,
        engine_of(moods, add=add, remove=lambda model, _place: calls.append(("remove", model))),
        story,
        models=[toys / "base"],
    )
    # What a server computed for a name it may remember: a name that is used again is another one for the server.
    assert [call[:2] for call in calls] == [
        ("add", "lora"), ("add", "second"), ("remove", "served-lora"), ("add", "lora.2")
    ]  # fmt: skip
    assert [end["name"] for end in outcome.result["endpoints"]] == ["base", "second", "lora"]
    stopped = [line for _, line in context.folder.events_from(0) if line.get("state") == "stopped"]
    assert [line["names"] for line in stopped] == [["lora"]]


IMPOSSIBLE = [
    ({"add": "deep-lora"}, "was trained on"),
    ({"add": "wide-lora"}, "was trained on"),
    ({"add": "base", "name": "other"}, "is a whole model, no adapter"),
    ({"add": "nowhere"}, "no model in"),
    ({"remove": "nobody"}, "there is no endpoint 'nobody' here; there are: base"),
    ({"remove": "base"}, "'base' is no adapter"),
]


def test_changes_that_are_not_possible(toys, context, moods, monkeypatch):
    def story():
        for what, said in IMPOSSIBLE:
            given = {key: str(toys / value) if key == "add" else value for key, value in what.items()}
            with pytest.raises(LabError, match=said):
                change(context, **given)

    never = {"add": lambda *_: pytest.fail("it was loaded"), "remove": lambda *_: pytest.fail("it was removed")}
    during(monkeypatch, context, engine_of(moods, **never), story, models=[toys / "base"])
    assert states(context)[-1] == "ready"
    assert set(json.loads(context.folder.models.read_text())) == {"base"}


def test_an_engine_without_changes_says_so(toys, context, moods, monkeypatch):
    def story():
        with pytest.raises(UsageError, match=r"cannot add adapters while it runs"):
            change(context, add=str(toys / "lora"))

    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])


def test_a_wish_to_a_server_that_has_ended(context):
    with pytest.raises(JobError, match=r"the server of job job has ended"):
        ask(context.folder, Change(add="x"), alive=lambda: False, within_s=60)


def test_it_rests_and_wakes_up_and_is_not_asked_meanwhile(toys, context, moods, monkeypatch):
    """While it rests it would give no token, and nobody takes it for sick."""

    def story():
        change(context, asleep=True)
        assert states(context)[-1] == "sleeping"
        time.sleep(1)
        assert states(context)[-1] == "sleeping"
        change(context, asleep=False)
        assert states(context)[-2:] == ["sleeping", "ready"]
        change(context, asleep=True)
        change(context, add=str(toys / "lora"))
        assert states(context)[-1] == "ready", "who brings an adapter wakes it"

    engine = engine_of(
        moods,
        sleep=lambda _place: (moods / "hung").touch(),
        wake=lambda _place: (moods / "hung").unlink(),
        add=lambda weights, _place: weights.name,
    )
    during(monkeypatch, context, engine, story, models=[toys / "base"], socket=True, sleep_level=1, parity=False)


def test_one_that_wakes_up_without_a_token_stays_asleep(toys, context, moods, monkeypatch):
    def story():
        (moods / "refusing").touch()
        change(context, asleep=True)
        with pytest.raises(JobError, match=r"woke up and gives no token: HTTP 500"):
            change(context, asleep=False)
        assert states(context)[-1] == "sleeping"

    engine = engine_of(moods, sleep=lambda _place: None, wake=lambda _place: None)
    during(monkeypatch, context, engine, story, models=[toys / "base"], socket=True, sleep_level=1)


def test_one_that_cannot_rest_says_so(toys, context, moods, monkeypatch):
    def story():
        with pytest.raises(UsageError, match=r"does not sleep; it can be stopped\. cancel j1"):
            change(context, asleep=True)

    during(monkeypatch, context, engine_of(moods), story, models=[toys / "base"])
