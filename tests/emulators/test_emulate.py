"""`emulate` as a job: found by `emulated=yes`, over HTTP and TLS, with faults, scripts and models; gone when told."""

import json

import pytest

from mlaas_lab import inference, registry
from mlaas_lab.emulators import Question
from mlaas_lab.emulators._minds import said, script
from mlaas_lab.emulators._run import _names, _scene
from mlaas_lab.errors import CallError, DataError, JobError, Unreachable, UsageError
from mlaas_lab.inference import Limits
from mlaas_lab.schema import JobState, Message
from mlaas_lab.tasks.emulate import Emulate

ASK = (Message(role="user", content="where is my card"),)
TARGET = "openai/gpt-4.1-mini?emulated=yes"
ONCE = Limits(retries=0, timeout_s=20)


@pytest.fixture
def emulate(lab):
    """Starts the job and waits until it listens."""

    def emulate(*providers, **options):
        handle = lab.submit("emulate", Emulate(providers=providers, **options))
        return handle.wait(60)

    return emulate


def test_practice_needs_one_word_and_no_key(lab, emulate, settings):
    handle = emulate("openai", "anthropic")
    done = inference.complete(TARGET, ASK, settings=settings, limits=ONCE)
    assert done.text == "where is my card"
    names = {one["name"]: one["base_url"] for one in handle.as_json()["endpoints"]}
    assert set(names) == {"emulated-openai", "emulated-anthropic"}
    lab.jobs.cancel(handle.id).wait_end(15)
    with pytest.raises(UsageError, match="Start it: emulate openai"):
        inference.resolve(TARGET, settings)


def test_it_has_a_certificate_that_its_own_targets_trust(emulate, settings):
    handle = emulate("openai", tls=True)
    assert handle.as_json()["endpoints"][0]["base_url"].startswith("https://127.0.0.1:")
    assert inference.complete(TARGET, ASK, settings=settings, limits=ONCE).text == "where is my card"
    other = handle.as_json()["endpoints"][0]["base_url"]
    # The control: who only knows the address does not.
    with pytest.raises(Unreachable, match="not trusted"):
        inference.complete(f"openai/m?emulated={other}", ASK, settings=settings, limits=ONCE)


def test_a_script_is_found_from_where_one_stands(tmp_path, monkeypatch):
    (tmp_path / "answers.jsonl").write_text("")
    monkeypatch.chdir(tmp_path)
    assert Emulate(providers=("openai",), answers="answers.jsonl").answers == str(tmp_path / "answers.jsonl")
    assert [Emulate(providers=("openai",), answers=word).answers for word in ("echo", "support")] == ["echo", "support"]


def test_a_script_answers_and_faults_come_as_told(emulate, settings, tmp_path):
    path = tmp_path / "script.jsonl"
    path.write_text(json.dumps({"prompt": "where is my card", "completion": "on its way"}) + "\n\n")
    emulate("openai", answers=str(path), faults={"overloaded": 0.5}, seed=3)
    seen = set()
    for _ in range(24):
        try:
            seen.add(inference.complete(TARGET, ASK, settings=settings, limits=ONCE).text)
        except CallError as error:
            seen.add(type(error).__name__)
    assert seen == {"on its way", "Overloaded"}


def test_a_target_of_ours_answers_in_the_vendors_place(emulate, settings):
    emulate("openai", answers="echo/any")
    done = inference.complete(TARGET, ASK, settings=settings, limits=ONCE)
    assert (done.text, done.usage.output_tokens) == ("where is my card", 4)


def test_time_to_first_token_is_what_was_asked_for(emulate, settings):
    emulate("openai", ttft_s=0.5, tokens_per_s=20.0)
    pieces = inference.stream(TARGET, ASK, settings=settings, limits=ONCE)
    assert "".join(pieces) == "where is my card"
    done = pieces.completion
    assert done.ttft_s >= 0.5
    assert done.latency_s >= 0.5 + 3 / 20


def test_an_unknown_vendor_fails_the_job_in_one_line(lab):
    with pytest.raises(JobError, match=r"unknown emulator 'opnai'\. Did you mean 'openai'"):
        lab.submit("emulate", Emulate(providers=("opnai",))).wait(60)
    assert lab.store.jobs()[0].state is JobState.FAILED


class TestWords:
    def test_all_is_everybody(self):
        assert _names(["all"]) == list(registry.names("emulator"))
        assert _names(["openai", "openai"]) == ["openai"]

    @pytest.mark.parametrize(
        ("faults", "said"),
        [
            ({"cat": 0.1}, "Did you mean 'cut'"),
            ({"cut": 2.0}, "no share"),
            ({"cut": 0.7, "stall": 0.7}, "more than 1 together"),
        ],
    )
    def test_faults_that_are_none(self, faults, said):
        with pytest.raises(UsageError, match=said):
            _scene(Emulate(providers=("openai",), faults=faults))

    def test_a_script_that_is_none(self, tmp_path):
        path = tmp_path / "script.jsonl"
        path.write_text('{"prompt": "a", "completion": "b"}\n{"question": "a"}\n')
        with pytest.raises(DataError, match=r"script\.jsonl:2: expected"):
            script(path)
        with pytest.raises(DataError, match="cannot be read"):
            script(tmp_path / "absent.jsonl")

    def test_an_answer_is_cut_where_it_may_say_no_more(self):
        question = Question(model="m", turns=(("user", "a"),), max_tokens=2)
        answer = said(question, "one two three")
        assert (answer.text, answer.finish, answer.output_tokens) == ("one two", "length", 2)


@pytest.mark.parametrize("name", registry.names("emulator"))
def test_every_emulator_says_what_it_stands_in_for(name):
    emulator = registry.load("emulator", name)
    provider = registry.load("provider", name)
    assert emulator.title == provider.title or emulator.title in provider.title or provider.title in emulator.title
    assert emulator.model
