"""What a review says, on counts anybody can work out."""

import json
from math import comb

import pytest
from made_records import duel, file_of

from mlaas_lab.reviewing import Desk
from mlaas_lab.reviewing.told import told
from mlaas_lab.settings import Settings
from mlaas_lab.stats.intervals import wilson
from mlaas_lab.view import to_html, to_text


@pytest.fixture
def desk(tmp_path):
    """40 samples; `good` is right on the first 30, `bad` on the last."""
    return Desk(table=file_of(tmp_path / "r.parquet", duel()), settings=Settings(data_dir=tmp_path))


def prefer(sitting, wanted):
    """Say of each sample what `wanted` says of its name, in words of left and right."""
    for at, pair in enumerate(sitting.order):
        word = wanted(pair.sample)
        if word in ("a", "b"):
            word = "left" if sitting.left(at) == word else "right"
        if word:
            sitting.judge(at, word)


def test_preferences_with_interval_and_exact_sign_test(desk):
    sitting = desk.sit(by="ada", blind=True)
    words = (
        {f"s{i}": "b" for i in range(12)} | {f"s{i}": "a" for i in range(12, 15)} | {"s20": "tie", "s21": "both_bad"}
    )
    prefer(sitting, lambda sample: words.get(sample, "skip" if sample == "s22" else None))
    found = desk.tally(sitting)
    assert found.counts == (3, 12, 1, 1, 1)
    assert found.share_b == pytest.approx(12 / 15)
    assert (found.ci_low, found.ci_high) == pytest.approx(wilson(12, 15))
    assert found.p_value == pytest.approx(2 * sum(comb(15, k) for k in range(4)) / 2**15)
    assert "Reviewers prefer good to bad: on 12 of 15 samples" in found.summary
    assert "18 of 18 verdicts were given blind." in found.notes
    assert json.loads(json.dumps(found.as_json()))["counts"] == {"a": 3, "b": 12, "tie": 1, "both_bad": 1, "skip": 1}


def test_nobody_and_few_decide_nothing(desk):
    sitting = desk.sit(by="ada")
    assert desk.tally(sitting).p_value is None
    assert "Nobody preferred" in desk.tally(sitting).summary
    prefer(sitting, {"s0": "a", "s1": "a", "s2": "b"}.get)
    assert "do not decide between good and bad: bad was preferred on 2 of 3" in desk.tally(sitting).summary


def test_a_sample_counts_once_by_the_most_of_its_reviewers(desk):
    for name, word in (("ada", "b"), ("bob", "b"), ("eve", "a")):
        prefer(desk.sit(by=name), lambda sample, word=word: word if sample == "s0" else None)
    for name, word in (("ada", "a"), ("bob", "b"), ("eve", "skip")):
        prefer(desk.sit(by=name), lambda sample, word=word: word if sample == "s1" else None)
    found = desk.tally(desk.sit(by="ada"))
    assert found.counts == (0, 1, 1, 0, 0)
    assert [one.name for one in found.reviewers] == ["ada", "bob", "eve"]


def test_agreement_between_reviewers_and_with_the_metric(desk):
    ada, bob = desk.sit(by="ada"), desk.sit(by="bob")
    said = {f"s{i}": "b" if i < 30 else "tie" for i in range(39)} | {"s39": "a"}
    prefer(ada, said.get)
    prefer(bob, lambda sample: "both_bad" if said[sample] == "tie" else said[sample])
    found = {(one.first, one.second): one.agreement for one in desk.tally(ada).raters}
    assert found["ada", "exact_match"].kappa == pytest.approx(1.0), "it says what the metric says"
    assert found["bob", "exact_match"].kappa == pytest.approx(1.0), "two bad answers are a tie to a metric"
    assert found["ada", "bob"].observed == pytest.approx(31 / 40)
    assert 0 < found["ada", "bob"].kappa < 1


def test_who_is_preferred_is_not_told_while_names_are_hidden(desk):
    sitting = desk.sit(by="ada", blind=True)
    prefer(sitting, lambda sample: "b" if sample == "s0" else None)
    view = told(desk, sitting)
    assert "Preferences" not in [child.title for child in view.children]
    text = to_text(view, width=100)
    assert "good" not in text
    assert "1 of 40 samples judged" in text
    sitting.hide(wanted=False)
    assert "good" in to_text(told(desk, sitting), width=100)


def test_hostile_names_and_comments_are_text(desk):
    sitting = desk.sit(by="<img src=x onerror=alert(1)>")
    sitting.judge(0, "left")
    sitting.comment(0, "</td><script>alert(1)</script>")
    html = to_html(told(desk, sitting))
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
