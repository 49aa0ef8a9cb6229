"""How often each way to decide is wrong, by simulation: `python tests/benchmarks/simulation.py [SHARE]`. Prints tables.

Two systems that are alike are compared again and again; whoever sees a difference raises a false alarm. Controls do what
one should not, and must be seen to fail. SHARE of the usual repetitions, 1 by default. Exit code 1 if a promise breaks.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mlaas_lab.evaluation.stopping import Rule, ends, judged
from mlaas_lab.evaluation.verdict import Comparison, decide
from mlaas_lab.schema import Decision
from mlaas_lab.stats.clusters import are_draws
from mlaas_lab.stats.intervals import mean_limits, wilson
from mlaas_lab.stats.monitoring import always_valid, monitored, price
from mlaas_lab.stats.noninferiority import not_worse, not_worse_in_groups
from mlaas_lab.stats.paired import mcnemar, pairs_needed, sign_flip
from mlaas_lab.stats.sequential import allowed, looks
from mlaas_lab.stats.standardized import standardized

SEED = 20261122
NOMINAL = 0.05
HALF = 0.025
PLANNED = 0.08
"""Difference that is planned for: 18 % of pairs are won, 10 % lost."""
MARGIN = 0.05


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A way to decide, under no difference (or, for not worse, exactly at the margin)."""

    name: str
    alarm: Callable[[np.random.Generator], bool]
    times: int
    nominal: float = NOMINAL
    control: bool = False


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """Group-sequential against fixed, on the same data."""

    power: float
    """Of the fixed test with all samples."""
    share: float
    """Of that power which is left when one may stop."""
    sample: float
    """Expected, as a share of the fixed test's."""


def wilson_misses(generator):
    share = generator.uniform(0.5, 0.98)
    low, high = wilson(int(generator.binomial(100, share)), 100)
    return not low <= share <= high


def student_misses(generator):
    low, high = mean_limits(generator.normal(7, 2, 40))
    return not low <= 7 <= high


def verdict_on_shares(generator):
    """Two metrics of 0 and 1, 80 samples of different difficulty, Holm over both."""
    return _any_decided([_alike(generator, 80, metric) for metric in ("x", "y")])


def verdict_on_numbers(generator):
    base = generator.normal(size=40)
    a, b = base + generator.normal(size=40), base + generator.normal(size=40)
    return _any_decided([_comparison(a, b)])


def sign_flips(generator):
    return sign_flip(generator.standard_t(4, size=40), seed=int(generator.integers(1 << 30)), draws=999) < NOMINAL


def exact_mcnemar(generator):
    won, lost, _ = generator.multinomial(100, [0.15, 0.15, 0.7])
    return mcnemar(int(won), int(lost)) < NOMINAL


def verdict_in_groups(generator):
    """30 documents with 8 questions each; one system is good at some, the other at others."""
    a, b, groups = grouped(generator)
    return _any_decided([_comparison(a, b, groups=groups)])


def verdict_without_groups(generator):
    a, b, _ = grouped(generator)
    return _any_decided([_comparison(a, b)])


def not_worse_by_counts(generator):
    won, lost = 0.08, 0.08 + MARGIN
    gains = generator.choice([1.0, -1.0, 0.0], p=[won, lost, 1 - won - lost], size=200)
    return not_worse(np.where(gains < 0, 1.0, 0.0), np.where(gains > 0, 1.0, 0.0), margin=MARGIN).holds


def not_worse_by_t(generator):
    a = generator.normal(10, 3, 60)
    return not_worse(a, a + MARGIN + generator.normal(0, 1, 60), margin=MARGIN, higher_is_better=False).holds


def verdict_not_worse(generator):
    """Two metrics that go together lose exactly the margin; Holm over both."""
    gains = generator.choice([1.0, -1.0, 0.0], p=[0.08, 0.08 + MARGIN, 0.84 - MARGIN], size=200)
    scores = np.where(gains < 0, 1.0, 0.0), np.where(gains > 0, 1.0, 0.0)
    pairs = [_comparison(*scores, metric="x"), _comparison(*(3 * each for each in scores), metric="y")]
    return any(found.not_worse for found in decide(pairs, margin={"x": MARGIN, "y": 3 * MARGIN}))


