"""Numbers of all answers together: draws and exchanges against what can be counted or is published, and error rates."""

import itertools

import numpy as np
import pytest

from mlaas_lab.evaluation.metrics import auc_roc
from mlaas_lab.stats import aggregates, draws
from mlaas_lab.stats.aggregates import measured
from mlaas_lab.stats.facts import Aggregate, Fact, Side
from mlaas_lab.stats.influence import influence
from mlaas_lab.stats.paired import mcnemar

SHARE = Aggregate(facts=4, of=lambda table: (table[:, 0] + table[:, 2]) / table.sum(axis=1), extremes=[(2, 3)])
"""The share of facts 0: right; 1: wrong. A mean, so that what is known of means must come out."""


def side(said):
    return Side(unit=np.arange(len(said)), fact=np.array(said), weight=np.ones(len(said)))


def pair(a, b, groups=None, aggregate=SHARE):
    return measured(aggregate, [side(a), side(b)], groups, len(a))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(aggregates, "RESAMPLES", 2000)


def test_a_share_has_about_wilsons_interval():
    found = measured(SHARE, [side([0] * 80 + [1] * 20)], None, 100)
    assert found.values == [0.8]
    assert found.limits() == pytest.approx((0.7112, 0.8666), abs=0.03), "Wilson's"


def test_all_right_is_no_certainty():
    low, high = measured(SHARE, [side([0] * 20)], None, 20).limits()
    assert 0.7 < low < 0.93
    assert high == 1.0
    sabotaged = Aggregate(facts=4, of=SHARE.of, extremes=())
    assert measured(sabotaged, [side([0] * 20)], None, 20).limits() == (1.0, 1.0)


@pytest.mark.parametrize(("only_a", "only_b"), [(2, 9), (0, 6), (5, 5), (3, 8)])
def test_exchanges_of_a_share_are_mcnemars(only_a, only_b):
    a = [0] * only_a + [1] * only_b + [0, 1] * 10
    b = [1] * only_a + [0] * only_b + [0, 1] * 10
    assert pair(a, b).exchange() == pytest.approx(mcnemar(only_a, only_b))


def test_random_exchanges_come_near_all_of_them(monkeypatch):
    a, b = [0] * 3 + [1] * 9 + [0] * 20, [1] * 3 + [0] * 9 + [0] * 20
    exact = pair(a, b).exchange()
    monkeypatch.setattr(aggregates, "TRIED_UP_TO", 0)
    monkeypatch.setattr(aggregates, "RESAMPLES", 10_000)
    assert pair(a, b).exchange() == pytest.approx(exact, abs=0.015)


def test_every_exchange_by_hand():
    """Seven samples, a number that is no mean: the product of two shares."""
    odd = Aggregate(facts=3, of=lambda table: (table[:, 0] + 1) * (table[:, 1] + 1) / (table[:, 2] + 1))
    a, b = np.array([0, 1, 2, 0, 1, 2, 2]), np.array([1, 1, 0, 0, 0, 1, 0])

    def number(said):
        return float(odd.of(np.bincount(said, minlength=3)[None, :].astype(float))[0])

    observed = abs(number(b) - number(a))
    gaps = [abs(number(np.where(s, b, a)) - number(np.where(s, a, b))) for s in itertools.product((0, 1), repeat=7)]
    expected = np.mean([gap >= observed - 1e-12 for gap in gaps])
    assert pair(a, b, aggregate=odd).exchange() == pytest.approx(expected)


def test_what_is_the_same_is_not_tested():
    assert pair([0, 1] * 10, [0, 1] * 10).exchange() is None


def test_groups_are_exchanged_as_wholes():
    """Eight groups of ten; in seven of them b wins all."""
    groups = np.repeat(np.arange(8), 10)
    a = np.where(groups == 0, 0, 1)
    found = pair(a, 1 - a, groups)
    assert found.exchange() == pytest.approx(mcnemar(1, 7))
    assert pair(a, 1 - a).exchange() < 0.001, "as single samples they would be certain"
    low, high = found.difference_limits()
    single = pair(a, 1 - a).difference_limits()
    assert high - low > 2 * (single[1] - single[0])


def test_repeats_share_the_weight_of_a_sample():
    """Each sample was asked twice and is right once: every sample weighs as one."""
    n = 30
    twice = Side(unit=np.repeat(np.arange(n), 2), fact=np.tile([0, 1], n), weight=np.full(2 * n, 0.5))
    found = measured(SHARE, [twice], None, n)
    assert (found.values, found.n) == ([0.5], n)


def test_draws_of_many_kinds_and_of_few_agree(monkeypatch):
    generator = np.random.default_rng(0)
    said = generator.integers(2, size=400)
    few = measured(SHARE, [side(said)], None, 400).limits()
    monkeypatch.setattr(draws, "FEW_KINDS", 10**9)
    assert measured(SHARE, [side(said)], None, 400).limits() == pytest.approx(few, abs=0.01)


def test_no_number_has_no_limits():
    nothing = Aggregate(facts=2, of=lambda table: np.full(len(table), np.nan))
    found = measured(nothing, [side([0, 1, 0])], None, 3)
    assert found.limits() == (None, None)
    two = pair([0, 1] * 4, [1, 0] * 4, aggregate=nothing)
    assert (two.difference_limits(), two.exchange(), len(two.scatter)) == ((None, None), None, 0)


