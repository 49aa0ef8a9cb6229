"""Every page says what the notebook says, of what the filters leave."""

import polars as pl
import pytest
from made_cases import case, table
from made_records import record

from mlaas_lab.dashboard import export
from mlaas_lab.dashboard.pages import NAMES, NONE_LEFT, pages
from mlaas_lab.dashboard.where import Where
from mlaas_lab.errors import UsageError
from mlaas_lab.view import to_text
from mlaas_lab.view.model import View


@pytest.fixture
def told(lab, tmp_path):
    return case(lab, table(tmp_path))


def text(case, page, **filters):
    choices = {**case.choices, "page": NAMES}
    views = pages()[page].views(case.cut(Where.chosen({"page": page, **filters}, choices)))
    return to_text(View(title="", children=views), width=200)


def test_the_overview_begins_with_the_verdict_in_words(told):
    first = text(told, "overview")
    assert first.index("good is better than bad by exact_match") < first.index("Quality, cost, latency")
    assert "$2.00" in first
    assert "75 %" in first


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("comparison", ("question 0", "Outputs")),
        ("slices", ("cards", "loans")),
        ("latency", ("p50", "p99")),
        ("cost", ("$0.08",)),
        ("provenance", ("be brief", "2026-01-02", "list", "SHA-256 of the table")),
        ("review", ("Nobody has begun a review",)),
        ("decision", ("Nothing is signed yet", "Evidence now")),
    ],
)
def test_each_page_has_its_figures(told, page, words):
    found = text(told, page)
    assert [word for word in words if word not in found] == []


def test_filters_leave_what_they_name(told):
    cut = told.cut(Where(target=("good",), slice=("loans",)))
    assert set(cut.frame["target"]) == {"good"}
    assert set(cut.frame["group"]) == {"loans"}
    assert "bad" not in text(told, "latency", target=["good"])


def test_a_metric_filter_leaves_one_metric(lab, tmp_path):
    path = table(tmp_path)
    frame = pl.read_parquet(path).with_columns(
        other=pl.lit(1.0), other_status=pl.lit("ok"), other_reason=pl.lit(None, pl.String)
    )
    frame.write_parquet(path)
    both = case(lab, path)
    assert both.choices["metric"] == ["exact_match", "other"]
    assert "exact_match" not in text(both, "overview", metric=["other"])


def test_no_record_left_is_said(lab, tmp_path):
    path = table(tmp_path)
    pl.read_parquet(path).filter((pl.col("target") == "good") | (pl.col("group") == "cards")).write_parquet(path)
    some = case(lab, path)
    assert NONE_LEFT in text(some, "overview", target=["bad"], slice=["loans"])


def test_what_was_worked_out_is_kept_for_the_next_page(told):
    one, again = told.cut(Where(page="cost", slice=("cards",))), told.cut(Where(page="latency", slice=("cards",)))
    assert one is again
    assert pages()["cost"].views(one) is pages()["cost"].views(one)
    assert told.cut(Where()) is not one


def test_old_filters_are_forgotten(told):
    for i in range(40):
        told.cut(Where(run=(str(i),)))
    assert len(told._cuts) <= 12


def test_two_runs_of_one_target_are_two(lab, tmp_path):
    first, second = table(tmp_path, name="one"), table(tmp_path, name="two")
    both = case(lab, first, second)
    assert both.choices["run"] == ["one", "two"]
    assert "good @ one" in both.choices["target"]
    assert "Choose one run" in text(both, "decision")
    assert "Nothing is signed yet" in text(both, "decision", run=["two"])


def test_export_is_one_file_without_a_script_or_a_request(lab, tmp_path):
    hostile = '<img src=x onerror="fetch(1)"><script>1</script>'
    rows = [
        record(t, i, hostile if t == "a" else "b", "b", prompt=hostile, usd="0.002") for i in range(9) for t in "ab"
    ]
    path = export.write(case(lab, table(tmp_path, rows)), tmp_path / "review.html")
    html = path.read_text()
    assert all(title in html for title in ("Overview", "Slices", "Latency", "Cost", "Provenance", "Decision"))
    assert "<script" not in html
    assert "<img" not in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "@page" in html
    assert "default-src 'none'" in html


def test_export_takes_two_kinds(told, tmp_path):
    with pytest.raises(UsageError, match=r"neither in \.html nor in \.pdf"):
        export.write(told, tmp_path / "review.docx")


def test_without_a_browser_there_is_no_pdf_and_one_line_says_so():
    with pytest.raises(UsageError, match="none is installed") as told:
        export.browser(("no-such-browser",))
    assert "html" in str(told.value)
    assert export.browser(("no-such-browser", "sh"))
