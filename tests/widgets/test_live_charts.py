"""A chart on a page says what its View says, at any number of values."""

import random

from mlaas_lab.view import Bar, Bars, Code, Ecdf, Line, Reach, Scatter, Series, Sorted, Spot, Whisker, Whiskers
from mlaas_lab.view.model import Axis
from mlaas_lab.widgets.charts import POINTS, chart


def test_curve_of_many_values_keeps_its_quantiles():
    draw = random.Random(1)
    values = [draw.expovariate(2) for _ in range(50_000)]
    drawn = chart(Ecdf(title="x", samples=[Sorted(name="a", values=values)]))
    (curve,) = drawn["curves"]
    assert len(curve["points"]) <= POINTS
    largest = max(values)
    for share in (0.25, 0.5, 0.9):
        place = next(x for x, y in curve["points"] if y >= share) * largest
        assert abs(sum(value <= place for value in values) / len(values) - share) < 0.01


def test_curve_that_is_thinned_already_keeps_its_shares():
    drawn = chart(Ecdf(title="x", samples=[Sorted(name="a", values=[1.0, 2.0, 4.0], shares=[0.1, 0.9, 1.0])]))
    assert drawn["curves"][0]["points"] == [[0.25, 0.1], [0.5, 0.9], [1.0, 1.0]]


def test_estimates_lie_where_the_axis_says():
    rows = [Whisker(label="a", mean=0.5, low=0.25, high=0.75), Whisker(label="b", mean=None, low=None, high=None)]
    drawn = chart(Whiskers(title="x", rows=rows, domain=(0.0, 1.0), zero=True))
    assert [(r["low"], r["at"], r["high"]) for r in drawn["rows"]] == [(0.25, 0.5, 0.75), (None, None, None)]
    assert drawn["zero"] == 0.0


def test_unknown_is_no_bar():
    drawn = chart(Bars(title="x", rows=[Bar(label="a", value=2.0), Bar(label="b", value=None, note="unpriced")]))
    assert [(row["at"], row["note"]) for row in drawn["rows"]] == [(1.0, "2"), (None, "unpriced")]


def test_what_nobody_knows_stands_beside_the_plane():
    y = Reach(value=0.5, low=0.4, high=None)
    spots = [Spot(label="a", y=y, x=[Reach(value=1.0, low=0.5, high=2.0)]), Spot(label="b", y=y, x=[None], hollow=True)]
    axis = Axis(title="dollars", unknown="unpriced")
    (plane,) = chart(Scatter(title="x", spots=spots, y=Axis(title="score"), x=[axis]))["planes"]
    assert plane["unknown"] == "unpriced"
    assert plane["spots"][0]["x"] == [0.25, 0.5, 1.0]
    assert plane["spots"][1]["x"] is None
    assert plane["spots"][0]["y"][2] is None, "nothing bounds that side"


def test_line_skips_gaps_and_what_is_no_chart_is_left_to_its_table():
    drawn = chart(Line(title="x", series=[Series(name="a", x=[0, 1, 2], y=[1.0, None, 3.0])]))
    assert len(drawn["curves"][0]["points"]) == 2
    assert chart(Line(title="x", series=[])) is None
    assert chart(Code(text="x")) is None
