"""Stopping when it is decided: what is alike runs to the end, what differs ends early, and neither is an error."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from loopback import Loopback

from mlaas_lab import records
from mlaas_lab.context import Context
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation import stopping, telling
from mlaas_lab.evaluation.run import run
from mlaas_lab.evaluation.stopping import Rule, judged, n_asked
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.evaluation.verdict import Comparison
from mlaas_lab.gating.measuring import Sides, measure
from mlaas_lab.gating.rules import parse
from mlaas_lab.schema import Decision, Sample
from mlaas_lab.stats.monitoring import bound, monitored
from mlaas_lab.stats.paired import mcnemar
from mlaas_lab.stats.sequential import allowed, looks
from mlaas_lab.store.folder import JobFolder


def compared(a, b, metric="exact_match", names=("a", "b"), **more):
    given = {"higher_is_better": True, **more}
    return Comparison(
        a=names[0], b=names[1], metric=metric, scores_a=np.array(a, float), scores_b=np.array(b, float), **given
    )


def stopped_at(rule, draw):
    """After how many samples an evaluation of `rule` ends, and whether it decided; `draw(n)` are the comparisons."""
    for n in looks(rule.planned):
        found = [one for one in judged(draw(n), rule, n) if one.metric == rule.metric]
        if all(one.verdict is not Decision.UNDECIDED for one in found):
            return n, True
    return rule.planned, False


def share_stopped(gain, runs, rng, *, targets=2, n=300):
    """Shares of evaluations that ended early, and that decided anything; the last target is right `gain` more often."""
    rule = Rule(metric="exact_match", planned=n, comparisons=targets * (targets - 1) // 2)
    early = wrong = 0
    for _ in range(runs):
        hard = rng.random(n)
        scores = [(rng.random(n) * 0.3 + hard * 0.7 < 0.5 + gain * (i == targets - 1)) for i in range(targets)]
        pairs = [(i, j) for i in range(targets) for j in range(i)]
        found: list = []
        for k in looks(n):
            made = [compared(scores[j][:k], scores[i][:k], names=(str(j), str(i))) for i, j in pairs]
            found = [one.verdict for one in judged(made, rule, k)]
            if Decision.UNDECIDED not in found:
                early += k < n
                break
        wrong += set(found) != {Decision.UNDECIDED}
    return early / runs, wrong / runs


class TestDecision:
    @pytest.mark.parametrize("targets", [2, 3])
    def test_what_is_alike_runs_to_the_end(self, targets):
        early, wrong = share_stopped(0.0, 400, np.random.default_rng(11), targets=targets)
        assert early <= 0.05
        assert wrong <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5

    def test_what_differs_ends_early(self):
        early, right = share_stopped(0.2, 100, np.random.default_rng(12))
        assert early >= 0.95
        assert right >= 0.95

    def test_control_looking_with_a_fixed_test_is_wrong_too_often(self):
        rng, wrong = np.random.default_rng(13), 0
        for _ in range(1000):
            a, b = rng.random((2, 300)) < 0.5
            p = [mcnemar(int((a[:n] & ~b[:n]).sum()), int((b[:n] & ~a[:n]).sum())) for n in looks(300)]
            wrong += min(p) < 0.05
        assert wrong / 1000 > 0.08

    def test_always_right_against_always_wrong(self):
        rule = Rule(metric="exact_match", planned=200, comparisons=1)
        assert stopped_at(rule, lambda n: [compared([0] * n, [1] * n)]) == (40, True)
        (found,) = judged([compared([0] * 40, [1] * 40)], rule, 40)
        assert found.verdict is Decision.B_BETTER
        assert 0.5 < found.ci_low < found.ci_high <= 1.1
        assert (found.p_value, found.test, found.n) == (None, "group_sequential", 40)

    def test_every_comparison_must_be_decided(self):
        rule = Rule(metric="exact_match", planned=200, comparisons=3)
        right, wrong = [1] * 200, [0] * 200
        pairs = {("a", "b"): (wrong, right), ("a", "c"): (wrong, right), ("b", "c"): (right, right)}
        draw = lambda n: [compared(x[:n], y[:n], names=names) for names, (x, y) in pairs.items()]  # noqa: E731
        assert stopped_at(rule, draw) == (200, False)

    def test_a_margin_decides_too(self):
        rng = np.random.default_rng(14)
        a = rng.random(1000)
        same = a + rng.normal(0, 0.01, 1000)
        rule = Rule(metric="token_f1", planned=1000, comparisons=1, margin=0.02)
        n, decided = stopped_at(rule, lambda n: [compared(a[:n], same[:n], metric="token_f1")])
        assert (n, decided) == (200, True)
        (found,) = judged([compared(a[:200], same[:200], metric="token_f1")], rule, 200)
        assert found.verdict is Decision.EQUIVALENT

    def test_other_metrics_count_once_the_first_is_decided(self):
        rule = Rule(metric="first", planned=100, comparisons=1)
        won, alike = ([0] * 100, [1] * 100), ([0, 1] * 50, [1, 0] * 50)
        second = compared(*won, metric="second")
        assert judged([second, compared(*won, metric="first")], rule, 100)[0].verdict is Decision.B_BETTER
        late = judged([second, compared(*alike, metric="first")], rule, 100)[0]
        assert (late.verdict, late.reason) == (Decision.UNDECIDED, "it counts only once first is decided")

    def test_after_an_equivalence_the_next_metric_has_no_chance_of_a_false_alarm_to_use(self):
        rule = Rule(metric="first", planned=400, comparisons=1, margin={"first": 0.1})
        same, won = ([0, 1] * 200, [0, 1] * 200), ([0] * 400, [1] * 400)
        found = judged([compared(*same, metric="first"), compared(*won, metric="second")], rule, 400)
        assert [one.verdict for one in found] == [Decision.EQUIVALENT, Decision.UNDECIDED]
        assert found[1].reason == "it counts only where first tells them apart"

    def test_not_worse_whenever_one_stops(self):
        """The interval of the look decides, at whatever look, and one way alone."""
        a, b = [1] * 60 + [0] * 340, [0] * 30 + [1] * 30 + [1] * 35 + [0] * 305
        rule = Rule(metric="exact_match", planned=400, comparisons=1, margin=0.08)
        (late,) = judged([compared(a, b)], rule, 400)
        (early,) = judged([compared(a[::5], b[::5])], rule, 80)
        assert (late.verdict, late.not_worse, late.margin, late.p_not_worse) == (Decision.EQUIVALENT, True, 0.08, None)
        assert (early.verdict, early.not_worse) == (Decision.UNDECIDED, False)
        (lower,) = judged([compared(a, b, higher_is_better=False)], replace(rule, margin=0.05), 400)
        assert lower.not_worse == (lower.ci_high < 0.05)

    def test_lower_may_be_better(self):
        rule = Rule(metric="edit_distance", planned=100, comparisons=1)
        pair = compared([9] * 50 + [7] * 50, [1] * 100, metric="edit_distance", higher_is_better=False)
        assert judged([pair], rule, 100)[0].verdict is Decision.B_BETTER


class TestAnyTime:
    RULE = Rule(metric="exact_match", planned=1000, comparisons=1, any_time=True)

    def test_it_is_the_confidence_sequence(self):
        generator = np.random.default_rng(15)
        a, b = generator.random(400) < 0.5, generator.random(400) < 0.62
        (found,) = judged([compared(a, b)], self.RULE, 400)
        theirs = monitored(b.astype(float) - a, planned=1000)
        assert (found.ci_low, found.ci_high) == (theirs.ci_low, theirs.ci_high)
        assert (found.test, found.p_value) == ("always_valid", None)
        assert found.verdict is (Decision.B_BETTER if theirs.ci_low > 0 else Decision.UNDECIDED)

    def test_any_number_of_samples_may_be_looked_at(self):
        won = [judged([compared([0] * n, [1] * n)], self.RULE, n)[0].verdict for n in range(1, 80)]
        first = won.index(Decision.B_BETTER)
        assert 20 < first < 40
        assert set(won[first:]) == {Decision.B_BETTER}, "no look is the last"

    def test_looks_are_made_where_they_could_decide(self):
        places = stopping.ends(self.RULE, 1000, at_once=8)
        assert (places[1] - places[0], places[-1]) == (8, 1000)
        assert all(bound(n, planned=1000) ** 2 <= n for n in places)
        assert len(stopping.ends(replace(self.RULE, planned=10**5), 10**5, at_once=8)) <= 200
        assert stopping.ends(replace(self.RULE, any_time=False), 1000, at_once=8) == looks(1000)

    def test_the_price_is_what_it_says(self):
        """So many samples more have the power that five looks have, here 80 %."""
        rng, planned = np.random.default_rng(16), 300
        rule = Rule(metric="m", planned=planned, comparisons=1, any_time=True)
        effect, runs, five, watched = 0.164, 400, 0, 0
        for _ in range(runs):
            drawn = rng.normal(effect, 1, planned + rule.more_samples)
            five += any(allowed(i, n, planned, drawn[:n]).decided for i, n in enumerate(looks(planned)))
            watched += monitored(drawn, planned=planned).decided_at is not None
        assert 0.7 < five / runs < 0.9
        assert abs(watched - five) / runs < 4 * (2 * 0.8 * 0.2 / runs) ** 0.5
        assert 100 < rule.more_samples < 300
        assert Rule(metric="m", planned=planned, comparisons=1).more_samples == 0

    def test_before_and_after_it_says_what_it_costs(self):
        (before,) = telling.told(self.RULE, stopping.ends(self.RULE, 1000, at_once=8))
        assert before.startswith("looks after every 8 samples whether exact_match is decided, ")
        more = f"{self.RULE.more_samples:,}"
        (early,) = telling.said(self.RULE, 120, early=True)
        (late,) = telling.said(self.RULE, 1000, early=False)
        assert all(more in line and "five looks" in line for line in (before, early, late))
        assert not list(telling.told(replace(self.RULE, any_time=False), [200]))

    def test_a_rule_of_an_older_record_has_five_looks(self):
        assert Rule(**json.loads('{"metric": "m", "planned": 9, "comparisons": 1, "margin": null}')).any_time is False


class TestRecords:
    def frame(self, run_id="r", n=40, rule=True, better=1.0):
        text = Rule(metric="exact_match", planned=200, comparisons=1).text if rule else None
        rows = [
            {"run_id": run_id, "target": t, "sample_id": str(i), "until_decided": text, "exact_match": score,
             "exact_match_status": "ok", "exact_match_reason": None}
            for t, score in (("a", 0.0), ("b", better)) for i in range(n)
        ]  # fmt: skip
        return pl.DataFrame(rows, schema_overrides={"until_decided": pl.String, "exact_match_reason": pl.String})

    def test_the_records_alone_give_the_same_verdict(self):
        _, (found,) = summarize(self.frame())
        assert (found.test, found.verdict) == ("group_sequential", Decision.B_BETTER)
        _, (fixed,) = summarize(self.frame(rule=False))
        assert fixed.test == "mcnemar"
        assert found.ci_low < fixed.ci_low, "whoever may stop knows less"

    def test_a_gate_says_why_it_cannot_tell(self):
        other = self.frame("s", rule=False)
        sides = Sides(target="b", whole=self.frame("r"), baseline=other.filter(other["target"] == "b"))
        (rule,) = parse("exact_match: lower bound of the difference >= -0.5")
        found = measure(rule, sides)
        assert found.value is None
        assert "says nothing beside another run" in found.trouble

    def test_samples_that_only_one_was_asked_are_no_information(self):
        both = self.frame("r")
        assert n_asked(both) == 40
        assert n_asked(both.filter((pl.col("target") == "b") | (pl.col("sample_id").cast(int) < 7))) == 7

    def test_beside_another_run_nothing_is_decided(self):
        both = pl.concat([self.frame("r"), self.frame("s", rule=False)])
        _, verdicts = summarize(both)
        assert {one.verdict for one in verdicts} == {Decision.UNDECIDED}
        assert {(one.ci_low, one.p_value) for one in verdicts} == {(None, None)}
        assert {one.reason for one in verdicts} == {
            "a run that stopped when it was decided says nothing beside another run"
        }


@pytest.fixture
def evaluated(tmp_path, settings, spec, rows):
    """Runs an evaluation as an attempt of its job; returns the result and the records."""
    opened = []

    def evaluated(targets, pairs, **options):
        folder = JobFolder(tmp_path / "job")
        folder.path.mkdir(exist_ok=True)
        context = Context(folder, settings, job_id="job", name="rows", attempt=1 + len(opened))
        opened.append(context)
        given = {"metrics": ("exact_match", "token_f1"), "until_decided": "first", **options}
        return run(spec(data=rows(pairs), targets=targets, **given), context).result, records.read(folder.records)

    yield evaluated
    for one in opened:
        one._events.close()


PAIRS = [(f"say {i}", f"say {i}") for i in range(100)]


class TestEvaluation:
    def test_a_clear_difference_ends_early(self, evaluated, tmp_path):
        with Loopback(reply=lambda body: "no") as server:
            bad = f"openai/m?base_url={server.base_url}"
            found, frame = evaluated(("echo/a", bad), PAIRS, repeats=2)
            assert len(server.requests) == 80
        assert found["until_decided"] == {
            "metric": "exact_match", "planned": 100, "comparisons": 1, "margin": None, "any_time": False, "asked": 40, "early": True
        }  # fmt: skip
        assert len(frame) == 2 * 40 * 2
        assert frame["error"].null_count() == len(frame), "what was not needed is no record, and no error"
        assert {(line["n"], line["n_error"]) for line in found["summary"]} == {(40, 0)}
        assert [one["verdict"] for one in found["verdicts"]] == ["a_better", "a_better"]
        assert {one["test"] for one in found["verdicts"]} == {"group_sequential"}
        assert found["notes"] == [
            "decided after 40 of 100 samples; the estimate of a stopped test is too large on average"
        ]
        _, verdicts = summarize(frame)
        assert [str(one.verdict) for one in verdicts] == ["a_better", "a_better"], "the records alone say the same"
        assert [one.ci_low for one in verdicts] == [one["ci_low"] for one in found["verdicts"]]
        lines = [line for _, line in JobFolder(tmp_path / "job").events_from() if line["event"] == "progress"]
        assert (lines[-1]["n"], lines[-1]["total"], lines[-1]["phase"]) == (160, 160, "scoring")

    def test_at_any_time_it_ends_earlier_still(self, evaluated):
        with Loopback(reply=lambda body: "no") as server:
            bad = f"openai/m?base_url={server.base_url}"
            found, frame = evaluated(("echo/a", bad), PAIRS, any_time=True, concurrency=2)
            asked = found["until_decided"]["asked"]
            assert len(server.requests) == asked < 20
        assert (found["until_decided"]["early"], found["until_decided"]["any_time"]) == (True, True)
        assert found["until_decided"]["more_samples"] > 30
        assert [one["verdict"] for one in found["verdicts"]] == ["a_better", "a_better"]
        _, verdicts = summarize(frame)
        assert {one.test for one in verdicts} == {"always_valid"}
        assert [one.ci_low for one in verdicts] == [one["ci_low"] for one in found["verdicts"]]

    def test_what_is_alike_is_asked_in_full(self, evaluated):
        found, frame = evaluated(("echo/a", "echo/b"), PAIRS)
        assert len(frame) == 200
        assert (found["until_decided"]["asked"], found["until_decided"]["early"]) == (100, False)
        assert found["notes"] == ["all 100 samples were asked: exact_match was not decided before"]

    def test_what_was_there_beyond_the_stop_is_left_out(self, evaluated):
        """An earlier attempt asked everything; the looks see the first blocks only, and so does the result."""
        with Loopback(reply=lambda body: "no") as server:
            bad = f"openai/m?base_url={server.base_url}"
            evaluated(("echo/a", bad), PAIRS, until_decided=None)
            found, frame = evaluated(("echo/a", bad), PAIRS)
        assert (found["asked"], found["kept"]) == (0, 200)
        assert len(frame) == 80

    def test_a_cap_ends_it_too(self, evaluated):
        found, frame = evaluated(("echo/a", "echo/b"), PAIRS, max_usd=1)
        assert found["cap_usd"] == 1
        assert len(frame) == 200

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"metrics": ("many",)}, "many is known only when all answers are there"),
            ({"metrics": ("length_words",)}, "nothing says which way is better by length_words"),
            ({"targets": ("echo/a",)}, "compares targets, and there is one"),
            ({"until_decided": "rouge_l"}, "'rouge_l' is not one of the metrics: exact_match, token_f1"),
        ],
    )
    def test_what_cannot_be_looked_at_is_refused(self, evaluated, metric, options, said):
        metric("many", score_many=lambda outputs, samples: [1.0] * len(outputs))
        targets = options.pop("targets", ("echo/a", "echo/b"))
        with pytest.raises(UsageError) as caught:
            evaluated(targets, PAIRS[:5], **options)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_drawn_groups_are_refused(self):
        from mlaas_lab import registry

        metrics = {"exact_match": registry.load("metric", "exact_match")}
        samples = [Sample(id=str(i), messages=(), group=f"user {i // 3}") for i in range(90)]
        with pytest.raises(UsageError, match="groups that look drawn"):
            stopping.planned("exact_match", metrics, samples, targets=2)
        assert stopping.planned("exact_match", metrics, samples, targets=2, grouped=False).planned == 90
        kinds = [Sample(id=str(i), messages=(), group="de" if i % 2 else "en") for i in range(90)]
        assert stopping.planned("exact_match", metrics, kinds, targets=2).planned == 90
        with pytest.raises(UsageError, match=r"depend on each other \(--grouped yes\)"):
            stopping.planned("exact_match", metrics, kinds, targets=2, grouped=True)


def test_the_flag_alone_means_the_first_metric(spec):
    from mlaas_lab.spec import read
    from mlaas_lab.tasks.eval import Eval

    words = ["--data", "x", "--targets", "echo/a,echo/b", "--metrics", "token_f1,regex?pattern=a"]
    assert read(Eval, [*words, "--until-decided"]).until_decided == "token_f1"
    assert read(Eval, ["--until-decided", *words]).until_decided == "token_f1"
    assert read(Eval, [*words, "--until-decided", "regex"]).until_decided == "regex?pattern=a"
    assert read(Eval, words).until_decided is None
    assert read(Eval, [*words, "--until-decided", "--any-time"]).any_time
    with pytest.raises(UsageError, match="needs --until-decided"):
        read(Eval, [*words, "--any-time"])
    assert read(Eval, words, given={"until_decided": True}).until_decided == "token_f1"
    assert json.loads(read(Eval, [*words, "--until-decided"]).model_dump_json())["until_decided"] == "token_f1"
