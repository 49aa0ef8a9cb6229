"""Kappa against published tables and its own promise to cover."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy

from mlaas_lab.stats.agreement import kappa

CARCINOMA = [[22, 2, 2, 0], [5, 7, 14, 0], [0, 2, 36, 0], [0, 1, 17, 10]]
"""Two pathologists, 118 slides (Landis & Koch 1977, in Agresti's Categorical Data Analysis, on agreement)."""
ratings = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=60)


def columns(table):
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return np.array(pairs).T


class TestPublished:
    def test_pathologists(self):
        """Agresti: kappa 0.493, standard error 0.057."""
        found = kappa(*columns(CARCINOMA))
        assert found.kappa == pytest.approx(0.493, abs=5e-4)
        assert (found.ci_high - found.ci_low) / (2 * 1.959964) == pytest.approx(0.057, abs=5e-4)
        assert found.n == 118

    def test_two_readers(self):
        """20 yes by both, 15 no by both, 5 and 10 split: 0.7 observed, 0.5 by chance, kappa 0.4."""
        found = kappa(*columns([[20, 5], [10, 15]]))
        assert (found.observed, found.by_chance, found.kappa) == pytest.approx((0.7, 0.5, 0.4))


@pytest.mark.parametrize(("weights", "power"), [("linear", 1), ("quadratic", 2)])
def test_weighted_is_one_less_the_disagreement_over_chances(weights, power):
    """Cohen 1968: 1 - Σ v o / Σ v e with the disagreements v = |i - j|^power."""
    table = np.array(CARCINOMA) / 118
    distance = np.abs(np.subtract.outer(range(4), range(4))).astype(float) ** power
    chance = np.outer(table.sum(1), table.sum(0))
    expected = 1 - (distance * table).sum() / (distance * chance).sum()
    assert kappa(*columns(CARCINOMA), weights=weights).kappa == pytest.approx(expected)


def test_quadratic_is_the_intraclass_correlation_of_alike_raters():
    """Fleiss & Cohen 1973: with equal frequencies quadratic kappa is the correlation of the ratings."""
    first, second = columns([[10, 4, 1], [4, 12, 3], [1, 3, 9]])
    assert kappa(first, second, weights="quadratic").kappa == pytest.approx(np.corrcoef(first, second)[0, 1])


@given(ratings)
def test_two_kinds_need_no_weights_and_sides_mirror(pairs):
    first, second = np.array(pairs).T
    binary = first % 2, second % 2
    assert kappa(*binary, weights="quadratic") == kappa(*binary, weights="linear")
    a, b = kappa(first, second, weights="linear"), kappa(second, first, weights="linear")
    assert (a.kappa is None) == (b.kappa is None)
    if a.kappa is not None:
        assert a.kappa == pytest.approx(b.kappa)
        assert -1 <= a.ci_low <= a.kappa + 1e-9
        assert a.kappa - 1e-9 <= a.ci_high <= 1


def test_words_are_ratings_too():
    first, second = np.array(["good", "bad", "good", "bad"]), np.array(["good", "bad", "bad", "bad"])
    assert kappa(first, second).kappa == pytest.approx(0.5)


def test_raters_who_never_differ_are_no_certainty():
    same = np.array([0, 1] * 10)
    found = kappa(same, same)
    assert (found.kappa, found.ci_high) == (1.0, 1.0)
    assert 0.5 < found.ci_low < 0.8


def test_one_kind_alone_or_nothing_says_nothing():
    assert kappa(np.ones(9), np.ones(9)).kappa is None
    assert kappa(np.array([]), np.array([])).kappa is None


def test_columns_of_one_length():
    with pytest.raises(ValueError, match="same things"):
        kappa(np.ones(3), np.ones(4))


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_covers(weights):
    generator = np.random.default_rng(1)
    shares = np.array(CARCINOMA) / 118
    truth = kappa(*columns(np.array(CARCINOMA) * 100), weights=weights).kappa
    hits = 0
    for _ in range(1000):
        found = kappa(*columns(generator.multinomial(120, shares.ravel()).reshape(4, 4)), weights=weights)
        hits += found.ci_low <= truth <= found.ci_high
    assert hits >= scipy.binom.ppf(1e-4, 1000, 0.93)
