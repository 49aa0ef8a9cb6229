"""Tables of every shape, read in the short way and in the long one, against numbers worked out row by row in Python."""

from collections import defaultdict
from math import isfinite

import numpy as np
import polars as pl
import pytest

from mlaas_lab import records
from mlaas_lab.evaluation import layout
from mlaas_lab.evaluation.bills import bills
from mlaas_lab.evaluation.gridded import gridded
from mlaas_lab.evaluation.sharing import sharing
from mlaas_lab.evaluation.slices import sliced
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels.cost import spending
from mlaas_lab.panels.latency import latencies
from mlaas_lab.panels.unscored import accounts
from mlaas_lab.schema import ScoreStatus

METRICS = ("exact_match", "token_f1")
TARGETS = ("one", "two", "three")


def table(seed: int, *, samples: int = 60, repeats: int = 1) -> pl.DataFrame:
    """Records as an evaluation writes them, with everything that may be missing missing here and there."""
    draw = np.random.default_rng(seed)
    rows = []
    for place, target in enumerate(TARGETS):
        for sample in range(samples):
            for repeat in range(repeats):
                failed = draw.random() < 0.1
                status = draw.choice(["ok", "refused", "parse_error"], p=[0.8, 0.1, 0.1])
                right = float(draw.random() < 0.5 + 0.1 * place)
                scores = {"exact_match": right, "token_f1": right or draw.choice([0.25, 0.5, float("nan")])}
                row = {
                    "run_id": "run",
                    "target": target,
                    "target_index": place,
                    "provider": [None, "openai", "bedrock"][place],
                    "sample_id": f"s{sample}",
                    "sample_index": sample,
                    "repeat": repeat,
                    "group": [None, "red", "green", "blue"][sample % 4],
                    "reference": f"yes {sample}",
                    "output": None if failed else str(draw.integers(3)),
                    "error": "timed_out" if failed else None,
                    "latency_s": None if failed else float(draw.gamma(2)),
                    "attempts": int(draw.integers(1, 3)),
                    "timeline": '[{"started_at":1}]',
                    "input_tokens": int(draw.integers(5, 50)),
                    "output_tokens": None if failed else int(draw.integers(1, 9)),
                    "cost_usd": None if place == 2 or failed else float(draw.integers(1, 400)) / 1e6,
                }
                for metric, value in scores.items():
                    ok = status == "ok" and not failed
                    row |= {metric: value if ok else None, f"{metric}_status": status, f"{metric}_reason": None}
                rows.append(row)
    return pl.DataFrame(rows, schema=records.schema(METRICS))


SHAPES = {
    "as written": lambda t: t,
    "shuffled": lambda t: t.sample(fraction=1.0, shuffle=True, seed=4),
    "sample by sample": lambda t: t.sort("sample_index", maintain_order=True),
    "rows missing": lambda t: t.sample(fraction=0.8, seed=5).sort("target_index", "sample_index", "repeat"),
    "one target shorter": lambda t: t.filter((pl.col("target") != "two") | (pl.col("sample_index") > 20)),
    "groups of one target alone": lambda t: t.with_columns(group=pl.when(pl.col("target") == "two").then("group")),
    "no groups": lambda t: t.drop("group"),
    "other references": lambda t: t.with_columns(reference=pl.col("reference") + pl.col("target"), run_id="target"),
}


@pytest.fixture(params=[1, 10**9], ids=["large", "small"])
def size(request, monkeypatch):
    monkeypatch.setattr(layout, "LARGE", request.param)


@pytest.fixture(params=SHAPES)
def shaped(request):
    return lambda **more: SHAPES[request.param](table(len(request.param), **more))


def value(row, metric):
    """The score of a row as a person would read it."""
    found = row[metric]
    return found if row[f"{metric}_status"] == "ok" and found is not None and isfinite(found) else None


def by_sample(frame, metric):
    """Target → sample → the mean of its scores, and the group of each sample that has one."""
    scores, groups = defaultdict(lambda: defaultdict(list)), {}
    for row in frame.to_dicts():
        key = row["sample_id"], row["reference"]
        if (found := value(row, metric)) is not None:
            scores[row["target"]][key].append(found)
        groups[row["target"], key] = row.get("group")
    means = {target: {key: sum(s) / len(s) for key, s in several.items()} for target, several in scores.items()}
    return means, groups