def verdict_equivalent(generator):
    """b gains exactly the margin, which is no loss, and not equivalent either."""
    gains = generator.choice([1.0, -1.0, 0.0], p=[0.02 + MARGIN, 0.02, 0.96 - MARGIN], size=400)
    found = decide([_comparison(np.where(gains < 0, 1.0, 0.0), np.where(gains > 0, 1.0, 0.0))], margin=MARGIN)
    return found[0].verdict is Decision.EQUIVALENT


def not_worse_in_documents(generator):
    gains, groups = _losing(generator)
    return not_worse_in_groups(gains, groups, margin=MARGIN, share=True).holds


def not_worse_without_documents(generator):
    gains, _ = _losing(generator)
    return not_worse_in_groups(gains, np.arange(len(gains)), margin=MARGIN, share=True).holds


def until_not_worse(generator):
    """300 pairs that lose exactly the margin, looked at five times: shown at any of them."""
    gains = generator.choice([1.0, -1.0, 0.0], p=[0.08, 0.08 + MARGIN, 0.84 - MARGIN], size=300)
    a, b = np.where(gains < 0, 1.0, 0.0), np.where(gains > 0, 1.0, 0.0)
    rule = Rule(metric="m", planned=300, comparisons=1, margin=MARGIN)
    return any(judged([_comparison(a[:n], b[:n])], rule, n)[0].not_worse for n in looks(300))


def stops(generator):
    """300 pairs, 14 % won and 14 % lost, five looks."""
    return _stopped(_pairs(generator, 300, 0.0))[0]


def stops_on_numbers(generator):
    return _stopped(generator.standard_t(5, size=200))[0]


def peeks_five_times(generator):
    differences = _pairs(generator, 300, 0.0)
    return any(abs(standardized(differences[:n])) > 1.96 for n in looks(300))


def peeks_after_each(generator):
    differences = _pairs(generator, 1000, 0.0)
    z = np.cumsum(differences) / np.sqrt(np.maximum(1, np.cumsum(differences**2)))
    return bool((np.abs(z[20:]) > 1.96).any())


def until_decided(generator):
    """Three targets that are alike, 300 samples, two metrics that go together; asked until it is decided."""
    return _asked(generator, Rule(metric="exact_match", planned=300, comparisons=3))


def until_decided_at_any_time(generator):
    """The same, looked at after every twelve samples."""
    return _asked(generator, Rule(metric="exact_match", planned=300, comparisons=3, any_time=True))


def until_decided_with_a_margin(generator):
    """The same within 10 points: equivalence ends it too, and lets no other metric raise alarms of its own."""
    found = _ended(generator, Rule(metric="exact_match", planned=300, comparisons=3, margin={"exact_match": 0.1}))
    return any(one.verdict in (Decision.A_BETTER, Decision.B_BETTER) for one in found)


def _asked(generator, rule):
    return any(one.verdict is not Decision.UNDECIDED for one in _ended(generator, rule))


def _ended(generator, rule):
    """The verdicts when it ends."""
    found = []
    difficulty = generator.random(300)
    first = (generator.random((3, 300)) > difficulty).astype(float)
    scores = {"exact_match": first, "token_f1": np.maximum(first, generator.random((3, 300)))}
    for n in ends(rule, 300, at_once=12):
        found = judged(
            [
                replace(_comparison(each[i, :n], each[j, :n], metric=metric), a=str(i), b=str(j))
                for metric, each in scores.items()
                for i, j in ((0, 1), (0, 2), (1, 2))
            ],
            rule,
            n,
        )
        if all(one.verdict is not Decision.UNDECIDED for one in found if one.metric == rule.metric):
            break
    return found


def monitors(generator):
    return bool(always_valid(_pairs(generator, 1000, 0.0), planned=500)[-1] < NOMINAL)


def monitors_numbers(generator):
    return bool(always_valid(generator.standard_t(5, size=1000), planned=500)[-1] < NOMINAL)


