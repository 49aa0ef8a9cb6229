"""Where n is large, a limit takes the place of draws and of endless sums: it must say what they say."""

import math

import numpy as np
import pytest
from scipy import stats as scipy

from mlaas_lab.stats import clusters, fairness, intervals, paired, sums
from mlaas_lab.stats.intervals import Moments, mean_limits, quantile_limits
from mlaas_lab.stats.student import t_quantile

KINDS = {
    "f1": lambda g, n: np.clip(np.round(g.integers(-12, 13, n) / g.integers(12, 30, n), 6) + 0.004, -1, 1),
    "steps": lambda g, n: g.choice([-1, -0.5, 0, 0.5, 1], n, p=[0.1, 0.1, 0.588, 0.1, 0.112]),
    "normal": lambda g, n: g.normal(0.01, 1, n),
    "skewed": lambda g, n: g.gamma(3, 1, n) - 3 + 0.02,
}


@pytest.mark.parametrize("kind", KINDS)
def test_limits_are_those_that_draws_tend_to(kind, monkeypatch):
    """Within what the seed moves 10,000 draws: 2.7 % of a standard error for a 2.5 % limit."""
    differences = KINDS[kind](np.random.default_rng(1), 6_000)
    share = kind in ("f1", "steps")
    limit, p_value = paired.difference_limits(differences, share=share), paired.sign_flip(differences)
    monkeypatch.setattr(paired, "EVEN", math.inf)
    drawn, drawn_p = paired.difference_limits(differences, share=share), paired.sign_flip(differences)
    error = differences.std() / np.sqrt(len(differences))
    assert limit == pytest.approx(drawn, abs=0.12 * error)
    assert limit != drawn
    assert p_value == pytest.approx(drawn_p, abs=0.02)


def test_where_few_differences_carry_all_weight_they_are_drawn():
    differences = np.zeros(20_000)
    differences[:40] = np.linspace(0.5, 1, 40)
    assert paired.sign_flip(differences) == 1 / (paired.RESAMPLES + 1)
    low, high = paired.difference_limits(differences, share=True)
    assert 0 < low < differences.mean() < high


def test_no_p_is_ever_nothing():
    assert 0 < paired.sign_flip(np.full(20_000, 0.5)) < 1e-300


def test_the_limits_are_close_at_the_border():
    """One pair more must not move a verdict: draws on one side, the limit on the other."""
    differences = np.random.default_rng(3).normal(0.02, 1, 2_000)
    border = next(n for n in range(1_000, 2_000) if paired.is_even(*powers(differences[:n] - differences[:n].mean())))
    before, after = (paired.difference_limits(differences[:n], share=False) for n in (border - 1, border))
    assert after == pytest.approx(before, abs=0.12 / math.sqrt(border))


def powers(values):
    """Σx² and Σx⁴."""
    return (values**2).sum(), (values**4).sum()


@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_at_the_border_the_limit_errs_less_than_draws_do(kind, monkeypatch):
    """Against what eight times 10,000 draws say together: further off than the limit lies one of the eight."""
    values = KINDS[kind](np.random.default_rng(8), 4_000)
    border = next(n for n in range(1_000, 4_000) if paired.is_even(*powers(values[:n] - values[:n].mean())))
    values = values[:border]
    limit = np.array(paired.difference_limits(values, share=False))
    monkeypatch.setattr(paired, "EVEN", math.inf)
    drawn = np.array([paired.difference_limits(values, share=False, seed=seed) for seed in range(8)])
    assert np.abs(limit - drawn.mean(axis=0)).max() < np.abs(drawn - drawn.mean(axis=0)).max()


@pytest.mark.parametrize(("a", "b"), [(5_100, 4_950), (400_000, 402_000), (9_000, 9_000), (12_000, 0)])
def test_mcnemar_of_large_counts_is_exact(a, b):
    assert paired.mcnemar(a, b) == pytest.approx(scipy.binomtest(a, a + b).pvalue, rel=1e-6, abs=1e-300)


