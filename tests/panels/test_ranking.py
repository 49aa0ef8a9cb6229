"""Which of many targets leads, in words that the verdicts allow."""

from itertools import combinations

import numpy as np

from mlaas_lab.evaluation.summary import Summary
from mlaas_lab.evaluation.verdict import Comparison, decide
from mlaas_lab.panels._ranking import ranked

N = 200


def told(shares, *, metric="exact_match", up=True, margin=None, n=N):
    """The sentences over targets that are right in the first of these shares of one and the same samples."""
    scores = {name: (np.arange(n) < share * n).astype(float) for name, share in shares.items()}
    summary = [
        Summary(target=name, metric=metric, mean=float(values.mean()), ci_low=None, ci_high=None, n=n, n_error=0)
        for name, values in scores.items()
    ]
    pairs = [
        Comparison(a=a, b=b, metric=metric, scores_a=scores[a], scores_b=scores[b], higher_is_better=up)
        for a, b in combinations(scores, 2)
    ]
    return ranked(summary, decide(pairs, margin=margin))


def test_the_leader_whom_it_beats_and_whom_nobody_can_tell_it_from():
    (sentence,) = told({"base": 0.2, "large": 0.9, "medium": 0.89, "small": 0.5})
    assert sentence.startswith("By exact_match, large has the best mean, 90 %: better than small and base; not told ")
    assert "not told apart from medium; about " in sentence
    assert sentence.endswith("more samples would settle it for medium.")


def test_a_lead_without_a_verdict_is_no_win():
    (sentence,) = told({"a": 0.51, "b": 0.5, "c": 0.49})
    assert "the best mean, 51 %: not told apart from b and c" in sentence
    assert "better than" not in sentence


def test_where_less_is_better_the_least_leads():
    (sentence,) = told({"a": 0.1, "b": 0.9, "c": 0.8}, metric="refusal", up=False)
    assert sentence.startswith("By refusal, a has the best mean, 10 %: better than c and b")


def test_equivalent_is_said():
    sentence, borne = told({"a": 0.9, "b": 0.9, "c": 0.1}, margin=0.05)
    assert "equivalent to" in sentence
    assert borne == "Not worse than a by 5 points or more in exact_match: b. Not shown for c."


def test_a_margin_that_nobody_keeps_is_said():
    *_, borne = told({"a": 0.9, "b": 0.5, "c": 0.1}, margin=0.05)
    assert borne == "Of none it is shown that it is not worse than a by 5 points or more in exact_match."


def test_a_metric_that_only_describes_ranks_nobody():
    assert told({"a": 0.1, "b": 0.9, "c": 0.5}, metric="length_words", up=None) == []


def test_one_target_with_scores_is_no_ranking():
    lines = [
        Summary(target=name, metric="exact_match", mean=mean, ci_low=None, ci_high=None, n=0, n_error=9)
        for name, mean in (("a", 0.5), ("b", None), ("c", None))
    ]
    assert ranked(lines, []) == []


def test_of_equals_nobody_leads():
    assert told({"a": 0.0, "b": 0.0, "c": 0.0}) == [
        "By exact_match, all 3 have the same mean, 0 %, and are not told apart."
    ]
