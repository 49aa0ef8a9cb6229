"""A View as HTML: whole, small, quick to draw, the same without eyes, and every chart with its numbers."""

import random

import pytest
from hostile import Page, everywhere

from mlaas_lab.view import (
    Answer,
    Answers,
    Bar,
    Bars,
    Column,
    Ecdf,
    Line,
    ProgressBar,
    Series,
    Shown,
    Sorted,
    Table,
    View,
    Whisker,
    Whiskers,
    to_html,
    widths,
)
from mlaas_lab.view.html import LIMIT_BYTES, style
from mlaas_lab.view.markup import OUTERMOST


def page(*marks, **rest) -> Page:
    return Page(to_html(View(title="t", marks=marks, **rest)))


def noisy(n: int) -> list[float]:
    draw = random.Random(0)
    return [3 / (1 + i / 100) + draw.random() for i in range(n)]


def card(n: int) -> View:
    """What a running fine-tune shows."""
    loss = Line(
        title="Loss",
        series=[
            Series(name="training", x=range(n), y=noisy(n)),
            Series(name="validation", x=range(0, n, 50), y=noisy(n)[::50], points=True),
        ],
        smooth=True,
    )
    return View(title="finetune", marks=[ProgressBar(n=5, total=n, rate=2.5, eta_s=8), loss])


@pytest.mark.parametrize("n", [1, 2, 21, 500, 10_000])
def test_a_running_jobs_card_is_small(n):
    html = to_html(card(n))
    assert len(html.encode()) < 45_000
    assert Page(html).depth == 0


@pytest.mark.parametrize(
    "view",
    [
        View(title="t", table=Table(columns=["a", "b"], rows=[("word " * 40, i) for i in range(3000)])),
        View(title="t", marks=[Answers(prompt="p" * 9000, answers=[Answer(target="a", text="<&>" * 20_000)])]),
        View(title="t", children=[View(title=f"c{i}", summary="x" * 500) for i in range(500)]),
        View(title="t", children=[everywhere("<b>" * 300) for _ in range(20)]),
    ],
)
def test_nothing_exceeds_a_cells_limit_and_cuts_are_said(view):
    html = to_html(view)
    assert len(html.encode()) <= LIMIT_BYTES
    assert "more" in Page(html).text.lower()
    assert Page(html).depth == 0


def test_every_chart_says_what_it_shows():
    shown = page(
        Line(title="Loss", series=[Series(name="a", x=[0, 1], y=[3.0, 0.5])]),
        Ecdf(title="Latency", samples=[Sorted(name="a", values=[1.0, 2.0, 3.0])]),
    )
    labels = [attributes["aria-label"] for tag, attributes in shown.elements if attributes.get("role") == "img"]
    assert labels == ["Loss: a from 3 to 0.5", "Latency: a: half within 2"]


def test_series_differ_in_more_than_colour():
    lines = [Series(name=str(i), x=[0, 1], y=[0, i]) for i in range(3)]
    dashes = {a.get("stroke-dasharray") for t, a in page(Line(title="", series=lines)).elements if t == "path"}
    assert len(dashes) == 3
    dots = [Whisker(label=str(i), mean=0.5, low=0.4, high=0.6) for i in range(3)]
    shapes = {a["d"] for t, a in page(Whiskers(title="", rows=dots)).elements if t == "path"}
    assert len(shapes) == 3


def test_no_two_of_many_series_look_alike():
    """A seventh has the first one's colour, and must not have its dash too."""
    lines = [Series(name=str(i), x=[0, 1], y=[i, i + 1]) for i in range(12)]
    elements = page(Line(title="", series=lines)).elements
    looks = [(a["class"], a.get("stroke-dasharray")) for tag, a in elements if tag == "path"]
    assert len(set(looks)) == len(looks) == 12


def test_whiskers_lie_where_the_numbers_are():
    rows = [Whisker(label="a", mean=0.5, low=0.25, high=0.75), Whisker(label="none", mean=None, low=None, high=None)]
    shown = page(Whiskers(title="", rows=rows, domain=(0.0, 1.0)))
    bars = [
        (a["x1"], a["x2"]) for t, a in shown.elements if t == "line" and (a.get("class") or "").startswith("m-whisker")
    ]
    assert bars == [("25.00%", "75.00%"), ("25.00%", "25.00%"), ("75.00%", "75.00%")]
    assert "–" in shown.text


def test_what_is_unknown_has_no_bar():
    shown = page(
        Bars(title="", rows=[Bar(label="a", value=2.0), Bar(label="b", value=None), Bar(label="c", value=0.0)])
    )
    assert [a["width"] for t, a in shown.elements if t == "rect"] == ["100.00%", "0.00%"]


def test_curves_without_values_say_so():
    gap = Series(name="a", x=[0, 1], y=[None, float("nan")])
    assert "nothing measured yet" in page(Line(title="Loss", series=[gap])).text
    assert "nothing measured yet" in page(Ecdf(title="Latency", samples=[])).text


def test_a_band_lies_behind_its_curve_where_both_edges_are_known():
    known = Series(name="cost", x=[0, 1, 2], y=[1.0, 2.0, 3.0], band=([0.5, 1.0, 1.5], [2.0, 4.0, 6.0]))
    open_above = Series(name="other", x=[0, 1, 2], y=[1.0, 1.0, 1.0], band=([0.5, 0.5, 0.5], [None, None, None]))
    elements = page(Line(title="", series=[known, open_above])).elements
    paths = [attributes for tag, attributes in elements if tag == "path"]
    bands = [one for one in paths if "m-band" in one["class"]]
    assert len(bands) == 1, "what nothing bounds has no area"
    assert bands[0] is paths[0], "it is drawn first"
    assert bands[0]["d"].count("L") == 5
    assert bands[0]["d"].endswith("Z")
    assert bands[0]["fill"] == "currentColor"
    # The axis goes as far as the band does.
    assert "6" in page(Line(title="", series=[known])).text