@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_ranks_of_many_are_those_of_all_chances(q, monkeypatch):
    values = np.random.default_rng(4).random(30_000)
    found = quantile_limits(values, q)
    monkeypatch.setattr(intervals, "MANY", 10**9)
    assert quantile_limits(values, q) == found


@pytest.mark.parametrize(("right", "n"), [((14_000, 26_000), (20_000, 37_000)), ((9_000, 16_000), (20_000, 37_000))])
def test_fisher_of_large_tables_is_exact(right, n):
    table = [[right[0], n[0] - right[0]], [right[1], n[1] - right[1]]]
    expected = scipy.fisher_exact(table).pvalue
    assert fairness.fisher(right[0], n[0], right[1], n[1]) == pytest.approx(expected, rel=1e-6, abs=1e-300)


def test_many_groups_have_the_limits_of_their_draws(monkeypatch):
    generator = np.random.default_rng(5)
    groups = np.repeat(np.arange(5_000), generator.integers(1, 4, 5_000))
    differences = np.clip(generator.normal(0.02, 0.3, len(groups)) + generator.normal(0, 0.2, 5_000)[groups], -1, 1)
    found = clusters.difference_limits(differences, groups, share=True)
    monkeypatch.setattr(paired, "EVEN", math.inf)
    drawn = clusters.difference_limits(differences, groups, share=True)
    assert found != drawn
    assert found == pytest.approx(drawn, abs=0.1 * (drawn[1] - drawn[0]) / 4)


@pytest.mark.parametrize("values", [[0, 1, 1, 0, 1], [0.2, 0.5, 1.0, 0.0], [3.0, -2.0, 8.0, 1.0], [4.0, 4.0]])
def test_moments_of_parts_are_those_of_the_whole(values):
    whole = np.array(values, float)
    both = Moments.of(whole[:1]) + Moments.of(whole[1:])
    assert mean_limits(both) == pytest.approx(mean_limits(whole)) or mean_limits(whole) == (None, None)
    assert (both.n, both.low, both.high, both.binary) == (len(whole), whole.min(), whole.max(), both.binary)
    assert both.square == pytest.approx(((whole - whole.mean()) ** 2).sum())


@pytest.mark.parametrize("df", [10_000, 123_456.5, 3e6])
@pytest.mark.parametrize("p", [0.6, 0.975, 0.9995])
def test_students_quantiles_of_many_degrees_are_scipys(p, df):
    assert t_quantile(p, df) == pytest.approx(scipy.t.ppf(p, df), rel=1e-12)
    assert t_quantile(1 - p, df) == pytest.approx(-t_quantile(p, df), rel=1e-12)


def test_sums_of_pairs_are_those_of_their_differences():
    """Over several portions, some scores missing on one side, and one portion with none at all."""
    generator = np.random.default_rng(6)
    for kinds in ([0.0, 1.0], [0.0, 0.25, 1.0]):
        a, b = generator.choice(kinds, (2, 30_000))
        a[generator.random(30_000) < 0.1], b[8_192:16_384] = np.nan, np.nan
        differences = (b - a)[~np.isnan(b - a)]
        found = paired.Differences(a=a, b=b, binary=len(kinds) == 2)
        assert (found.n, found.values.tolist()) == (len(differences), differences.tolist())
        assert vars(found.sums) == pytest.approx(vars(sums.Sums.of(differences)), rel=1e-12)
        assert (found.sums.n_above, found.sums.low) == ((differences > 0).sum(), -1)
        assert paired.sign_flip(found) == pytest.approx(paired.sign_flip(differences), rel=1e-9)
    none = paired.Differences(a=np.full(5, np.nan), b=np.ones(5))
    assert (none.n, none.values.tolist(), none.sums.n_other) == (0, [], 0)
