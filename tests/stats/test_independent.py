"""Every number of a saved records file once more, by scipy and statsmodels and from the file alone.

Nothing here calls `mlaas_lab.stats`: pairs are made by pandas, and where a number is drawn, the drawing is scipy's own.
"""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from mlaas_lab.evaluation.summary import summarize

TARGETS = {"base": 0.55, "tuned": 0.80, "twin": 0.80, "hosted": 0.83}
METRICS = ("exact_match", "token_f1", "edit_distance")
GROUP_SIZE = 8
DRAWS = 10_000
OURS = 10_000
"""Draws behind a p-value or a limit: theirs, and ours."""


def saved(folder, *, n=240, grouped=False, repeats=1):
    """The path of a records file: four targets that share hard and easy samples, and calls that fail now and then."""
    generator = np.random.default_rng(20261122 + n + repeats)
    hardness = generator.normal(size=n if not grouped else n // GROUP_SIZE).repeat(GROUP_SIZE if grouped else 1)
    rows = []
    for target, share in TARGETS.items():
        for place in range(n):
            for repeat in range(repeats):
                noise = generator.normal(scale=0.8)
                right = float(hardness[place] + noise < stats.norm.ppf(share) * math.hypot(1, 0.8))
                f1 = right or float(np.round(generator.beta(2, 3), 3))
                edits = 0.0 if right else float(generator.poisson(9) + 1)
                failed = generator.random() < 0.02
                rows.append((target, f"s{place}", repeat, f"g{place // GROUP_SIZE}", right, f1, edits, failed))
    names = ("target", "sample_id", "repeat", "group", *METRICS, "failed")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        run_id=pl.lit("j1"),
        reference=pl.col("sample_id"),
        group=pl.col("group") if grouped else pl.lit(None, pl.String),
    )
    for metric in METRICS:
        frame = frame.with_columns(
            pl.when("failed").then(None).otherwise(metric).alias(metric),
            pl.when("failed").then(pl.lit("timeout")).otherwise(pl.lit("ok")).alias(f"{metric}_status"),
            pl.lit(None, pl.String).alias(f"{metric}_reason"),
        )
    path = folder / "records.parquet"
    frame.drop("failed").write_parquet(path)
    return path


def scores(path, metric):
    """Mean score of each sample (rows) by each target (columns), and the group of each sample."""
    table = pd.read_parquet(path)
    table = table[table[f"{metric}_status"] == "ok"]
    wide = table.pivot_table(index="sample_id", columns="target", values=metric, aggfunc="mean")
    return wide, table.drop_duplicates("sample_id").set_index("sample_id")["group"].reindex(wide.index)


def binary(values):
    return set(np.unique(values)) <= {0.0, 1.0}


def within(ours, theirs, *, draws=(OURS, DRAWS)):
    """Whether two drawn shares differ by no more than 4.5 standard errors of their drawing."""
    error = math.sqrt(max(theirs, 1 / DRAWS) * sum(1 / n for n in draws))
    return abs(ours - theirs) <= 4.5 * error + 1 / OURS


@pytest.mark.parametrize(("n", "repeats"), [(40, 1), (240, 3)])
def test_means_and_their_limits(tmp_path, n, repeats):
    path = saved(tmp_path, n=n, repeats=repeats)
    summary, _ = summarize(pl.read_parquet(path))
    assert len(summary) == len(TARGETS) * len(METRICS)
    for line in summary:
        values = scores(path, line.metric)[0][line.target].dropna().to_numpy()
        assert line.n == len(values)
        assert line.mean == pytest.approx(values.mean(), abs=1e-12)
        if binary(values):
            low, high = proportion_confint(values.sum(), len(values), method="wilson")
        else:
            share = ((values >= 0) & (values <= 1)).all()
            padded = np.concatenate([values, [0, 0, 1, 1]]) if share else values
            low, high = stats.t.interval(0.95, len(padded) - 1, loc=padded.mean(), scale=stats.sem(padded))
        assert (line.ci_low, line.ci_high) == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(("n", "repeats"), [(40, 1), (240, 3)])
def test_every_verdict(tmp_path, n, repeats):
    path = saved(tmp_path, n=n, repeats=repeats)
    verdicts = {(one.metric, one.a, one.b): one for one in summarize(pl.read_parquet(path))[1]}
    expected = {(metric, a, b) for metric in METRICS for a, b in combinations(TARGETS, 2)}
    assert set(verdicts) == expected
    for (metric, a, b), verdict in verdicts.items():
        both = scores(path, metric)[0][[a, b]].dropna()
        differences = (both[b] - both[a]).to_numpy()
        assert (verdict.n, verdict.difference) == (len(both), pytest.approx(differences.mean(), abs=1e-12))
        checked_p(verdict, both[a].to_numpy(), both[b].to_numpy())
        checked_limits(verdict, differences, share=bool(((both >= 0) & (both <= 1)).all().all()))
    checked_family(verdicts.values())


