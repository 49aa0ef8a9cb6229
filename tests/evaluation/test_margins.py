"""Not worse by a margin: one-sided, corrected in a family of its own, one way, and never against a verdict."""

import numpy as np
import polars as pl
import pytest
from scipy import stats as scipy

from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.margins import margin_of
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.evaluation.verdict import Comparison, decide
from mlaas_lab.panels._words import sentence
from mlaas_lab.panels.board import _borne
from mlaas_lab.schema import Decision
from mlaas_lab.spec import read
from mlaas_lab.stats.noninferiority import not_worse
from mlaas_lab.stats.paired import holm
from mlaas_lab.tasks.eval import Eval, margins


def pair(won, lost, n, *, metric="exact_match", better=True, **more):
    """b right on `won` samples where a is wrong, and wrong on `lost` where a is right."""
    a = np.array([0.0] * won + [1.0] * lost + [1.0] * (n - won - lost))
    b = np.array([1.0] * won + [0.0] * lost + [1.0] * (n - won - lost))
    return Comparison(a="A", b="B", metric=metric, scores_a=a, scores_b=b, higher_is_better=better, **more)


class TestReading:
    def test_a_small_loss_is_borne_and_a_large_one_is_not(self):
        (found,) = decide([pair(2, 20, 1000)], margin=0.05)
        assert (found.verdict, found.not_worse, found.margin) == (Decision.EQUIVALENT, True, 0.05)
        (short,) = decide([pair(2, 20, 1000)], margin=0.02)
        assert (short.verdict, short.not_worse) == (Decision.A_BETTER, False)

    def test_not_worse_says_less_than_equivalent(self):
        """b may well be better by more than the margin, and nothing shows that it is."""
        (found,) = decide([pair(20, 14, 300)], margin=0.03)
        assert (found.verdict, found.not_worse) == (Decision.UNDECIDED, True)
        assert found.ci_high > 0.03

    def test_it_is_tangos(self):
        one = pair(5, 9, 300)
        (found,) = decide([one], margin=0.05)
        assert found.p_not_worse == not_worse(one.scores_a, one.scores_b, margin=0.05).p_value
        assert found.not_worse == (found.p_not_worse < 0.025)

    def test_a_gain_is_no_equivalence_and_not_worse(self):
        (found,) = decide([pair(60, 2, 300)], margin=0.05)
        assert (found.verdict, found.not_worse) == (Decision.B_BETTER, True)

    def test_lower_may_be_better(self):
        more = pair(40, 0, 300, better=False)
        assert decide([more], margin=0.05)[0].not_worse is False
        assert decide([pair(0, 40, 300, better=False)], margin=0.05)[0].not_worse is True

    def test_too_few_show_nothing(self):
        (found,) = decide([pair(0, 0, 5)], margin=0.5)
        assert (found.not_worse, found.p_not_worse, found.verdict) == (False, None, Decision.UNDECIDED)

    def test_where_neither_way_is_better_nobody_is_worse(self):
        (found,) = decide([pair(1, 1, 300, better=None)], margin=0.05)
        assert (found.not_worse, found.verdict) == (None, Decision.EQUIVALENT)

    def test_without_a_margin_nothing_is_said(self):
        (found,) = decide([pair(1, 1, 300)])
        assert (found.margin, found.not_worse, found.p_not_worse) == (None, None, None)

    @pytest.mark.parametrize("seed", range(4))
    def test_what_is_better_or_equivalent_is_not_worse(self, seed):
        generator = np.random.default_rng(seed)
        pairs = [pair(*generator.integers(0, 30, 2), 400, metric=f"m{i}") for i in range(6)]
        for found in decide(pairs, margin=0.04):
            assert found.not_worse or found.verdict in (Decision.A_BETTER, Decision.UNDECIDED)


class TestFamilies:
    def test_holm_counts_what_was_asked_together(self):
        one = pair(4, 12, 400)
        noise = [pair(10, 30, 400, metric=f"m{i}") for i in range(9)]
        (alone,), (among, *_) = decide([one], margin=0.05), decide([one, *noise], margin=0.05)
        assert among.p_not_worse == pytest.approx(10 * alone.p_not_worse)
        assert (alone.not_worse, among.not_worse) == (True, False)

    def test_better_is_another_family(self):
        pairs = [pair(30, 8, 300), pair(9, 4, 300, metric="contains")]
        plain, borne = decide(pairs), decide(pairs, margin={"contains": 0.05})
        assert [one.p_adjusted for one in borne] == [one.p_adjusted for one in plain]
        assert [one.margin for one in borne] == [None, 0.05]
        assert [one.not_worse for one in borne] == [None, True]

    def test_p_is_holms_over_rows_with_a_margin(self):
        pairs = [pair(4, 4 + 3 * i, 300, metric=f"m{i}") for i in range(4)]
        alone = [decide([one], margin=0.06)[0].p_not_worse for one in pairs]
        assert [one.p_not_worse for one in decide(pairs, margin=0.06)] == pytest.approx(holm(alone))


