"""What a vendor really sent is kept beside the records, without keys; what it billed without an answer is counted."""

import json

import polars as pl
import pytest
from emulated import emulated, target

from mlaas_lab.evaluation import exchanges
from mlaas_lab.evaluation.run import run
from mlaas_lab.tasks.eval import Eval

PAIRS = [(f"word {n} of some", f"word {n} of some") for n in range(12)]


@pytest.fixture
def evaluated(rows, context):
    """Asks an emulator; returns the records and what is beside them."""

    def evaluated(server, *, query="", **more):
        asked = target(server, "openai", query=query)
        spec = Eval(data=rows(PAIRS), targets=(asked,), metrics=("exact_match",), retries=0, **more)
        found = run(spec, context)
        kept = context.folder.exchanges(1)
        return pl.read_parquet(found.result["records"]), list(exchanges.read(kept)) if more.get(
            "exchanges", True
        ) else []

    return evaluated


@pytest.mark.parametrize("stream", [False, True])
def test_every_call_has_its_exchange(evaluated, stream):
    with emulated("openai") as server:
        frame, kept = evaluated(server, stream=stream)
    assert frame["exact_match"].to_list() == [1.0] * len(PAIRS)
    assert {line["sample_id"] for line in kept} == set(frame["sample_id"])
    assert len(kept) == len(PAIRS)
    for line in kept:
        assert line["status"] == 200
        assert "chatcmpl-emulated" in line["body"]
        assert any(name.lower() == "x-request-id" for name in line["headers"])
    assert frame["provider"].to_list() == ["openai"] * len(PAIRS)
    assert frame["emulated"].all()


def test_what_a_filter_withheld_is_billed(evaluated):
    with emulated("openai") as server:
        server.next.extend(["filtered_answer"] * 3)
        frame, kept = evaluated(server, query="max_tokens=50", concurrency=1)
        withheld = frame.filter(pl.col("error") == "content_filtered")
        assert len(withheld) == 3
        billed = [one for one in server.ledger if one.fault == "filtered_answer"]
    assert sorted(withheld["input_tokens"]) == sorted(one.input_tokens for one in billed)
    assert sorted(withheld["output_tokens"]) == sorted(one.output_tokens for one in billed)
    assert withheld["output"].is_null().all()
    assert withheld["cost_usd"].null_count() == frame["cost_usd"].null_count()
    assert sum(json.loads(line["body"])["choices"][0]["finish_reason"] == "content_filter" for line in kept) == 3


def test_errors_are_kept_and_repeat_no_key(evaluated, monkeypatch):
    monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: f"canary-{name}")
    with emulated("openai") as server:
        _, kept = evaluated(server)
    assert {line["status"] for line in kept} == {401}
    assert "Incorrect API key provided: ***" in kept[0]["body"]
    assert "canary" not in json.dumps(kept)


def test_control_without_blanking_the_key_would_be_kept(evaluated, monkeypatch):
    monkeypatch.setattr("mlaas_lab.inference.words._practice", lambda name: f"canary-{name}")
    monkeypatch.setattr("mlaas_lab.inference.failures.blanked", lambda text, secrets: text)
    with emulated("openai") as server:
        _, kept = evaluated(server)
    assert "canary" in json.dumps(kept)


def test_nothing_is_kept_when_nobody_asks_for_it(evaluated, context):
    with emulated("openai") as server:
        frame, kept = evaluated(server, exchanges=False)
    assert len(frame) == len(PAIRS)
    assert kept == []
    assert not list(context.folder.path.glob("exchanges*"))


def test_a_file_that_cannot_be_written_costs_no_answer(evaluated, context, monkeypatch):
    notes = []
    monkeypatch.setattr(context, "note", notes.append)
    monkeypatch.setattr(exchanges.gzip, "open", refuse)
    with emulated("openai") as server:
        with pytest.raises(OSError, match="full"):
            evaluated(server)  # the reading at the end; the evaluation itself had gone well
        assert sum(one.whole for one in server.ledger) == len(PAIRS)
    assert any("is not kept" in note for note in notes)


def refuse(*_args, **_more):
    raise OSError(28, "the disk is full")


def test_a_torn_file_gives_what_was_whole(evaluated, tmp_path):
    with emulated("openai") as server:
        _, kept = evaluated(server)
    path = next(tmp_path.rglob("exchanges-1.jsonl.gz"))
    path.write_bytes(path.read_bytes()[:-20])
    assert 0 < len(list(exchanges.read(path))) <= len(kept)