def test_same_seed_same_limits():
    generator = np.random.default_rng(0)
    a, b = generator.integers(2, size=(2, 200))
    assert pair(a, b).difference_limits(seed=4) == pair(a, b).difference_limits(seed=4)
    assert pair(a, b).exchange(seed=4) == pair(a, b).exchange(seed=4)


RATIO = Aggregate(facts=3, of=lambda table: table[:, 0] / (table[:, 0] + 2 * table[:, 1] + table[:, 2]))
"""No mean: the limits of many units come from a formula."""


def test_many_units_have_the_limits_that_draws_tend_to(monkeypatch):
    generator = np.random.default_rng(1)
    a, b = generator.choice(3, (2, 12_000), p=[0.3, 0.5, 0.2])
    found = [measured(RATIO, [side(a)], None, 12_000).limits(), pair(a, b, aggregate=RATIO).difference_limits()]
    p_value, scatter = pair(a, b, aggregate=RATIO).exchange(), pair(a, b, aggregate=RATIO).scatter
    monkeypatch.setattr(aggregates, "ENOUGH", 10**9)
    drawn = [measured(RATIO, [side(a)], None, 12_000).limits(), pair(a, b, aggregate=RATIO).difference_limits()]
    assert np.array(found) == pytest.approx(np.array(drawn), abs=0.0008)
    assert p_value == pytest.approx(pair(a, b, aggregate=RATIO).exchange(), abs=0.04)
    assert scatter == pytest.approx(pair(a, b, aggregate=RATIO).scatter, rel=0.05)


def test_what_one_fact_adds_is_its_derivative():
    """x / (x + 2 y + z) at 2, 1, 1: by x 3/25, by y -4/25, by z -2/25, times the weight of 4."""
    found = influence(RATIO.of, np.array([2.0, 1.0, 1.0]))
    assert found == pytest.approx(np.array([3, -4, -2]) * 4 / 25, abs=1e-4)


def test_a_few_samples_that_carry_the_weight_are_drawn():
    rare = np.zeros(12_000, dtype=int)
    rare[:3] = 1
    found = measured(SHARE, [side(rare)], None, 12_000)
    assert found._normal() is None
    assert found.limits()[0] < 1 - 3 / 12_000 < found.limits()[1]


def scores(n, seed, *, digits=9, apart=0.2):
    """What an AUC is made of, of `n` samples: kinds of facts, and which of them each sample says."""
    generator = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    stated = np.round(np.clip(generator.normal(0.4 + apart * positive, 0.2), 0, 1), digits)
    given = np.round(np.where(positive, stated, 1 - stated), auc_roc.DIGITS)
    words = {True: auc_roc.IS_POSITIVE, False: auc_roc.IS_NEGATIVE}
    said = [Fact(float(value), words[bool(one)]) for value, one in zip(given, positive, strict=True)]
    kinds = sorted(set(said))
    places = {fact: at for at, fact in enumerate(kinds)}
    return kinds, np.array([places[fact] for fact in said])


@pytest.mark.parametrize("digits", [9, 1])
def test_what_a_score_adds_to_an_area_by_formula_and_by_trying(digits):
    kinds, said = scores(200, 0, digits=digits)
    area = auc_roc.metric.aggregate(kinds)
    table = np.bincount(said, minlength=area.facts).astype(float)
    seen = table > 0
    assert area.adds(table)[seen] == pytest.approx(influence(area.of, table)[seen], abs=1e-3)
    shares = table / table.sum()
    assert float(shares @ area.adds(table)) == pytest.approx(0, abs=1e-12), "more of everything changes nothing"


@pytest.mark.parametrize("digits", [9, 1])
def test_an_area_of_many_has_the_limits_that_draws_tend_to(digits, monkeypatch):
    kinds, said = scores(2_500, 1, digits=digits)
    found = measured(auc_roc.metric.aggregate(kinds), [side(said)], None, 2_500)
    limits = found.limits()
    assert not found._cache, "nothing was drawn"
    monkeypatch.setattr(aggregates, "ENOUGH", 10**9)
    width = limits[1] - limits[0]
    assert limits == pytest.approx(found.limits(), abs=0.04 * width)


def test_swaps_of_many_that_say_the_same_are_counted_whole():
    """300 samples of which each is its own kind, and 250 say the same on one side: more than a byte holds."""
    a = np.concatenate([np.arange(50), np.full(250, 50)])
    many = Aggregate(facts=400, of=lambda table: table[:, :51].sum(axis=1) / 300)
    found = measured(many, [side(a), side(np.arange(100, 400))], None, 300)
    assert found.values == [1.0, 0.0]
    assert found.exchange() == pytest.approx(1 / 2001)


@pytest.mark.parametrize("said", [[0, 1, 2, 3], [3, 1, 0, 2], [0, 0, 2, 2], [1, 1, 1, 1]])
def test_a_tally_counts(said):
    times = np.array([[1, 0, 2, 1], [0, 3, 0, 1]])
    expected = [np.bincount(said, weights=row, minlength=4) for row in times]
    assert np.array_equal(side(said).tally(times, 4), expected)
