"""Macro F1 and AUC by group: against scikit-learn, against the group's rows alone, and what has no number."""

import json

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from mlaas_lab.commands.compare import Comparison
from mlaas_lab.evaluation.metrics import auc_roc, macro_f1
from mlaas_lab.evaluation.slices import sliced
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels import slices
from mlaas_lab.stats.parts import FEWEST, Part, gap_limits, p_value
from mlaas_lab.view import to_html, to_text

METRICS = {"macro_f1": macro_f1.metric, "auc_roc": auc_roc.metric}
CLASSES = ["cat", "dog", "eel"]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("mlaas_lab.stats.aggregates.RESAMPLES", 1000)


def table(metric, answers):
    """Records of `answers`: by target, rows of (group, output, reference)."""
    rows = []
    for target, several in answers.items():
        for i, (group, output, reference) in enumerate(several):
            sample = type("Sample", (), {"reference": reference})
            score = METRICS[metric].score(output, sample)
            rows.append((target, f"s{i}", 0, reference, group, score.value, score.status, score.reason))
    names = ["target", "sample_id", "repeat", "reference", "group", metric, f"{metric}_status", f"{metric}_reason"]
    kinds = dict.fromkeys(names, pl.String) | {metric: pl.Float64, "repeat": pl.Int32}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def labels(group, n, right, seed):
    generator = np.random.default_rng(seed)
    wanted = generator.choice(CLASSES, n, p=[0.6, 0.3, 0.1])
    got = np.where(generator.random(n) < right, wanted, generator.choice([*CLASSES, "newt"], n))
    return [(group, str(g), str(w)) for g, w in zip(got, wanted, strict=True)]


def stated(group, n, shift, seed, digits=2):
    generator = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    scores = np.clip(generator.normal(0.3 + shift * positive, 0.2), 0, 1)
    return [(group, f"{s:.{digits}f}", "yes" if one else "no") for s, one in zip(scores, positive, strict=True)]


def answers(metric, several):
    make = labels if metric == "macro_f1" else stated
    return [row for seed, (group, n, good) in enumerate(several) for row in make(group, n, good, seed)]


def theirs(metric, rows):
    """What scikit-learn makes of rows of (group, output, reference)."""
    _, got, wanted = zip(*rows, strict=True)
    if metric == "macro_f1":
        return f1_score(wanted, got, labels=sorted(set(wanted)), average="macro")
    return roc_auc_score([one == "yes" for one in wanted], [float(one) for one in got])


@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_each_slice_is_sklearns_and_that_of_its_rows_alone(metric, shuffled):
    rows = {name: answers(metric, [("en", 80, 0.6), ("de", 70, 0.4), ("fr", 60, 0.5)]) for name in "ab"}
    rows["b"] = [(group, "0.5" if metric == "auc_roc" and i % 3 == 0 else got, want) for i, (group, got, want) in enumerate(rows["b"])]  # fmt: skip
    frame = table(metric, rows)
    found = sliced(frame.sample(fraction=1, shuffle=True, seed=1) if shuffled else frame)
    for line in found:
        mine = rows[line.target]
        for one in line.slices:
            inside = [row for row in mine if row[0] == one.name]
            outside = [row for row in mine if row[0] != one.name]
            assert one.mean == pytest.approx(theirs(metric, inside))
            assert one.gap == pytest.approx(theirs(metric, inside) - theirs(metric, outside))
            assert (one.n, one.ratio) == (len(inside), None)
            chosen = frame.filter((pl.col("group") == one.name) & (pl.col("target") == line.target))
            (alone,) = summarize(chosen, grouped=False)[0]
            assert (one.mean, one.ci_low, one.ci_high) == pytest.approx((alone.mean, alone.ci_low, alone.ci_high))
        assert line.gap == pytest.approx(line.best.mean - line.worst.mean)


@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
def test_a_slice_that_is_worse_is_found_and_equal_ones_are_noise(metric):
    several = [("en", 150, 0.8), ("de", 150, 0.05), ("fr", 150, 0.8)]
    (found,) = sliced(table(metric, {"a": answers(metric, several)}))
    assert (found.worst.name, found.noise) == ("de", False)
    assert 0 < found.gap_low < found.gap < found.gap_high
    assert not found.worst.noise
    (same,) = sliced(table(metric, {"a": answers(metric, [(name, 100, 0.5) for name in ("en", "de", "fr")])}))
    assert same.noise
    assert all(one.noise for one in same.slices)


def test_a_slice_of_one_class_has_no_area_and_says_why():
    rows = [*stated("en", 60, 0.4, 0), *stated("fr", 60, 0.3, 1), *[("de", "0.9", "yes")] * 12]
    frame = table("auc_roc", {"a": rows})
    (found,) = sliced(frame)
    none = found.slices[2]
    assert (none.name, none.n, none.mean, none.ci_low, none.gap, none.p_value) == ("de", 12, None, None, None, None)
    assert none.reason == "the samples with a score are all of one class"
    assert {found.worst.name, found.best.name} == {"en", "fr"}
    view = slices.panel.build(frame)
    text = to_text(view, width=220)
    assert "no number" in text
    assert "No number: the samples with a score are all of one class (auc_roc of a on de)." in text
    assert "NaN" not in to_html(view)
    said = json.loads(json.dumps(Comparison(frame).as_json()))["slices"][0]["slices"][2]
    assert (said["mean"], said["reason"]) == (None, none.reason)


def test_all_slices_of_one_class_compare_nothing():
    rows = [(group, f"0.{i}", "yes") for group in ("en", "de") for i in range(9)]
    (found,) = sliced(table("auc_roc", {"a": rows}))
    assert (found.best, found.worst, found.gap) == (None, None, None)
    assert [one.mean for one in found.slices] == [None, None]