def test_progress_is_readable_without_eyes():
    bar = next(
        a for _, a in page(ProgressBar(n=3, total=12, phase="asking")).elements if a.get("role") == "progressbar"
    )
    assert (bar["aria-valuenow"], bar["aria-valuemax"], bar["aria-label"]) == ("3", "12", "asking")
    unknown = next(a for _, a in page(ProgressBar(n=3, total=None)).elements if a.get("role") == "progressbar")
    assert "aria-valuemax" not in unknown


def test_words_that_differ_are_marked_and_only_they():
    answers = [Answer(target="a", text="check my balance now")]
    shown = to_html(View(title="t", marks=[Answers(prompt="q", reference="check the balance", answers=answers)]))
    assert "check <mark>my</mark> balance<mark> now</mark>" in shown or (
        "check <mark>my</mark> balance <mark>now</mark>" in shown
    )


def test_without_a_reference_the_first_answer_is_the_measure():
    answers = [Answer(target="a", text=None, error="x"), Answer(target="b", text="one"), Answer(target="c", text="two")]
    shown = to_html(View(title="t", marks=[Answers(prompt="q", answers=answers)]))
    assert shown.count("<mark>") == 1
    assert "<mark>two</mark>" in shown


def test_columns_of_numbers_are_aligned_and_headed():
    shown = page(table=Table(columns=["a", Column(title="n", align="right", unit="s")], rows=[("x", 1)]))
    heads = [a for t, a in shown.elements if t == "th"]
    assert [a["scope"] for a in heads] == ["col", "col"]
    assert heads[1]["class"] == "m-num"
    assert "n s" in shown.text


def test_classes_are_our_own_and_all_have_a_rule():
    html = to_html(everywhere("x"))
    named = {name for _, a in Page(html).elements for name in (a.get("class") or "").split()}
    assert all(name in OUTERMOST or name.startswith("m-") for name in named), (
        "a host has rules for `progress` and `row`"
    )
    unruled = {name for name in named if f".{name}" not in style()}
    assert unruled <= {"mathjax_ignore", "tex2jax_ignore", "m-h0", "m-missing", "m-at", "m-scale", "m-plot"}


def test_style_is_scoped_and_asks_nobody():
    css = style()
    assert "url(" not in css
    assert "@import" not in css
    assert "//" not in css
    for block in css.replace("}", "}\n").split("\n"):
        selector = block.partition("{")[0].strip()
        if "{" in block and not selector.startswith("@"):
            assert all(one.strip().startswith(".mlaas") for one in selector.split(",")), selector


class Thing(Shown):
    def view(self):
        return View(title="Thing", summary="of beauty")

    def as_json(self):
        return {"a": 1}


def test_a_shown_thing_has_text_and_html():
    bundle = Thing()._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert bundle["text/plain"] == "Thing\nof beauty" == str(Thing())
    assert bundle["text/html"] == Thing()._repr_html_()
    assert Thing().line() == "Thing"


def test_what_cannot_be_cut_is_left_out_and_said():
    html = to_html(everywhere("word"), limit_bytes=12_000)
    assert len(html.encode()) <= 12_000
    assert "More than a cell can show" in Page(html).text


def test_sabotaged_limit_is_caught():
    rows = [("word " * 40, i) for i in range(3000)]
    html = to_html(View(title="t", table=Table(columns=["a", "b"], rows=rows)), limit_bytes=10**9)
    assert len(html.encode()) > LIMIT_BYTES


def test_an_interval_stays_in_one_piece_and_may_stand_below_its_estimate():
    heads = ["Target", *(Column(title=name, align="right") for name in ("p50", "p95", "p99"))]
    table = Table(columns=heads, rows=[["support", *["521 ms (436 ms to 579 ms)"] * 3]])
    html = to_html(View(title="t", table=table))
    assert html.count('<span class="m-whole">(436\u00a0ms to 579\u00a0ms)</span></span></td>') == 3
    beside = Table(columns=heads, rows=[["support", *["521 ms, 436 ms to 579 ms "] * 3]])
    assert widths.step(table) < widths.step(beside)


def test_a_row_stands_on_end_where_its_table_does_not_fit():
    few = Table(columns=["A", "B", "C", "D"], rows=[["1", "2", "3", "4"]])
    many = Table(
        columns=["Target", "p50", "p99", Column(title="Why", wrap=True)], rows=[["a" * 40, "1 s", "2 s", "b " * 40]]
    )
    wide = Table(columns=[f"column {i}" for i in range(20)], rows=[[f"some value {i}" for i in range(20)]])
    assert [widths.step(one) for one in (few, many, wide)] == [480, 480, 960]
    assert widths.step(Table(columns=["A", "B", "C"], rows=[["x" * 99] * 3])) == 0
    html = to_html(View(title="t", table=wide))
    assert 'class="m-wide m-under-960"' in html
    assert 'data-label="column 3"' in html
    assert "@container (max-width: 960px)" in html
    assert "@container (max-width: 720px)" not in html, "of what is not there nothing is said"
