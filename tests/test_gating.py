"""Rules over records: the grammar, each kind of rule with numbers computed by hand, and what cannot be decided."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_records import frame_of, record

from mlaas_lab.errors import UsageError
from mlaas_lab.gating import About, Rule, check, measuring, parse
from mlaas_lab.gating.regions import AREAS
from mlaas_lab.gating.rules import OF_METRIC, OF_TARGET
from mlaas_lab.schema import Attempt
from mlaas_lab.stats.intervals import wilson
from mlaas_lab.stats.paired import difference_limits

PIECES = [
    "exact_match",
    "p99_s",
    "errors",
    "unpriced",
    "n",
    "region",
    "in",
    "EU",
    "mean",
    "lower bound",
    "of the difference",
]
PIECES += [
    ":",
    ";",
    "|",
    ">=",
    "<=",
    "≥",
    "≤",
    "=",
    "-0.01",
    "5",
    "%",
    "#",
    "\n",
    " ",
    ",",
    "nan",
    "1e999",
    "−1",
    "eu-west-1",
]


@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=9).map(" ".join))
def test_any_text_is_rules_or_one_line(text):
    rules, said = [], "rule line 1"
    try:
        rules = parse(text)
    except UsageError as error:
        said = str(error)
    assert said.isprintable()
    assert said.startswith("rule line ")
    for rule in rules:
        (again,) = parse(rule.text)
        assert again == replace(rule, line=1, target=None)
        assert rule.limit is None or abs(rule.limit) < float("inf")


def test_every_quantity_has_a_measure():
    assert set(measuring.MEASURES) == {*OF_METRIC, *OF_TARGET, "region"}


def test_rules_as_people_write_them():
    text = (
        "exact_match: lower bound of the difference ≥ −0.01; p99_s ≤ 2   # seconds\n\n# all:\nnew | region in EU, CH\n"
    )
    assert parse(text) == [
        Rule(
            text="exact_match: lower bound of the difference ≥ -0.01",
            line=1,
            quantity="lower bound of the difference",
            metric="exact_match",
            sign=">=",
            limit=-0.01,
        ),
        Rule(text="p99_s ≤ 2", line=1, quantity="p99_s", sign="<=", limit=2.0),
        Rule(text="region in EU, CH", line=4, quantity="region", target="new", places=("EU", "CH")),
    ]
    assert parse("errors <= 0.1 %; a: Mean >= 90 %; errors = 0; unpriced == 0")[0].limit == 0.001
    (rule,) = parse("openai/m?base_url=http://127.0.0.1:8/v1 | n >= 5")
    assert (rule.target, rule.limit) == ("openai/m?base_url=http://127.0.0.1:8/v1", 5.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n\np98_s <= 2", "rule line 3, 'p98_s <= 2': unknown quantity 'p98_s'. Did you mean 'p99_s'"),
        ("a: lowr bound >= 1", "unknown quantity 'lowr bound'. Did you mean 'lower bound'"),
        ("exact_match >= 0.9", "what of exact_match? Write `exact_match: mean`"),
        ("p99_s >= 2", "p99_s is compared by <=, not by >="),
        ("p99_s <= fast", "'fast' is not a number"),
        ("p99_s <= nan", "'nan' is not a number"),
        ("p99_s <= 1e999", "is too large"),
        ("p99_s <= 5 %", "p99_s takes no %"),
        ("a: lower bound of the difference >= ", "'' is not a number"),
        ("errors <= 5", "errors are a share of the calls. Write `errors <= 5 %`."),
        ("make it good", "it compares nothing with a number. Write it as"),
        ("p99_s <= 2 <= 3", "it compares nothing with a number"),
        ("| n >= 1", "no target stands before |"),
        (": mean >= 1", "no metric stands before the colon"),
        ("region in EUU", "unknown area 'EUU'. Did you mean 'EU'"),
        ("region in eu-west-1 eu-west-3", "Put a comma between regions."),
        ("region in ,", "no region is named"),
    ],
)
def test_wrong_rules_name_their_line_and_the_nearest_words(text, said):
    with pytest.raises(UsageError) as raised:
        parse(text)
    assert said in str(raised.value)
    assert raised.value.exit_code == 2


def test_areas_do_not_overlap_where_borders_are():
    assert {"eu-west-2", "eu-central-2", "europe-west2", "europe-west6", "eu-gb"}.isdisjoint(AREAS["EU"])
    for one, other in (("EU", "UK"), ("EU", "CH"), ("EU", "US"), ("EEA", "UK"), ("EEA", "CH")):
        assert not AREAS[one] & AREAS[other]
    assert AREAS["EU"] < AREAS["EEA"]


# From here on rules meet records.


@pytest.fixture
def frame(tmp_path):
    return lambda several, **more: frame_of(tmp_path / "r.parquet", several, **more)


def answers(target="m", *, n=40, right=30, usd="0.003", **more):
    return [record(target, i, "yes" if i < right else "no", "yes", usd=usd, **more) for i in range(n)]


def hold(text, run, baseline=None, **about):
    (found,) = check(parse(text), run, baseline, About(**about))
    return found


LOW, HIGH = wilson(30, 40)


@pytest.mark.parametrize(
    ("text", "ok"),
    [
        ("exact_match: mean >= 0.75", True),
        ("exact_match: mean >= 0.76", False),
        ("exact_match: mean <= 75 %", True),
        ("exact_match: mean <= 74 %", False),
        (f"exact_match: lower bound >= {LOW - 1e-6:.9f}", True),
        (f"exact_match: lower bound >= {LOW + 1e-6:.9f}", False),
        (f"exact_match: upper bound <= {HIGH + 1e-6:.9f}", True),
        (f"exact_match: upper bound <= {HIGH - 1e-6:.9f}", False),
        ("usd_per_1k <= 3", True),
        ("usd_per_1k <= 2.999", False),
        ("usd_per_success <= 0.004", True),
        ("usd_per_success <= 0.0039", False),
        ("exact_match: usd_per_success <= 0.004", True),
        ("token_f1: usd_per_success <= 0.004", False),
        ("unpriced = 0", True),
        ("errors = 0", True),
        ("n >= 40", True),
        ("n >= 41", False),
        ("exact_mach: mean >= 0", False),
    ],
)
def test_each_rule_passes_and_fails_by_the_number(frame, text, ok):
    found = hold(text, frame(answers()))
    assert found.ok is ok
    assert bool(found.reason) is not ok
    assert "\n" not in found.line()
    assert found.line().startswith("passed  m | " if ok else "FAILED  m | ")


def test_bounds_of_a_difference_are_those_of_the_verdict(frame):
    old, new = frame(answers(right=30)), frame(answers(right=34))
    scores_a, scores_b = (np.array([i < right for i in range(40)], float) for right in (30, 34))
    low, high = difference_limits(scores_b - scores_a, share=True, seed=7)
    for bound, sign, edge, step in (("lower", ">=", low, -1e-9), ("upper", "<=", high, 1e-9)):
        rule = f"exact_match: {bound} bound of the difference {sign}"
        assert hold(f"{rule} {edge + step:.12f}", new, old, seed=7).ok
        missed = hold(f"{rule} {edge - 10 * step:.12f}", new, old, seed=7)
        assert not missed.ok
        assert missed.value == edge
        assert f"{bound} bound of the difference is {edge:.6g}, not {sign}" in missed.reason
    assert hold("exact_match: difference >= 0.1", new, old).ok
    assert hold("exact_match: mean of the difference <= 0.1", new, old).ok
    assert not hold("exact_match: difference >= 0.11", new, old).ok
    assert hold("exact_match: difference <= -0.1", old, new).ok, "the run less the baseline, never the other way"


def test_percentiles_need_enough_requests(frame):
    many = frame([record("m", i, "yes", "yes", latency_s=(i + 1) / 100, stream=True) for i in range(400)])
    assert hold("p50_s <= 2.006", many).ok
    assert not hold("p50_s <= 2.004", many).ok
    assert hold("p99_s <= 3.97", many).ok
    assert not hold("p99_s <= 3.95", many).ok
    assert hold("ttft_p99_s <= 1", many).ok
    few = frame([record("m", i, "yes", "yes", latency_s=0.01) for i in range(50)])
    found = hold("p99_s <= 60", few)
    assert (found.ok, found.value) == (False, None)
    assert found.reason == "too few: 50 answers cannot bound a p99 from above"
    assert hold("p50_s <= 0.02", few).ok
    assert hold("ttft_p50_s <= 60", few).reason == "no answer was streamed"


def test_an_unknown_price_passes_no_rule_about_money(frame):
    run = frame([*answers(), record("m", 40, "yes", "yes")])
    for text in ("usd_per_1k <= 1000", "usd_per_success <= 1000", "unpriced = 0"):
        assert not hold(text, run).ok
    assert hold("usd_per_1k <= 1000", run).reason == "1 of 41 calls have an unknown cost"
    assert "at least $" in hold("usd_per_1k <= 1000", run).said
    assert hold("unpriced <= 1", run).ok
    assert hold("usd_per_1k <= 1", frame(answers(usd=None))).reason == "nothing here has a price"


def test_errors_are_a_share_of_all_calls(frame):
    several = answers(n=38) + [record("m", 38 + i, "", "yes", error="overloaded") for i in range(2)]
    assert hold("errors <= 5 %", frame(several)).ok
    found = hold("errors <= 4.9 %", frame(several))
    assert not found.ok
    assert found.said == "2 of 40 calls (5 %) failed: overloaded"
    assert not hold("errors = 0", frame(several)).ok


def placed(*regions, provider="sagemaker"):
    return [replace(record("m", i, "yes", "yes"), provider=provider, region=region) for i, region in enumerate(regions)]


@pytest.mark.parametrize(
    ("text", "regions", "ok"),
    [
        ("region in EU", ["eu-central-1", "eu-west-1"], True),
        ("region in EU", ["eu-central-1", "us-east-1"], False),
        ("region in EU, US", ["eu-central-1", "us-east-1"], True),
        ("region in EU", ["eu-west-2"], False),
        ("region in UK", ["eu-west-2"], True),
        ("region in eu-west-2, eu-west-1", ["eu-west-2"], True),
        ("region in eu-west-1", ["eu-west-2"], False),
        ("region in EU", ["eu-central-1", None], False),
        ("region in EU", ["atlantis"], False),
    ],
)
def test_regions(frame, text, regions, ok):
    assert hold(text, frame(placed(*regions))).ok is ok


def test_a_region_that_the_vendor_does_not_have_is_doubted(frame):
    assert hold("region in EU", frame(placed("eu-west-1"))).ok
    found = hold("region in EU", frame(placed("eu-west-1", provider="pai_eas")))
    assert found.reason == "eu-west-1 is none of pai_eas's regions"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("token_f1: mean >= 0", "these records have no metric 'token_f1'. They have exact_match"),
        ("exact_mach: mean >= 0", "these records have no metric 'exact_mach'. Did you mean 'exact_match'?"),
        ("exact_match: difference >= -1", "no baseline was given"),
        ("usd_per_1k <= 9", "these records have no cost_usd"),
        ("unpriced = 0", "these records have no cost_usd"),
        ("p50_s <= 9", "these records have no latency_s"),
        ("region in EU", "these records have no region"),
    ],
)
def test_what_the_records_do_not_hold_fails_with_its_reason(frame, text, reason):
    bare = frame(answers()).drop("cost_usd", "latency_s", "region")
    found = hold(text, bare)
    assert (found.ok, found.value, found.reason) == (False, None, reason)


def test_too_few_pairs_decide_nothing(frame):
    few = frame(answers(n=5, right=5))
    assert not hold("exact_match: mean >= 0", few).ok
    found = hold("exact_match: lower bound of the difference >= -1", few, few)
    assert found.reason == "5 samples have a score from both, and fewer than 6 cannot tell"
    apart = frame([record("m", 100 + i, "yes", "yes") for i in range(40)])
    assert not hold("exact_match: difference >= -1", apart, frame(answers())).ok


def test_control_a_gate_that_took_what_it_finds_would_pass(frame, monkeypatch):
    few = frame(answers(n=5, right=5))
    monkeypatch.setattr(measuring, "FEWEST_PAIRS", 0)
    assert hold("exact_match: lower bound of the difference >= -1", few, few).ok


def test_a_target_that_never_answered_passes_nothing_about_it(frame):
    run = frame(
        [
            replace(
                record("m", i, "", "yes", error="overloaded"),
                attempts=(Attempt(started_at=1, ended_at=2, error="overloaded"),),
            )
            for i in range(9)
        ]
    )
    for text in (
        "exact_match: mean >= 0",
        "p50_s <= 9",
        "usd_per_1k <= 9",
        "usd_per_success <= 9",
        "n >= 1",
        "unpriced = 0",
    ):
        found = hold(text, run)
        assert not found.ok, text
        assert found.reason
    assert not hold("errors <= 99 %", run).ok


def test_whom_a_rule_is_about(frame):
    run = frame([*answers("x"), *answers("new", right=20), *answers("old")])
    baseline = frame([*answers("old"), *answers("new")])
    assert hold("n >= 1", run, baseline).target == "new", "the first of the run that both have"
    assert hold("n >= 1", run).target == "x"
    assert hold("old | n >= 1", run, baseline).target == "old"
    assert hold("n >= 1", run, baseline, target="old").target == "old"
    assert hold("exact_match: difference >= -0.1", run, baseline, target="new", against="old").ok is False
    assert hold("exact_match: difference >= -0.25", run, baseline, target="new", against="old").ok
    assert hold("x | exact_match: difference >= -1", run, baseline).reason == "the baseline has no target 'x'"


@pytest.mark.parametrize("flag", ["emulated", "unchecked"])
def test_a_rule_says_on_what_its_numbers_stand(frame, flag):
    run = frame([*answers("a"), *answers("b")]).with_columns((pl.col("target") == "b").alias(flag))
    assert [hold(f"{name} | n >= 1", run).who for name in "ab"] == ["a", f"b ({flag})"]
    assert hold("b | n >= 1", run).line().startswith(f"passed  b ({flag}) | n >= 1")
    assert hold("b | n >= 1", run).as_json()["flags"] == [flag]
    named = run.with_columns(pl.col("target").replace("b", f"b, {flag}"))
    assert hold(f"b, {flag} | n >= 1", named).who == f"b, {flag}", "its own name says it"


def test_wrong_targets_are_wrong_words(frame):
    run, other = frame(answers("model-a")), frame(answers("b"))
    for rule, about, said in (
        ("model-b | n >= 1", {}, "rule line 1: no target 'model-b' in the run. Did you mean 'model-a'"),
        ("n >= 1", {"target": "z"}, "no target 'z' in the run. It has model-a."),
        ("n >= 1", {}, "share no target. Name them with --target and --against: the run has model-a."),
        ("n >= 1", {"against": "c"}, "no target 'c' in the baseline. It has b."),
    ):
        with pytest.raises(UsageError) as raised:
            hold(rule, run, other, **about)
        assert said in str(raised.value)


def test_other_metrics_do_not_disturb(frame):
    run = frame(answers())
    more = run.with_columns(
        m2=pl.lit(0.5), m2_status=pl.lit("ok"), m2_reason=pl.lit(None, pl.String), run_id=pl.lit("other")
    )
    assert hold("exact_match: difference >= 0", more, run).value == 0.0
    assert hold("m2: mean >= 0.5", more, run).ok
    assert hold("m2: difference >= 0", more, run).reason == "the baseline has no metric 'm2'"


def test_the_rules_in_the_readme_are_rules():
    text = (Path(__file__).parents[1] / "README.md").read_text()
    block = re.search(r"```text\n(# release\.rules.*?)```", text, flags=re.DOTALL)[1]
    rules = parse(block)
    assert len(rules) == 10
    known = text.partition("## A gate for CI")[2].partition("\n## ")[0]
    assert [
        word for word in (*OF_METRIC, *OF_TARGET, *AREAS) if f"`{word}" not in known and f": {word}`" not in known
    ] == []


def test_a_metric_with_options_is_named_without_them(tmp_path):
    name = "faithfulness?judge=openai/m?base_url=http://127.0.0.1:1/v1"
    frame = frame_of(tmp_path / "r.parquet", [record("m", i, "yes", "yes") for i in range(40)])
    frame = frame.rename({f"exact_match{end}": f"{name}{end}" for end in ("", "_status", "_reason")})
    (one,) = check(parse("faithfulness: mean >= 0.9"), frame, None)
    assert (one.ok, one.value, one.rule.text) == (True, 1.0, "faithfulness: mean >= 0.9")
    twice = frame.with_columns(
        frame[f"{name}{end}"].alias(f"faithfulness?judge=b{end}") for end in ("", "_status", "_reason")
    )
    (one,) = check(parse("faithfulness: mean >= 0.9"), twice, None)
    assert not one.ok
    assert "have no metric 'faithfulness'" in one.reason
