"""`estimate` says what judges will cost on top of the targets, as a range."""

import json

import pytest

from mlaas_lab import registry
from mlaas_lab.commands import _dispatch
from mlaas_lab.commands._estimating import FEWER, guessed
from mlaas_lab.errors import UsageError
from mlaas_lab.schema import Message, Sample

JUDGE = "openai/gpt-4.1-mini"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": q * 40, "completion": "a" * 8}) + "\n" for q in "qrs"))
    return path


def estimate(lab, rows, metrics, targets="openai/gpt-4o,openai/gpt-4o-mini"):
    words = ["estimate", "--data", str(rows), "--targets", targets, "--metrics", metrics, "--max-tokens", "100"]
    return _dispatch.execute(words, lab)


def test_calls_and_their_range(lab, rows):
    metrics = f"exact_match,answer_relevancy?judge={JUDGE},preference?judge={JUDGE}&times=2"
    found = estimate(lab, rows, metrics)
    relevancy, preference = found.as_json()["judges"]
    assert (relevancy["metric"], relevancy["judge"], relevancy["calls"]) == ("answer_relevancy", JUDGE, 6)
    assert preference["calls"] == 3 * 2 * 2, "one target against the first, in both orders, twice"
    judge = registry.load("metric", "answer_relevancy").judge
    asked = judge.messages(Sample(id="1", messages=(Message(role="user", content="q" * 40),), reference="a" * 8), "")
    # $0.40 a million tokens that go in, $1.60 for those that come out; a call is rounded up to a micro-dollar.
    least = (int(guessed(asked) * FEWER) + 1) * 0.4e-6 + 1.6e-6
    assert 6 * least <= relevancy["low_usd"] <= 6 * (least + 1e-6)
    assert relevancy["high_usd"] > 6 * 2048 * 1.6e-6
    assert f"{JUDGE} judges answer_relevancy in 6 calls: $" in "\n".join(found.view().notes)
    assert found.as_json()["total"] == estimate(lab, rows, "exact_match").as_json()["total"], "judges come on top"


def test_a_judge_without_a_price_says_so(lab, rows):
    found = estimate(lab, rows, "rubric?judge=openai/no-such-model&criteria=x")
    (judge,) = found.as_json()["judges"]
    assert (judge["low_usd"], judge["calls"]) == (None, 6)
    assert "unpriced: no price list knows openai/no-such-model" in "\n".join(found.view().notes)


def test_what_eval_would_refuse_is_refused(lab, rows):
    with pytest.raises(UsageError, match="lacks judge"):
        estimate(lab, rows, "faithfulness")
