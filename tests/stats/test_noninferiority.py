"""Not worse: against a published example, scipy, and simulation at the margin, where it must hold no more than 2.5 %."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats.noninferiority import not_worse, tango

scored = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=6, max_size=40)


def counted(wins, losses, n):
    """Scores of a and b with those discordant pairs."""
    a = np.array([0.0] * wins + [1.0] * losses + [1.0] * (n - wins - losses))
    b = np.array([1.0] * wins + [0.0] * losses + [1.0] * (n - wins - losses))
    return a, b


class TestTango:
    def test_his_contact_lenses(self):
        """Tango 1998, table III: 43 of 44 by both disinfections, 1 by the old alone; margin 0.1: Z = 1.709, p = 0.044."""
        assert tango(0, 1, 44, difference=-0.1) == pytest.approx(1.709, abs=5e-4)
        found = not_worse(*counted(0, 1, 44), margin=0.1)
        assert found.p_value == pytest.approx(0.044, abs=5e-4)
        assert (found.holds, found.test, found.n) == (False, "tango", 44)
        assert not_worse(*counted(0, 1, 44), margin=0.1, alpha=0.05).holds

    @given(st.integers(0, 40), st.integers(0, 40))
    def test_without_a_margin_it_is_mcnemars(self, wins, losses):
        expected = (wins - losses) / np.sqrt(wins + losses) if wins + losses else 0.0
        assert tango(wins, losses, 100, difference=0.0) == pytest.approx(expected, abs=1e-9)

    @given(st.integers(0, 30), st.integers(0, 30), st.floats(-0.9, 0.9))
    def test_sides_mirror(self, wins, losses, difference):
        mirrored = -tango(losses, wins, 70, difference=-difference)
        assert tango(wins, losses, 70, difference=difference) == pytest.approx(mirrored, abs=1e-6)

    @pytest.mark.parametrize("won", [0.02, 0.08, 0.15])
    def test_size_counted_out(self, won):
        """200 pairs exactly at the margin: the chances of all counts that would pass, summed, not simulated."""
        n, margin = 200, 0.05
        passed = [(w, v) for w in range(80) for v in range(90) if tango(w, v, n, difference=-margin) > 1.959964]
        counts = np.array([(w, v, n - w - v) for w, v in passed])
        size = scipy.multinomial.pmf(counts, n, [won, won + margin, 1 - 2 * won - margin]).sum()
        assert 0.02 < size < 0.025

    @pytest.mark.parametrize(("wins", "losses", "n", "difference"), [(1, 1, 1, 0.0), (0, 0, 0, 0.0), (1, 0, 5, 1.0)])
    def test_nonsense_is_refused(self, wins, losses, n, difference):
        with pytest.raises(ValueError, match="tango"):
            tango(wins, losses, n, difference=difference)


class TestNumbers:
    def test_is_scipys_one_sided_t(self):
        generator = np.random.default_rng(1)
        a = generator.normal(10, 2, 40)
        b = a + generator.normal(-0.1, 1, 40)
        theirs = scipy.ttest_1samp(b - a, -0.5, alternative="greater")
        found = not_worse(a, b, margin=0.5)
        assert found.p_value == pytest.approx(theirs.pvalue)
        assert found.bound == pytest.approx(theirs.confidence_interval(0.975).low)
        assert found.test == "t"

    def test_lower_may_be_better(self):
        generator = np.random.default_rng(2)
        a = generator.normal(10, 2, 40)
        slower = a + 3 + generator.normal(0, 0.1, 40)
        assert not_worse(a, slower, margin=1, higher_is_better=True).holds
        assert not not_worse(a, slower, margin=1, higher_is_better=False).holds
        assert not_worse(a, slower, margin=1, higher_is_better=False).gain == pytest.approx(-3, abs=0.1)

    def test_no_spread_says_nothing(self):
        found = not_worse(np.full(20, 7.0), np.full(20, 7.0), margin=1)
        assert (found.holds, found.p_value, found.bound, found.test) == (False, None, None, "none")


class TestShares:
    def test_equal_scores_are_not_worse_once_there_are_enough(self):
        same = np.random.default_rng(3).random(400)
        assert not_worse(same, same, margin=0.05).holds
        assert not not_worse(same[:12], same[:12], margin=0.05).holds

    def test_identical_answers_of_few_samples_do_not_hold(self):
        assert not not_worse(*counted(0, 0, 20), margin=0.05).holds
        assert not_worse(*counted(0, 0, 200), margin=0.05).holds


@given(scored, st.floats(0.01, 0.5), st.booleans())
def test_holds_exactly_where_the_bound_is_within_the_margin(pairs, margin, higher):
    a, b = np.array(pairs).T
    found = not_worse(a, b, margin=margin, higher_is_better=higher)
    assert abs(found.bound + margin) < 1e-6 or found.holds == (found.bound > -margin)
    assert 0 <= found.p_value <= 1


@given(st.integers(0, 20), st.integers(0, 20), st.floats(0.01, 0.6))
def test_so_it_is_for_counts(wins, losses, margin):
    found = not_worse(*counted(wins, losses, 50), margin=margin)
    assert abs(found.bound + margin) < 1e-6 or found.holds == (found.bound > -margin)
    assert found.bound <= found.gain + 1e-9


@pytest.mark.parametrize("n", [0, 5])
def test_too_few(n):
    found = not_worse(np.ones(n), np.ones(n), margin=0.5)
    assert (found.holds, found.p_value, found.n) == (False, None, n)


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan")])
def test_margin_is_above_zero(margin):
    with pytest.raises(ValueError, match="margin"):
        not_worse(np.ones(9), np.ones(9), margin=margin)


def test_control_no_difference_seen_is_not_none_there():
    """b loses 15 points; 20 pairs do not show it, and "not significant" would have let it through."""
    generator = np.random.default_rng(4)
    through = naive = 0
    for _ in range(300):
        gains = generator.choice([1.0, -1.0, 0.0], p=[0.05, 0.2, 0.75], size=20)
        a, b = (gains < 0).astype(float), (gains > 0).astype(float)
        through += not_worse(a, b, margin=0.1).holds
        naive += scipy.binomtest(int((gains > 0).sum()), max(1, int((gains != 0).sum()))).pvalue >= 0.05
    assert through <= scipy.binom.ppf(0.9999, 300, 0.03)
    assert naive > 200