def test_a_class_that_only_others_have_is_none_of_a_slices():
    """German rows have no eel: a dog taken for one costs the dog's F1, and there is no eel whose F1 would be 0."""
    rows = [
        ("de", "dog", "dog"),
        ("de", "eel", "dog"),
        ("de", "cat", "cat"),
        ("en", "eel", "eel"),
        ("en", "cat", "cat"),
    ]
    (found,) = sliced(table("macro_f1", {"a": rows * 3}))
    assert found.slices[0].mean == pytest.approx((2 / 3 + 1) / 2)


def test_groups_of_one_row_and_of_none_and_samples_without_a_group():
    frame = table("auc_roc", {"a": [*stated("en", 40, 0.3, 0), *stated("fr", 40, 0.3, 1), ("it", "0.5", "yes"), ("es", "?", "yes"), (None, "0.4", "no")]})  # fmt: skip
    (found,) = sliced(frame)
    assert (found.single, found.unscored, found.n_without) == (["it"], ["es"], 1)
    assert found.slices[0].gap == pytest.approx(found.slices[0].mean - found.slices[1].mean)


def test_a_target_that_never_answered_has_no_slices():
    frame = table("macro_f1", {"a": labels("en", 20, 0.9, 0), "b": labels("en", 20, 0.9, 0)})
    lost = pl.col("target") == "b"
    frame = frame.with_columns(macro_f1_status=pl.when(lost).then(pl.lit("timeout")).otherwise("macro_f1_status"))
    found = {line.target: line for line in sliced(frame)}
    assert ([one.n for one in found["a"].slices], found["b"].slices, found["b"].unscored) == ([20], [], ["en"])


def test_repeats_are_no_more_samples():
    once = table("macro_f1", {"a": answers("macro_f1", [("en", 60, 0.7), ("de", 60, 0.4)])})
    twice = pl.concat([once.with_columns(repeat=pl.lit(r, pl.Int32)) for r in range(3)])
    (first,), (again,) = sliced(once), sliced(twice)
    for one, other in zip(first.slices, again.slices, strict=True):
        assert (other.mean, other.n) == (pytest.approx(one.mean), one.n)
        assert other.ci_high - other.ci_low == pytest.approx(one.ci_high - one.ci_low, rel=0.25)


def test_means_and_numbers_of_all_answers_stand_in_the_records_order():
    frame = table("macro_f1", {"a": labels("en", 20, 0.9, 0) + labels("de", 20, 0.9, 1)})
    names = {f"macro_f1{end}": f"accuracy{end}" for end in ("", "_status", "_reason")}
    both = pl.concat([frame, frame.select(pl.col(*names).name.map(names.__getitem__))], how="horizontal")
    assert [line.metric for line in sliced(both)] == ["macro_f1", "accuracy"]


def test_what_is_drawn_for_slices_is_no_more_than_for_all(monkeypatch):
    """All scores differ: of ten slices each draws a tenth."""
    drawn = []
    original = Part.of.__func__

    def noted(cls, found, **more):
        part = original(cls, found, **more)
        drawn.append(sum(map(len, found._cache.values())) * found.n)
        return part

    monkeypatch.setattr(Part, "of", classmethod(noted))
    monkeypatch.setattr("mlaas_lab.stats.aggregates.RESAMPLES", 10_000)
    monkeypatch.setattr("mlaas_lab.stats.aggregates.FEWEST_DRAWS", 10)
    monkeypatch.setattr("mlaas_lab.evaluation.slices.BUDGET", 1_000_000)
    rows = [row for at in range(10) for row in stated(f"g{at}", 60, 0.3, at, digits=9)]
    (found,) = sliced(table("auc_roc", {"a": rows}))
    assert len(found.slices) == 10
    assert len(drawn) == 20
    assert sum(drawn) <= 2_000_000


def test_few_samples_are_not_told_apart():
    tiny = Part(n=FEWEST - 1, value=0.0, low=0.0, high=0.1)
    rest = Part(n=500, value=0.9, low=0.88, high=0.92)
    assert p_value(tiny, rest) is None
    assert p_value(Part(n=FEWEST, value=0.0, low=0.0, high=0.1), rest) < 0.001
    assert gap_limits(tiny, Part(n=0, value=None, low=None, high=None)) == (None, None)


def test_p_and_interval_agree():
    first, second = Part(n=50, value=0.6, low=0.5, high=0.75), Part(n=50, value=0.4, low=0.3, high=0.52)
    low, high = gap_limits(first, second)
    assert (low, high) == pytest.approx((0.2 - np.hypot(0.1, 0.12), 0.2 + np.hypot(0.15, 0.1)))
    at = 1 - p_value(first, second)
    assert gap_limits(first, second, confidence=at)[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
def test_error_rates(metric, monkeypatch):
    """300 tables of four equal slices: how often one is said to differ, or the worst and the best do."""
    monkeypatch.setattr("mlaas_lab.stats.aggregates.RESAMPLES", 500)
    monkeypatch.setattr("mlaas_lab.stats.aggregates.FEWEST_DRAWS", 500)
    make = labels if metric == "macro_f1" else stated
    differs = gaps = 0
    for seed in range(300):
        rows = [row for at in range(4) for row in make(f"g{at}", 60, 0.5, 10 * seed + at)]
        (found,) = sliced(table(metric, {"a": rows}))
        differs += not all(one.noise for one in found.slices)
        gaps += not found.noise
    assert differs <= 25, "5 % of 300, and 2.7 standard errors"
    assert gaps <= 25
