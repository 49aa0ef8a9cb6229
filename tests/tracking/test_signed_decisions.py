"""A signed decision is in the run of its evaluation, and waits like all else while MLflow is away."""

import orjson

from mlaas_lab import tracking
from mlaas_lab.commands import _dispatch
from mlaas_lab.store.beside import decisions_of
from mlaas_lab.tracking.server import connect

AWAY = "http://127.0.0.1:9"
TARGET = "bad/two"


def decide(labs, *more):
    return _dispatch.execute(["decide", "mine", "--target", TARGET, "--by", "ada", *more], labs)


def kept(folder, settings):
    """Tags of decisions and the log, as MLflow has them."""
    run_id = tracking.delivered(folder).run_id
    client = connect(settings)
    run = client.get_run(run_id)
    tags = {key: value for key, value in run.data.tags.items() if key.startswith("mlaas.decision")}
    names = [file.path for file in client.list_artifacts(run_id)]
    text = ""
    if "decisions.jsonl" in names:
        with open(client.download_artifacts(run_id, "decisions.jsonl")) as file:
            text = file.read()
    return tags, text, run.info.status


def test_it_is_in_the_run_at_once_and_the_run_stays_closed(evaluated, labs, local):
    signed = decide(labs(), "--comment", "api_key=CANARY-KEY-1234567890 is cheaper")
    assert (signed.recorded, signed.trouble) == (True, "")
    tags, text, status = kept(evaluated, local)
    assert status == "FINISHED"
    assert text == decisions_of(evaluated.records).read_text()
    assert tags["mlaas.decision"] == TARGET
    assert (tags["mlaas.decision.by"], tags["mlaas.decision.rule"]) == ("ada", "none")
    assert tags["mlaas.decision.hash"] == signed.entry["hash"]
    assert tags["mlaas.decision.evidence_hash"] == signed.entry["evidence_hash"]
    assert "CANARY" not in f"{tags} {text}"
    assert tracking.undelivered(evaluated) == 0


def test_it_waits_while_mlflow_is_away_and_sync_sends_it(evaluated, labs, local):
    away = decide(labs(tracking_uri=AWAY))
    assert away.recorded is False
    assert "The decision waits; `mlaas sync` sends it." in away.trouble
    assert tracking.undelivered(evaluated) == 1, "whoever looks at the job sees that something waits"
    assert kept(evaluated, local)[:2] == ({}, "")
    synced = _dispatch.execute(["sync"], labs()).as_json()
    assert (synced["ok"], synced["waiting"]) == (True, 0)
    tags, text, _ = kept(evaluated, local)
    assert orjson.loads(text)["hash"] == tags["mlaas.decision.hash"] == away.entry["hash"]
    assert _dispatch.execute(["sync"], labs()).as_json()["jobs"] == [], "and then nothing waits"


def test_last_of_several_is_the_tag_and_all_are_in_the_log(evaluated, labs, local):
    decide(labs(tracking_uri=AWAY))
    last = decide(labs())
    tags, text, _ = kept(evaluated, local)
    assert (tags["mlaas.decision.n"], tags["mlaas.decision.hash"]) == ("2", last.entry["hash"])
    assert len(text.splitlines()) == 2
