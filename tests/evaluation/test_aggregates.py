"""Macro F1 and the area under a ROC curve, from an answer's text to the verdict: against scikit-learn and by hand."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from mlaas_lab import registry
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.evaluation.aggregating import is_aggregate
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.run import run
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.records import read
from mlaas_lab.schema import Decision, Message, Sample, Score, ScoreStatus

ASK = (Message(role="user", content="?"),)
CLASSES = ["cat", "dog", "eel"]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr("mlaas_lab.stats.aggregates.RESAMPLES", 1000)


def scored(metric, output, reference):
    found = registry.configured("metric", metric).score(output, Sample(id="1", messages=ASK, reference=reference))
    assert isinstance(found, Score)
    return found


def table(metric, answers, *, groups=None, repeats=1):
    """Records of `answers`: by target, rows of (output, reference); a target's n-th repeat of a sample is the next row."""
    rows = []
    for target, several in answers.items():
        for i, (output, reference) in enumerate(several):
            score = scored(metric, output, reference)
            at = i // repeats
            group = None if groups is None else f"g{groups[at]}"
            rows.append((target, f"s{at}", i % repeats, reference, group, score.value, score.status, score.reason))
    names = ["target", "sample_id", "repeat", "reference", "group", metric, f"{metric}_status", f"{metric}_reason"]
    kinds = dict.fromkeys(names, pl.String) | {metric: pl.Float64, "repeat": pl.Int32}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def labels(n, right, seed=0):
    """References and answers, some of which name a class that is none."""
    generator = np.random.default_rng(seed)
    wanted = generator.choice(CLASSES, n, p=[0.7, 0.2, 0.1])
    got = np.where(generator.random(n) < right, wanted, generator.choice([*CLASSES, "newt"], n))
    return [(str(g), str(w)) for g, w in zip(got, wanted, strict=True)]


def stated(n, shift, seed=0):
    generator = np.random.default_rng(seed)
    positive = np.arange(n) % 3 == 0
    scores = np.clip(generator.normal(0.4 + shift * positive, 0.2), 0, 1)
    return [(f"{score:.2f}", "yes" if one else "no") for score, one in zip(scores, positive, strict=True)]


class TestMacroF1:
    @pytest.mark.parametrize("seed", range(5))
    def test_it_is_sklearns(self, seed):
        answers = labels(60, 0.6, seed)
        (line,) = summarize(table("macro_f1", {"a": answers}))[0]
        got, wanted = zip(*answers, strict=True)
        assert line.mean == pytest.approx(f1_score(wanted, got, labels=sorted(set(wanted)), average="macro"))
        assert line.ci_low < line.mean < line.ci_high
        assert (line.n, line.n_error, line.spread) == (60, 0, None)

    def test_by_hand(self):
        """cat: 2 of 3 found, nothing else taken for it, 0.8; dog: 1 of 1, and one cat taken for it, 2/3."""
        answers = [("Cat.", "cat"), ("cat", "cat"), ("dog", "cat"), ("**dog**", "dog")]
        (line,) = summarize(table("macro_f1", {"a": answers}))[0]
        assert line.mean == pytest.approx((0.8 + 2 / 3) / 2)

    def test_it_is_not_the_mean_of_its_column(self):
        frame = table("macro_f1", {"a": [("cat", "cat")] * 9 + [("cat", "dog")]})
        assert frame["macro_f1"].mean() == 0.9
        (line,) = summarize(frame)[0]
        assert line.mean == pytest.approx(f1_score(["c"] * 9 + ["d"], ["c"] * 10, average="macro"))

    def test_a_record_says_which_label_was_taken_for_which(self):
        found = scored("macro_f1", "I think → a dog", "card_arrival")
        assert (found.value, found.reason) == (0.0, "card arrival → i think -> a dog")

    def test_labels_that_are_none(self):
        assert scored("macro_f1?labels=cat/dog", "newt", "cat").value == 0.0
        assert scored("macro_f1?labels=cat/dog", "cat", "newt").status is ScoreStatus.NOT_APPLICABLE
        with pytest.raises(UsageError, match="at least two"):
            registry.configured("metric", "macro_f1?labels=cat")

    def test_options_keep_the_number(self):
        answers = labels(50, 0.7)
        plain, chosen = (table(name, {"a": answers}) for name in ("macro_f1", "macro_f1?labels=cat/dog/eel"))
        assert summarize(plain)[0][0].mean == summarize(chosen)[0][0].mean

    def test_a_verdict(self):
        (found,) = summarize(table("macro_f1", {"a": labels(120, 0.5), "b": labels(120, 0.9)}))[1]
        assert (found.verdict, found.test, found.n) == (Decision.B_BETTER, "exchange", 120)
        assert 0 < found.ci_low < found.difference < found.ci_high
        summary, _ = summarize(table("macro_f1", {"a": labels(120, 0.5), "b": labels(120, 0.9)}))
        assert found.difference == pytest.approx(summary[1].mean - summary[0].mean)

    def test_accuracy_may_fall_while_it_rises(self):
        """b finds the rare class at the price of frequent ones: what decides is the number that was asked for."""
        wanted = ["cat"] * 180 + ["dog"] * 20
        a = [("cat", name) for name in wanted]
        b = [("dog" if i % 8 == 0 else "cat", name) for i, name in enumerate(wanted[:180])] + [("dog", "dog")] * 20
        for metric, better in (("accuracy", None), ("macro_f1", Decision.B_BETTER)):
            rows = table("macro_f1", {"a": a, "b": b})
            rows = rows.rename({name: name.replace("macro_f1", metric) for name in rows.columns})
            (found,) = summarize(rows)[1]
            assert (found.verdict == better) if better else found.verdict != Decision.B_BETTER

    def test_undecided_says_how_many_more(self):
        wanted = [w for _, w in labels(40, 0.6)]
        worse = [(w if i % 3 else "newt", w) for i, w in enumerate(wanted)]
        better = [(w if i % 4 else "newt", w) for i, w in enumerate(wanted)]
        (found,) = summarize(table("macro_f1", {"a": worse, "b": better}))[1]
        assert found.verdict is Decision.UNDECIDED
        assert found.more_samples > 40
        assert found.reason.startswith("p = ")