@pytest.mark.parametrize("repeats", [1, 2])
def test_means_and_differences_are_those_of_plain_sums(shaped, size, repeats):
    frame = shaped(repeats=repeats)
    summary, verdicts = summarize(frame.lazy())
    assert len(summary) == 6
    assert len(verdicts) == 6
    for line in summary:
        means, _ = by_sample(frame, line.metric)
        own = list(means[line.target].values())
        rows = [row for row in frame.to_dicts() if row["target"] == line.target]
        assert line.n == len(own)
        assert line.n_error == sum(value(row, line.metric) is None for row in rows)
        assert line.mean == pytest.approx(sum(own) / len(own), rel=1e-12)
    for found in verdicts:
        means, _ = by_sample(frame, found.metric)
        a, b = means[found.a], means[found.b]
        gaps = [b[key] - a[key] for key in a.keys() & b.keys()]
        assert found.n == len(gaps)
        if gaps:
            assert found.difference == pytest.approx(sum(gaps) / len(gaps), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("repeats", [1, 2])
def test_slices_are_those_of_plain_sums(shaped, size, repeats):
    frame = shaped(repeats=repeats)
    lines = sliced(frame.lazy())
    assert bool(lines) == ("group" in frame.columns)
    for line in lines:
        means, groups = by_sample(frame, line.metric)
        parts = defaultdict(list)
        for key, mean in means[line.target].items():
            parts[groups[line.target, key]].append(mean)
        assert line.n_without == len(parts.pop(None, ()))
        assert {one.name: one.n for one in line.slices} == {name: len(s) for name, s in parts.items() if len(s) > 1}
        for one in line.slices:
            assert one.mean == pytest.approx(np.mean(parts[one.name]), rel=1e-12)


@pytest.mark.parametrize("repeats", [1, 2])
def test_money_is_that_of_plain_sums(shaped, repeats):
    frame = shaped(repeats=repeats)
    for paid, bill in zip(spending(frame.lazy()), bills(frame.lazy()), strict=True):
        rows = [row for row in frame.to_dicts() if row["target"] == paid.target == bill.target]
        answers = [row for row in rows if row["error"] is None]
        assert (paid.n, paid.n_error) == (len(answers), len(rows) - len(answers))
        assert (bill.n_calls, bill.n_answers) == (len(rows), len(answers))
        assert paid.input_tokens == sum(row["input_tokens"] for row in answers)
        prices = [row["cost_usd"] for row in answers if row["cost_usd"] is not None]
        assert paid.usd == (pytest.approx(sum(prices)) if prices else None)
        assert bill.usd == (pytest.approx(sum(prices)) if prices else None)
        full, half = bill.successes
        assert full.n == sum(value(row, "exact_match") == 1 for row in rows)
        assert half.n == sum((value(row, "token_f1") or 0) >= 0.5 for row in rows)


def test_times_are_those_of_sorted_lists(shaped):
    frame = shaped()
    for line in latencies(frame.lazy()):
        rows = [row for row in frame.to_dicts() if row["target"] == line.target]
        known = [row["latency_s"] for row in rows if row["latency_s"] is not None]
        assert (line.n, line.n_error) == (len(known), sum(row["error"] is not None for row in rows))
        assert line.retries == sum(row["attempts"] - 1 for row in rows)
        for name, q in {"p50": 50, "p95": 95, "p99": 99}.items():
            assert line.latency_s[name].value == pytest.approx(np.percentile(known, q), rel=1e-12)


def test_reasons_are_counted_one_by_one(shaped):
    frame = shaped()
    for line in accounts(frame.lazy()):
        rows = [row for row in frame.to_dicts() if row["target"] == line.target and row["error"] is None]
        for status in ScoreStatus:
            assert line.counts[status] == sum(row[f"{line.metric}_status"] == status for row in rows)


def test_what_is_shared_is_what_is_asked_alone(shaped, size):
    frame = shaped().lazy()
    asked = (summarize, sliced, spending, bills, latencies, accounts)
    alone = [ask(frame) for ask in asked]
    with sharing():
        assert [ask(frame) for ask in asked] == alone
        assert [ask(frame) for ask in asked] == alone


def test_only_a_table_as_it_is_written_is_read_in_the_short_way():
    short = {name for name, shape in SHAPES.items() if gridded(shape(table(1))) is not None}
    assert short == {"as written", "no groups"}
    assert gridded(table(1, repeats=2)) is None