def checked_p(verdict, a, b):
    differences = b - a
    if binary(a) and binary(b):
        table = [[0, int((differences < 0).sum())], [int((differences > 0).sum()), 0]]
        assert verdict.test == "mcnemar"
        assert verdict.p_value == pytest.approx(mcnemar(table, exact=True).pvalue, rel=1e-9)
        return
    assert verdict.test == "sign_flip"
    flipped = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True, batch=2000, rng=7
    )
    assert within(verdict.p_value, flipped.pvalue), (verdict, flipped.pvalue)


def checked_limits(verdict, differences, *, share):
    """Against Student's interval of the same table, which knows no skewness: percentiles of few do."""
    values, weights = differences, np.ones(len(differences))
    if share:
        values = np.concatenate([differences, [-1, 0, 0, 1]])
        weights = np.concatenate([weights, np.full(4, 0.5)])
    described = DescrStatsW(values, weights=weights)
    freedom = len(differences) - 1
    half = stats.t.ppf(0.975, freedom) * described.std / math.sqrt(len(differences))
    low, high = described.mean - half, described.mean + half
    slack = (0.12 if len(differences) < 100 else 0.05) * (high - low)
    assert (verdict.ci_low, verdict.ci_high) == pytest.approx((low, high), abs=slack)


def checked_family(verdicts):
    """Holm over all that was tested together, and the decision that follows from p and interval."""
    tested = [one for one in verdicts if one.p_value is not None]
    adjusted = multipletests([one.p_value for one in tested], method="holm")[1]
    assert [one.p_adjusted for one in tested] == pytest.approx(list(adjusted), rel=1e-12)
    for one in verdicts:
        apart = one.p_adjusted is not None and one.p_adjusted < 0.05 and (one.ci_low > 0 or one.ci_high < 0)
        more_is_better = one.metric != "edit_distance"
        better = "b_better" if (one.difference > 0) == more_is_better else "a_better"
        assert str(one.verdict) == (better if apart else "undecided"), one


def test_what_is_better_is_found_and_twins_are_not_told_apart(tmp_path):
    """The file was made with known truths: the check above would be empty if all were undecided."""
    verdicts = summarize(pl.read_parquet(saved(tmp_path)))[1]
    said = {(one.a, one.b): str(one.verdict) for one in verdicts if one.metric == "exact_match"}
    assert said["base", "tuned"] == said["base", "hosted"] == "b_better"
    assert said["tuned", "twin"] == "undecided"


def test_groups(tmp_path):
    path = saved(tmp_path, grouped=True)
    summary, verdicts = summarize(pl.read_parquet(path))
    assert all(line.n_groups == 30 for line in summary)
    assert {one.test for one in verdicts} == {"sign_flip_groups"}
    for verdict in verdicts:
        wide, groups = scores(path, verdict.metric)
        both = wide[[verdict.a, verdict.b]].dropna()
        differences = both[verdict.b] - both[verdict.a]
        sums = differences.groupby(groups.reindex(both.index)).sum().to_numpy()
        flipped = stats.permutation_test(
            (sums,), np.mean, permutation_type="samples", n_resamples=DRAWS, vectorized=True, batch=2000, rng=7
        )
        assert within(verdict.p_value, flipped.pvalue), (verdict, flipped.pvalue)
        low, high = clustered(differences.to_numpy(), pd.factorize(groups.reindex(both.index))[0], verdict.metric)
        assert (verdict.ci_low, verdict.ci_high) == pytest.approx((low, high), abs=0.08 * (high - low))
    checked_family(verdicts)


def clustered(differences, groups, metric):
    """Limits by a regression with errors that are robust to groups; shares get half a group more in each cell.

    Half a group is one group beside a table in which every other stands twice.
    """
    count = groups.max() + 1
    if metric != "edit_distance":
        more = np.arange(4).repeat(GROUP_SIZE)
        differences = np.concatenate([differences, differences, np.array([-1.0, 0.0, 0.0, 1.0])[more]])
        groups = np.concatenate([groups, count + groups, 2 * count + more])
    fitted = OLS(differences, np.ones(len(differences))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    half = stats.t.ppf(0.975, count - 1) * fitted.bse[0] * math.sqrt((groups.max() + 1) / count)
    return fitted.params[0] - half, fitted.params[0] + half


def test_control_samples_taken_as_pairs_by_place_would_not_agree(tmp_path):
    """Were pairs made by row instead of by sample, a failed call would shift all that follow."""
    path = saved(tmp_path)
    frame = pl.read_parquet(path)
    shifted = frame.with_columns(
        sample_id=pl.when(pl.col("target") == "tuned")
        .then(pl.col("sample_id").shift(1).fill_null("s239"))
        .otherwise("sample_id"),
        reference=pl.lit("r"),
    )
    honest = {(one.a, one.b): one for one in summarize(frame)[1] if one.metric == "exact_match"}
    wrong = {(one.a, one.b): one for one in summarize(shifted)[1] if one.metric == "exact_match"}
    assert wrong["base", "tuned"].p_value != pytest.approx(honest["base", "tuned"].p_value, rel=0.05, abs=0)