class TestAUC:
    @pytest.mark.parametrize("seed", range(5))
    def test_it_is_sklearns_ties_included(self, seed):
        answers = stated(80, 0.15, seed)
        (line,) = summarize(table("auc_roc", {"a": answers}))[0]
        wanted = [reference == "yes" for _, reference in answers]
        assert line.mean == pytest.approx(roc_auc_score(wanted, [float(output) for output, _ in answers]))
        assert line.ci_low < line.mean < line.ci_high

    def test_by_hand(self):
        """Of four pairs two are in order, one is tied: 2.5 of 4."""
        answers = [("0.9", "yes"), ("0.4", "yes"), ("0.4", "no"), ("0.6", "no")]
        (line,) = summarize(table("auc_roc", {"a": answers}))[0]
        assert line.mean == pytest.approx(2.5 / 4)

    @pytest.mark.parametrize(
        ("output", "value"),
        [
            ("0.85", 0.85),
            (" .85\n", 0.85),
            ("I say 85 %.", 0.85),
            ("Probability: 85%", 0.85),
            ("yes", 1.0),
            ("**No.**", 0.0),
            ("1", 1.0),
            ("0.3\nbecause 3 of 4 signs are missing", 0.3),
            ("100 %", 1.0),
        ],
    )
    def test_what_an_answer_states(self, output, value):
        assert scored("auc_roc", output, "yes").value == pytest.approx(value)
        assert scored("auc_roc", output, "no").value == pytest.approx(1 - value)

    @pytest.mark.parametrize(
        "output", ["", "perhaps", "85", "-0.5", "0,85", "0.2 or 0.8", "101 %", "1e-3", "12345", "0-1", "1/2", "v0.5x"]
    )
    def test_what_states_no_score_has_none(self, output):
        found = scored("auc_roc", output, "yes")
        assert (found.value, found.status) == (None, ScoreStatus.NOT_APPLICABLE)
        assert found.reason.startswith("the answer states ")

    def test_another_scale_and_other_classes(self):
        assert scored("auc_roc?highest=10", "7", "yes").value == pytest.approx(0.7)
        assert scored("auc_roc?highest=10", "1", "yes").value == pytest.approx(0.1)
        assert scored("auc_roc?positive=spam", "0.9", "Spam").value == pytest.approx(0.9)
        assert scored("auc_roc?positive=spam", "0.9", "ham").value == pytest.approx(0.1)
        with pytest.raises(UsageError, match="expected more than 0"):
            registry.configured("metric", "auc_roc?highest=0")

    def test_one_class_has_no_area(self):
        frame = table("auc_roc", {name: [("0.9", "yes"), ("0.2", "yes")] * 5 for name in "ab"})
        summary, (verdict,) = summarize(frame)
        assert [(line.mean, line.ci_low, line.n, line.reason) for line in summary] == [
            (None, None, 10, "the samples with a score are all of one class")
        ] * 2
        assert (verdict.verdict, verdict.difference, verdict.p_value) == (Decision.UNDECIDED, None, None)
        assert verdict.reason == "the samples with a score are all of one class"

    def test_a_verdict(self):
        (found,) = summarize(table("auc_roc", {"a": stated(150, 0.05), "b": stated(150, 0.4)}))[1]
        assert (found.verdict, found.test) == (Decision.B_BETTER, "exchange")
        assert 0 < found.ci_low < found.difference < found.ci_high

    def test_a_monotone_change_of_scores_is_no_difference(self):
        """Half of every score ranks as the score does: the area is the same, and nothing is decided."""
        answers = stated(60, 0.2)
        halved = [(f"{float(output) / 2:.3f}", reference) for output, reference in answers]
        (found,) = summarize(table("auc_roc", {"a": answers, "b": halved}))[1]
        assert (found.difference, found.verdict) == (0.0, Decision.UNDECIDED)


