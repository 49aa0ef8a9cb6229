"""A signed decision is in the run of its evaluation, and waits like all else while MLflow is away."""

import orjson
import pytest
from made_cases import case

from mlaas_lab import tracking
from mlaas_lab.commands import _dispatch
from mlaas_lab.dashboard.pages import pages
from mlaas_lab.dashboard.where import Where
from mlaas_lab.errors import DataError
from mlaas_lab.reviewing import chain
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


def verify(lab):
    return _dispatch.execute(["decide", "mine"], lab)


@pytest.fixture
def log(evaluated, labs):
    """Three decisions that MLflow knows."""
    for _ in range(3):
        decide(labs())
    assert verify(labs()).exit_code == 0
    return decisions_of(evaluated.records)


def first_two(path):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))


def anew(path):
    """By somebody who makes every digest fit."""
    several = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    path.unlink()
    for one in several:
        own = {key: value for key, value in one.items() if key not in ("n", "before", "hash")}
        chain.append(path, {**own, "by": "eve"})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (first_two, "MLflow knows of a later entry 3 "),
        (lambda path: path.unlink(), "MLflow knows of a later entry 3 "),
        (anew, "MLflow knows of an entry 3 "),
    ],
    ids=["cut", "gone", "anew"],
)
def test_a_cut_end_is_said_in_one_line_and_nothing_is_signed_or_sent_over_it(evaluated, labs, local, log, spoil, says):
    before = kept(evaluated, local)
    spoil(log)
    found = verify(labs())
    assert found.verified.ok, "the chain alone sees nothing"
    assert (found.exit_code, found.as_json()["ok"]) == (1, False)
    assert found.summary.startswith(says)
    assert f"that is not in {log}: " in found.summary
    with pytest.raises(DataError, match=f"{says}.*Nothing is signed on top of it"):
        decide(labs())
    shown = pages()["decision"].views(case(labs(), "mine").cut(Where()))[0]
    assert (shown.badge.text, shown.summary) == ("changed", found.summary)
    assert decide_offline_and_sync(labs) == 1
    assert kept(evaluated, local) == before


def decide_offline_and_sync(labs):
    """Exit code of sync after a signature that could not ask MLflow."""
    assert decide(labs(tracking_uri=AWAY), "--comment", "offline").recorded is False
    return _dispatch.execute(["sync"], labs()).exit_code


def test_where_mlflow_cannot_be_asked_it_says_so_and_what_waits_is_no_cut(labs, log):
    first_two(log)
    found = verify(labs(tracking_uri=AWAY))
    assert (found.exit_code, found.as_json()["asked"]) == (0, False)
    (note,) = found.view().notes
    assert note.startswith("MLflow could not be asked whether the end of the log was cut off: ")


def test_what_mlflow_does_not_have_yet_is_no_cut(labs, log):
    decide(labs(tracking_uri=AWAY))
    found = verify(labs())
    assert (found.exit_code, found.as_json()["asked"]) == (0, True)
    assert "MLflow knows the log up to entry 3, as it is here; 1 later waits to be sent." in found.view().notes


def test_another_machine_has_the_log_with_the_run_and_signs_below_it(evaluated, labs, log, local):
    run_id = tracking.delivered(evaluated).run_id
    place = tracking.records(run_id, local)
    assert decisions_of(place).read_bytes() == log.read_bytes()