MODES = [
    Mode(name="interval of a share (Wilson) misses the truth, n 100", alarm=wilson_misses, times=20_000),
    Mode(name="interval of a mean (Student's t) misses the truth, n 40", alarm=student_misses, times=20_000),
    Mode(name="McNemar, exact, 100 pairs", alarm=exact_mcnemar, times=20_000),
    Mode(name="sign flips, 40 pairs", alarm=sign_flips, times=5000),
    Mode(name="verdict on two metrics of 0 and 1 (Holm), 80 pairs", alarm=verdict_on_shares, times=2000),
    Mode(name="verdict on numbers, 40 pairs", alarm=verdict_on_numbers, times=1000),
    Mode(name="verdict in groups, 30 × 8 pairs", alarm=verdict_in_groups, times=1000),
    Mode(name="the same data without its groups", alarm=verdict_without_groups, times=1000, control=True),
    Mode(name="not worse, scores of 0 and 1, 200 pairs", alarm=not_worse_by_counts, times=20_000, nominal=HALF),
    Mode(name="not worse, numbers, 60 pairs", alarm=not_worse_by_t, times=20_000, nominal=HALF),
    Mode(name="not worse in groups, 30 × 8 pairs", alarm=not_worse_in_documents, times=10_000, nominal=HALF),
    Mode(
        name="the same losses without their groups",
        alarm=not_worse_without_documents,
        times=10_000,
        nominal=HALF,
        control=True,
    ),
    Mode(name="verdict not worse by two metrics (Holm), 200 pairs", alarm=verdict_not_worse, times=2000, nominal=HALF),
    Mode(name="verdict equivalent at the margin, 400 pairs", alarm=verdict_equivalent, times=2000, nominal=HALF),
    Mode(name="not worse at any of five looks, 300 pairs", alarm=until_not_worse, times=5000, nominal=HALF),
    Mode(name="group-sequential with stopping, 300 pairs", alarm=stops, times=20_000),
    Mode(name="group-sequential with stopping, numbers, 200 pairs", alarm=stops_on_numbers, times=20_000),
    Mode(name="asked until decided, three targets, two metrics, 300 samples", alarm=until_decided, times=5000),
    Mode(name="the same at any time, after every twelve samples", alarm=until_decided_at_any_time, times=2000),
    Mode(name="the same at five looks, within 10 points too", alarm=until_decided_with_a_margin, times=5000),
    Mode(name="always-valid, looked at after each of 1,000 pairs", alarm=monitors, times=10_000),
    Mode(name="always-valid, numbers, after each of 1,000", alarm=monitors_numbers, times=10_000),
    Mode(name="five looks at 1.96", alarm=peeks_five_times, times=10_000, control=True),
    Mode(name="1.96 after each of 1,000 pairs", alarm=peeks_after_each, times=10_000, control=True),
]


def alarms(mode: Mode, times: int, seed: int = SEED) -> int:
    """In how many of `times` simulations `mode` raised a false alarm."""
    generator = np.random.default_rng([seed, sum(map(ord, mode.name))])
    return sum(bool(mode.alarm(generator)) for _ in range(times))


def stopping(*, planned_power: float, times: int, seed: int = SEED) -> Stopping:
    """What stopping costs in power and saves in samples, where a fixed test has `planned_power`."""
    generator = np.random.default_rng([seed, round(100 * planned_power)])
    shape = np.array([1.0] * 18 + [-1.0] * 10 + [0.0] * 72)
    total = pairs_needed(shape, effect=PLANNED, power=planned_power) or 0
    fixed, sequential, sample = 0, 0, 0
    for _ in range(times):
        differences = _pairs(generator, total, PLANNED)
        fixed += abs(standardized(differences)) > 1.959964
        decided, n = _stopped(differences)
        sequential += decided
        sample += n
    return Stopping(power=fixed / times, share=sequential / fixed, sample=sample / times / total)