def test_groups_widen_the_interval():
    """Twenty documents of six samples, of which each is all right or all wrong."""
    answers = [("cat" if i // 6 % 3 else "dog", "cat" if i % 2 else "dog") for i in range(120)]
    answers = [(reference if i // 6 % 3 else "newt", reference) for i, (_, reference) in enumerate(answers)]
    groups = [i // 6 for i in range(120)]
    (alone,), (grouped,) = (summarize(table("macro_f1", {"a": answers}, groups=g))[0] for g in (None, groups))
    assert (alone.mean, alone.n_groups, grouped.n_groups) == (grouped.mean, None, 20)
    assert grouped.ci_high - grouped.ci_low > 1.5 * (alone.ci_high - alone.ci_low)


def test_repeats_are_no_more_samples():
    once = labels(40, 0.6)
    (line,) = summarize(table("macro_f1", {"a": once}))[0]
    thrice = [row for row in once for _ in range(3)]
    (more,) = summarize(table("macro_f1", {"a": thrice}, repeats=3))[0]
    assert (more.mean, more.n) == (pytest.approx(line.mean), 40)
    assert more.ci_high - more.ci_low == pytest.approx(line.ci_high - line.ci_low, rel=0.2)


def test_answers_without_a_score_are_counted():
    frame = table("auc_roc", {"a": [*stated(30, 0.2), ("perhaps", "yes")]})
    (line,) = summarize(frame)[0]
    assert (line.n, line.n_error) == (30, 1)


@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
def test_the_order_of_rows_does_not_matter(metric):
    answers = {name: stated(60, 0.2, seed) if metric == "auc_roc" else labels(60, 0.7, seed) for seed, name in enumerate("ab")}  # fmt: skip
    answers["b"] = [(output, reference) for (output, _), (_, reference) in zip(answers["b"], answers["a"], strict=True)]
    frame = table(metric, answers)
    other = frame.sample(fraction=1, shuffle=True, seed=3).sort("target", maintain_order=True)
    (found, verdict), (again, same) = ((line[0], v[0]) for line, v in (summarize(frame), summarize(other)))
    assert (again.mean, again.n) == (found.mean, found.n)
    assert (same.difference, same.n) == (verdict.difference, verdict.n)
    assert same.p_value == pytest.approx(verdict.p_value, abs=0.06)


@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
def test_nobody_answered(metric):
    frame = table(metric, {name: [("0.5", "yes")] * 4 for name in "ab"})
    nothing = frame.with_columns(pl.lit(None, pl.Float64).alias(metric), pl.lit("timeout").alias(f"{metric}_status"))
    summary, (verdict,) = summarize(nothing)
    assert [(line.mean, line.n, line.n_error) for line in summary] == [(None, 0, 4)] * 2
    assert (verdict.n, verdict.reason) == (0, "no sample has a score from both")
    half = frame.with_columns(pl.when(pl.col("target") == "a").then(pl.col(metric)).alias(metric))
    (first, second), (verdict,) = summarize(half)
    assert (first.n, second.n, second.mean, verdict.n) == (4, 0, None, 0)


def test_which_metrics_are_of_all_answers():
    names = {name for name in registry.names("metric") if is_aggregate(name)}
    assert names >= {"macro_f1", "auc_roc"}
    assert not names & {"accuracy", "exact_match"}
    assert not is_aggregate("from_elsewhere")


def test_from_data_to_mlflow(rows, context, spec):
    data = rows([("yes" if i % 3 else "no", "yes" if i % 4 else "no") for i in range(48)])
    outcome = run(spec(data=data, targets="echo/a,echo/b", metrics="macro_f1,auc_roc,accuracy"), context)
    means = {(line["target"], line["metric"]): line["mean"] for line in outcome.result["summary"]}
    wanted, got = zip(*[(bool(i % 4), bool(i % 3)) for i in range(48)], strict=True)
    assert means["echo/a", "macro_f1"] == pytest.approx(f1_score(wanted, got, average="macro"))
    assert means["echo/a", "auc_roc"] == pytest.approx(roc_auc_score(wanted, got))
    assert outcome.metrics["macro_f1.echo_a"] == means["echo/a", "macro_f1"]
    assert outcome.metrics["auc_roc.echo_a_n"] == 48
    assert {found["test"] for found in outcome.result["verdicts"]} == {"none"}, "both echo: no pair differs"
    assert read(context.folder.records)["auc_roc_reason"].n_unique() == 2


def test_the_spread_of_repeats_reaches_mlflow(rows, context, spec):
    data = rows([("yes", "yes"), ("no", "yes")])
    found = run(spec(data=data, targets="echo/a", metrics="exact_match,macro_f1", repeats=2), context).metrics
    assert found["exact_match.echo_a_spread"] == 0.0, "an echo says the same again"
    assert "macro_f1.echo_a_spread" not in found


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("a", "yes"), ("b", "yes")], "all 2 references are positive"),
        ([("a", "yes"), ("b", "cat")], "1 references are neither yes nor no, as 'cat'"),
    ],
)
def test_references_of_one_class_are_said_before_anybody_is_asked(rows, settings, spec, pairs, says):
    with pytest.raises(DataError, match=says):
        prepare(spec(data=rows(pairs), targets="echo/a", metrics="auc_roc"), settings)


@pytest.mark.long
@pytest.mark.parametrize("metric", ["macro_f1", "auc_roc"])
def test_error_rates(metric, monkeypatch):
    """1,000 pairs of equal systems on 60 samples: false alarms, and how often intervals hold the truth."""
    monkeypatch.setattr("mlaas_lab.stats.aggregates.RESAMPLES", 500)
    monkeypatch.setattr("mlaas_lab.stats.aggregates.FEWEST_DRAWS", 500)
    make = {"macro_f1": lambda n, seed: labels(n, 0.7, seed), "auc_roc": lambda n, seed: stated(n, 0.15, seed)}[metric]
    (truth,) = summarize(table(metric, {"a": make(40_000, 0)}))[0]
    alarms, held, none = 0, 0, 0
    for seed in range(1, 1001):
        a, b = make(60, seed), make(60, seed + 5000)
        if metric == "macro_f1":
            # The same references, answered anew.
            generator = np.random.default_rng(seed + 5000)
            b = [(w if generator.random() < 0.7 else str(generator.choice([*CLASSES, "newt"])), w) for _, w in a]
        (line, _), (verdict,) = summarize(table(metric, {"a": a, "b": b}), seed=seed)
        alarms += verdict.p_value is not None and verdict.p_value < 0.05
        held += line.ci_low <= truth.mean <= line.ci_high
        none += verdict.ci_low <= 0 <= verdict.ci_high
    assert alarms <= 69, "5 % of 1,000, and 2.8 standard errors"
    assert held >= 930
    assert none >= 930