class TestGroups:
    def test_equal_groups_are_students_t_over_their_means(self):
        generator = np.random.default_rng(5)
        groups = np.repeat(np.arange(24), 5)
        a = generator.normal(10, 3, 120)
        b = a - 0.2 + generator.normal(0, 1, 120) + np.repeat(generator.normal(0, 0.5, 24), 5)
        one = Comparison(
            a="A", b="B", metric="m", scores_a=a, scores_b=b, higher_is_better=True, groups=groups, share=False
        )
        (found,) = decide([one], margin=1.0)
        means = (b - a).reshape(24, 5).mean(axis=1)
        assert found.p_not_worse == pytest.approx(scipy.ttest_1samp(means, -1.0, alternative="greater").pvalue)

    def test_few_groups_show_nothing(self):
        groups = np.repeat(np.arange(5), 60)
        assert decide([pair(0, 0, 300, groups=groups)], margin=0.2)[0].not_worse is False
        assert decide([pair(0, 0, 300)], margin=0.2)[0].not_worse is True


def table(wrong_a, wrong_b, n=200):
    """Macro F1 of two targets over two classes; answers that far from the first are wrong."""
    rows = []
    for target, wrong in (("a", wrong_a), ("b", wrong_b)):
        for i in range(n):
            want = "yes" if i % 2 else "no"
            got = {"yes": "no", "no": "yes"}[want] if i < wrong else want
            rows.append((target, str(i), float(want == got), f"{want} → {got}", "ok"))
    kinds = ["target", "sample_id", "macro_f1", "macro_f1_reason", "macro_f1_status"]
    return pl.DataFrame(rows, schema=kinds, orient="row")


class TestAllAnswersTogether:
    def test_a_number_of_all_answers_has_a_margin_too(self):
        (found,) = summarize(table(20, 22), margin=0.08)[1]
        assert (found.not_worse, found.verdict) == (True, Decision.EQUIVALENT)
        (short,) = summarize(table(20, 22), margin=0.012)[1]
        assert short.not_worse is False
        assert found.p_not_worse < 0.025 < short.p_not_worse

    def test_p_is_half_where_the_loss_is_the_margin(self):
        loss = -summarize(table(20, 30))[1][0].difference
        assert summarize(table(20, 30), margin=loss)[1][0].p_not_worse == pytest.approx(0.5, abs=1e-6)


class TestWords:
    def test_a_metric_is_named_with_or_without_its_options(self):
        assert margin_of({"regex": 0.1}, "regex?pattern=a") == 0.1
        assert margin_of({"regex?pattern=a": 0.1}, "regex?pattern=a") == 0.1
        assert margin_of({"regex": 0.1}, "exact_match") is None
        assert margin_of(0.2, "exact_match") == 0.2

    @pytest.mark.parametrize(
        ("said", "kept"),
        [
            ("0.010", "0.01"),
            ("regex=0.02,exact_match=.5", "regex?pattern=^a=b$=0.02,exact_match=0.5"),
            ("regex?pattern=^a=b$=0.02", "regex?pattern=^a=b$=0.02"),
        ],
    )
    def test_eval_keeps_one_spelling(self, said, kept):
        words = ["--data", "x", "--targets", "echo/a,echo/b", "--metrics", "exact_match,regex?pattern=^a=b$"]
        assert read(Eval, [*words, "--margin", said]).margin == kept
        assert margins(margins(kept)) == margins(kept)

    def test_python_gives_numbers(self):
        given = {"data": "x", "targets": ("echo/a",), "margin": {"exact_match": 0.01}}
        assert Eval(**given).margin == "exact_match=0.01"
        assert Eval(**{**given, "margin": 0.05}).margin == "0.05"
        assert Eval(**{**given, "margin": None}).margin is None

    @pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "much", "exact_match=", "rouge_l=0.1", "0.1,0.2"])
    def test_what_is_no_margin_is_refused_in_a_line(self, said):
        words = ["--data", "x", "--targets", "echo/a,echo/b", "--metrics", "exact_match"]
        with pytest.raises(UsageError) as caught:
            read(Eval, [*words, "--margin", said])
        assert "--margin" in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_the_board_says_what_is_shown_and_what_is_not(self):
        shown, missing = (decide([pair(20, 14, 300)], margin=m)[0] for m in (0.03, 0.01))
        told = [(badge.text, by) for badge, by, _ in map(_borne, (shown, missing))]
        assert told == [("shown", "3 points"), ("not shown", "1 point")]
        assert " B is not worse than A in exact_match by 3 points or more (p " in sentence(shown, {})
        assert sentence(missing, {}).endswith(
            " Not shown: that B is not worse than A in exact_match by 1 point or more."
        )
