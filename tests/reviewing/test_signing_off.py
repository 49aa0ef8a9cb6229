"""A decision with its evidence: signed once, chained, checked; a changed line is named."""

import json
import threading

import orjson
import pytest
from made_records import duel, file_of, frame_of

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.reviewing import Desk, Ruled, chain
from mlaas_lab.settings import Settings
from mlaas_lab.store.beside import decisions_of
from mlaas_lab.store.folder import JobFolder

HOLDS = Ruled(text="exact_match: mean >= 0.5", ok=True, lines=("passed",), about={"target": "good", "baseline": None})
FAILS = Ruled(text="exact_match: mean >= 0.9", ok=False, lines=("FAILED",), about={"target": "good", "baseline": None})


@pytest.fixture
def desk(tmp_path):
    table = file_of(tmp_path / "records.parquet", duel(n=12, right=8))
    return Desk(table=table, settings=Settings(data_dir=tmp_path / "data"), comparison={"seed": 0, "margin": None})


def test_decision_says_who_when_what_and_on_which_evidence(desk):
    signed = desk.sign(target="good", by=" ada  l. ", rule=HOLDS, comment="better by far")
    entry = json.loads(json.dumps(signed.as_json()))
    assert (entry["n"], entry["by"], entry["target"], entry["comment"]) == (1, "ada l.", "good", "better by far")
    assert entry["rule"]["text"] == HOLDS.text
    assert entry["evidence_hash"] == chain.digest(entry["evidence"]) == desk.evidence(HOLDS).digest
    assert entry["recorded"] is None, "a file has no run"
    assert signed.path == decisions_of(JobFolder(desk.table.parent).records), "where a job's folder has it"
    log = desk.log()
    assert (log.exit_code, log.broken, len(log.entries)) == (0, "", 1)
    assert "no run in MLflow, so nobody else can tell" in log.view().notes[0]
    assert "1 decision, the last by ada l. for good" in log.summary


def test_evidence_is_the_same_for_the_same_facts_and_another_for_any_other(desk, tmp_path):
    found = {desk.evidence().digest, desk.evidence(HOLDS).digest, desk.evidence(FAILS).digest}
    assert len(found) == 3
    same = Desk(table=desk.table, settings=desk.settings, comparison={"margin": None, "seed": 0})
    assert same.evidence(HOLDS).digest == desk.evidence(HOLDS).digest
    other = Desk(table=desk.table, settings=desk.settings, comparison={"seed": 1, "margin": None})
    assert other.evidence(HOLDS).digest not in found
    before = desk.evidence().digest
    desk.sit(by="ada").judge(0, "left")
    assert desk.evidence().digest != before
    frame_of(desk.table, duel(n=12, right=9))
    assert desk.evidence().since(desk.log().now.parts) == []
    assert tmp_path.exists()


def test_what_changed_since_is_said_in_one_line(desk):
    desk.sign(target="good", by="ada", rule=HOLDS)
    desk.sit(by="bob").judge(0, "left")
    assert desk.log().changed(desk.log().entries[0]) == ["the reviews"]
    assert "Since then changed: the reviews." in " ".join(str(desk.log()).split())
    again = desk.sign(target="good", by="ada", rule=FAILS, comment="all the same")
    assert again.notes[:2] == [
        "Changed since the decision before this: the reviews, the rule.",
        "It was signed although its rule does not hold.",
    ]
    assert desk.log().changed(desk.log().entries[1]) == []
    desk.table.unlink()
    assert desk.log().changed(desk.log().entries[1]) == ["the records are gone"]


def test_signing_what_one_has_not_seen_is_refused(desk):
    seen = desk.evidence().digest
    desk.sit(by="bob").judge(0, "left")
    with pytest.raises(UsageError, match="the evidence changed since you looked at it"):
        desk.sign(target="good", by="ada", seen=seen)
    assert desk.log().entries == ()
    assert desk.sign(target="good", by="ada", seen=desk.evidence().digest).entry["n"] == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"target": "goood"}, "Did you mean 'good'"),
        ({"target": "good", "by": " "}, "needs the name of who signs"),
        ({"target": "good", "rule": FAILS}, "the rule does not hold. Who signs all the same says why"),
    ],
)
def test_bad_signatures_are_one_line_and_leave_nothing(desk, asked, said):
    with pytest.raises(UsageError, match=said):
        desk.sign(**{"by": "ada", **asked})
    assert desk.log().entries == ()


def changed(path, line, **values):
    """The log with one entry changed, and everything else as it was."""
    several = path.read_bytes().splitlines()
    several[line] = orjson.dumps({**orjson.loads(several[line]), **values})
    path.write_bytes(b"\n".join(several) + b"\n")


def mended(path, line, **values):
    """The same by somebody who also makes that entry's digest fit."""
    entry = {**orjson.loads(path.read_bytes().splitlines()[line]), **values}
    del entry["hash"]
    changed(path, line, **values, hash=chain.digest(entry))


@pytest.fixture
def log(desk):
    for target in ("good", "bad", "good", "good"):
        desk.sign(target=target, by="ada")
    return desk.log().path


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda path: changed(path, 1, target="good"), 2),
        (lambda path: changed(path, 3, by="eve"), 4),
        (lambda path: mended(path, 1, target="good"), 3),
        (lambda path: path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:])), 1),
        (
            lambda path: path.write_bytes(
                b"".join(path.read_bytes().splitlines(keepends=True)[i] for i in (0, 2, 1, 3))
            ),
            2,
        ),
        (lambda path: path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[-1]), 5),
    ],
    ids=["changed", "last", "mended", "first-gone", "swapped", "doubled"],
)
def test_first_line_that_does_not_fit_is_named(desk, log, spoil, line):
    assert desk.log().verified.ok, "as it was written"
    spoil(log)
    found = desk.log()
    assert (found.exit_code, found.verified.line) == (1, line)
    assert found.broken.startswith(f"Line {line} of {log} ")
    with pytest.raises(DataError, match=f"does not verify: line {line} "):
        desk.sign(target="good", by="ada")
    assert found.broken in str(found).replace("\n", " ") or f"Line {line} of" in str(found)


def test_torn_entry_loses_only_itself_and_the_chain_goes_on(desk, log):
    whole = log.read_bytes()
    log.write_bytes(whole + b'{"at": 1, "by": "ad')
    assert (desk.log().verified.ok, desk.log().verified.n_torn, len(desk.log().entries)) == (True, 1, 4)
    assert desk.sign(target="good", by="ada").entry["n"] == 5
    assert (desk.log().verified.ok, len(desk.log().entries)) == (True, 5)
    # The control: the same bytes over an entry that counted are seen.
    log.write_bytes(whole.replace(whole.splitlines()[1], b'{"at": 1, "by": "ad'))
    assert desk.log().verified.line == 3


def test_two_who_sign_at_once_make_one_chain(desk):
    several = [threading.Thread(target=desk.sign, kwargs={"target": "good", "by": f"p{i}"}) for i in range(6)]
    for one in several:
        one.start()
    for one in several:
        one.join()
    assert (desk.log().verified.ok, desk.log().verified.n) == (True, 6)


def test_hostile_words_in_a_log_are_text(desk):
    signed = desk.sign(target="good", by="<img src=x onerror=alert(1)>", comment="\ud800</td><script>alert(1)</script>")
    for shown in (signed, desk.log()):
        html = shown._repr_html_()
        assert "<img" not in html
        assert "<script" not in html
    assert desk.log().verified.ok