def monitoring_power(times: int, seed: int = SEED) -> tuple[float, float]:
    """Power of monitoring with the samples `price` asks for, and how many it takes on average against the fixed test."""
    generator = np.random.default_rng([seed, 3])
    shape = np.array([1.0] * 18 + [-1.0] * 10 + [0.0] * 72)
    fixed = pairs_needed(shape, effect=PLANNED) or 0
    most = round(fixed * price(fixed))
    found = [monitored(_pairs(generator, most, PLANNED), planned=fixed).decided_at for _ in range(times)]
    return float(np.mean([at is not None for at in found])), float(np.mean([at or most for at in found])) / fixed


def grouped(generator):
    """Scores of 0 and 1 of two systems alike on the whole, and the document of each question."""
    groups = np.repeat(np.arange(30), 8)
    chance = generator.beta(1, 1, size=(2, 30))[:, groups]
    right = (generator.random((2, len(groups))) < chance).astype(float)
    assert are_draws(groups)
    return right[0], right[1], groups


def _losing(generator):
    """Gains of -1, 0 and 1 on 30 documents with 8 questions each, which lose the margin on the whole; their groups."""
    groups = np.repeat(np.arange(30), 8)
    won = generator.uniform(0, 0.4, 30)
    lost = 0.4 + MARGIN - won
    drawn = generator.random(len(groups))
    return np.where(drawn < won[groups], 1.0, np.where(drawn < (won + lost)[groups], -1.0, 0.0)), groups


def _alike(generator, n, metric):
    difficulty = generator.random(n)
    a, b = (generator.random((2, n)) > difficulty).astype(float)
    return _comparison(a, b, metric=metric)


def _comparison(a, b, *, metric="m", groups=None):
    return Comparison(a="A", b="B", metric=metric, scores_a=a, scores_b=b, higher_is_better=True, groups=groups)


def _any_decided(comparisons):
    return any(found.verdict is not Decision.UNDECIDED for found in decide(comparisons))


def _pairs(generator, n, difference):
    """Differences of scores of 0 and 1: 28 % of the pairs differ."""
    drawn = generator.random(n)
    won, lost = 0.14 + difference / 2, 0.14 - difference / 2
    return np.where(drawn < won, 1.0, np.where(drawn < won + lost, -1.0, 0.0))


def _stopped(differences):
    """Whether one of the looks decided, and after how many samples measuring ended."""
    total = len(differences)
    for done, n in enumerate(looks(total)):
        if allowed(done, n, total, differences[:n]).decided:
            return True, n
    return False, total


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> int:
    share = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    broken = 0
    print("| false alarms | nominal | simulated | 99 % interval | of |\n|---|---|---|---|---|")
    for mode in MODES:
        times = max(100, round(mode.times * share))
        count = alarms(mode, times)
        low, high = wilson(count, times, confidence=0.99)
        broken += low <= mode.nominal if mode.control else low > mode.nominal
        name = f"control: {mode.name}" if mode.control else mode.name
        row = (name, percent(mode.nominal), percent(count / times), f"{percent(low)} to {percent(high)}", f"{times:,}")
        print(f"| {' | '.join(row)} |", flush=True)
    print("\n| stopping when decided | power of the fixed test | power kept | samples of the fixed test's |")
    print("|---|---|---|---|")
    for planned, most in ((0.8, 0.82), (0.99, 0.62)):
        times = max(200, round(20_000 * share))
        found = stopping(planned_power=planned, times=times)
        doubt = 2.58 * 0.25 / times**0.5  # 99 %; both figures scatter by less than 0.25 from one simulation to another
        broken += found.share < 0.97 - doubt or found.sample > most + doubt
        name = f"group-sequential, fixed test planned for {planned:.0%}".replace("%", " %")
        row = (name, percent(found.power), f"{percent(found.share)} (promised ≥ 97 %)")
        print(f"| {' | '.join(row)} | {percent(found.sample)} (promised ≤ {100 * most:.0f} %) |", flush=True)
    power, sample = monitoring_power(max(200, round(3000 * share)))
    name = f"always-valid, allowed {price(341):.2f} times as many"
    print(f"| {name} | {percent(0.8)} | {percent(power / 0.8)} | {percent(sample)} |")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
