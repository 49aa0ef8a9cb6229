"""The gate of a server with adapters, with a server that needs no model: when it is asked, kept, refused, left out."""

import json
from dataclasses import replace
from typing import ClassVar

import pytest
from stubbed import lines, serve_until, started, stub, use

from mlaas_lab.context import Context
from mlaas_lab.errors import DataError, JobError, UsageError
from mlaas_lab.schema import Parity
from mlaas_lab.serving import Engine, Telling, _parity, _run, _service
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.serve import Serve


@pytest.fixture
def context(tmp_path, settings):
    folder = tmp_path / "job"
    folder.mkdir()
    return Context(JobFolder(folder), settings, job_id="j1", name="serve")


class Compared:
    """A gate that finds what it is told, and counts how often it was asked for."""

    made: ClassVar[list] = []

    def __init__(self, weights, *_args, **_more):
        self.names = [one.name for one in weights]
        Compared.made.append(self.names)

    def local(self):
        pass

    def compare(self, _served, _place):
        return {name: Parity(checked=True, prompts=1, tokens=9) for name in self.names}

    def close(self):
        pass


def telling(engine: Engine) -> Engine:
    return replace(engine, telling=Telling(request={}, own_tokenizers=True, narrows=False))


def parities(context: Context) -> dict:
    return {e["name"]: e["parity"] for e in lines(context, "endpoint") if e["ready"]}


def test_started_anew_it_was_compared_already(context, toys, monkeypatch):
    monkeypatch.setattr(_service, "Gate", Compared)
    monkeypatch.setattr(Compared, "made", [])
    monkeypatch.setattr(_run, "RESTARTS", 1)
    use(monkeypatch, telling(stub("--die-after", "0.5")))
    with pytest.raises(JobError, match="started anew 1 times"):
        _run.serve(Serve(models=(str(toys / "base"), str(toys / "lora"))), context)
    assert Compared.made == [["base", "lora"]]
    assert {name: one["tokens"] for name, one in parities(context).items()} == {"base": 9, "lora": 9}


def test_who_wants_no_parity_has_it_said(context, toys, monkeypatch):
    use(monkeypatch, telling(stub()))
    outcome = serve_until(context, Serve(models=(str(toys / "base"), str(toys / "lora")), parity=False))
    assert [one["parity"]["checked"] for one in outcome.result["endpoints"]] == [False, False]
    assert [one["checked"] for one in parities(context).values()] == [False, False]


def test_where_nothing_was_trained_there_is_nothing_to_say(context, toys, monkeypatch):
    use(monkeypatch, telling(stub()))
    outcome = serve_until(context, Serve(models=(str(toys / "base"),), parity=False))
    assert outcome.result["endpoints"][0]["parity"] is None


@pytest.mark.parametrize("error", [DataError("adapter 'lora' has no effect."), JobError("endpoint 'lora' is another.")])
def test_what_is_refused_is_never_ready(context, toys, monkeypatch, error):
    class Refusing(Compared):
        def local(self):
            raise error

    monkeypatch.setattr(_service, "Gate", Refusing)
    use(monkeypatch, telling(stub("--after", "30")))
    with pytest.raises(type(error), match=f"^{error.message}$"):
        _run.serve(Serve(models=(str(toys / "base"), str(toys / "lora"))), context)
    assert lines(context, "ready") == []
    assert parities(context) == {}
    assert started() == []


def test_what_is_asked_to_compare(tmp_path):
    assert len(_parity.prompts(Serve(models=("x",)))) == 4
    with pytest.raises(UsageError, match="there are 8 prompts to compare with, not 9"):
        _parity.prompts(Serve(models=("x",), parity_prompts=9))
    chats = tmp_path / "chats.jsonl"
    turns = [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "There."}]
    chats.write_text("".join(json.dumps({"messages": turns}) + "\n" for _ in range(3)))
    asked = _parity.prompts(Serve(models=("x",), parity_prompts=2, parity_data=chats))
    assert asked == [[{"role": "user", "content": "Where?"}]] * 2
