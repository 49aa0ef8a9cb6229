"""`review` and `decide`: in the shell and in a cell, by the words that other commands use."""

import json
from dataclasses import replace

import pytest
from made_records import duel, file_of

from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import UsageError
from mlaas_lab.store.beside import decisions_of

RULE = "exact_match: mean >= 0.5"


@pytest.fixture
def run(tmp_path):
    return file_of(tmp_path / "records.parquet", duel())


def mlaas(lab, *words):
    return _dispatch.execute([*map(str, words)], lab)


def test_review_tells_how_far_it_is_and_what_was_said(lab, run):
    found = mlaas(lab, "review", run, "--by", "ada", "--limit", 20)
    assert found.as_json()["preferences"]["n"] == 40
    found.sitting.judge(0, "left")
    told = json.loads(json.dumps(found.as_json()))
    assert (told["reviewer"], told["done"], told["total"], told["hidden"]) == ("ada", 1, 20, False)
    assert "1 of 20 samples judged" in str(mlaas(lab, "review", run, "--by", "ada", "--limit", 20))


def test_blind_review_stays_blind_until_it_is_revealed(lab, run):
    first = mlaas(lab, "review", run, "--blind", "--by", "ada")
    first.sitting.judge(0, "left")
    again = mlaas(lab, "review", run, "--by", "ada")
    assert (again.as_json()["hidden"], again.as_json()["preferences"]) == (True, None)
    assert "good" not in str(again)
    assert mlaas(lab, "review", run, "--by", "ada", "--no-blind").as_json()["preferences"]["n_sided"] == 1


def test_who_was_emulated_is_said_once_names_may_be_known(lab, tmp_path):
    run = file_of(tmp_path / "records.parquet", [replace(row, emulated=row.target == "good") for row in duel()])
    assert "good" not in str(mlaas(lab, "review", run, "--blind", "--by", "ada"))
    assert "Emulated: good was answered on this machine" in str(mlaas(lab, "review", run, "--by", "ada", "--no-blind"))


def test_code_twin_shows_the_same(lab, run):
    words = mlaas(lab, "review", run, "--between", "good,bad", "--blind", "--by", "ada l", "--limit", 5).words
    again = mlaas(lab, *words)
    assert (again.sitting.by, again.sitting.total, again.sitting.hidden) == ("ada l", 5, True)
    assert again.words == words


def test_name_of_the_login_reviews_and_signs_where_none_is_given(lab, run, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "eve")
    assert mlaas(lab, "review", run).sitting.by == "eve"
    assert mlaas(lab, "decide", run, "--target", "good").entry["by"] == "eve"

    def nobody():
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nobody)
    with pytest.raises(UsageError, match=r"needs the name of who signs\. Give it with --by NAME"):
        mlaas(lab, "decide", run, "--target", "good")


def test_decision_with_a_rule_is_signed_shown_and_verified(lab, run, tmp_path):
    rules = tmp_path / "release.rules"
    rules.write_text(f"# good enough\n{RULE}\n")
    signed = mlaas(lab, "decide", run, "--target", "good", "--rule", rules, "--by", "ada").as_json()
    assert (signed["rule"]["ok"], signed["rule"]["text"]) == (True, rules.read_text())
    assert "mean 0.75" in signed["rule"]["lines"][0]
    log = mlaas(lab, "decide", run)
    assert (log.exit_code, log.as_json()["ok"], len(log.as_json()["decisions"])) == (0, True, 1)
    path = decisions_of(run)
    path.write_text(path.read_text().replace('"target":"good"', '"target":"bad"', 1))
    broken = mlaas(lab, "decide", run)
    assert (broken.exit_code, broken.as_json()["line"]) == (1, 1)
    assert "Line 1 of" in str(broken)


def test_rule_that_does_not_hold_needs_a_reason(lab, run):
    words = ["decide", run, "--target", "bad", "--rule", RULE, "--by", "ada"]
    with pytest.raises(UsageError, match="says why, with --comment"):
        mlaas(lab, *words)
    found = mlaas(lab, *words, "--comment", "the other is too dear")
    assert "although its rule does not hold" in " ".join(found.notes)


@pytest.mark.parametrize("words", [["--rule", RULE], ["--comment", "x"]])
def test_decision_without_a_target_is_none(lab, run, words):
    with pytest.raises(UsageError, match=r"a decision needs a target\. Name it with --target: bad, good"):
        mlaas(lab, "decide", run, *words)
