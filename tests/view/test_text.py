"""A View in a terminal: aligned whatever the script, cut where there is too much, unknown as a dash."""

import pytest

from mlaas_lab.view import (
    Answer,
    Answers,
    Badge,
    Code,
    Column,
    Facts,
    Line,
    ProgressBar,
    Series,
    Table,
    Tone,
    View,
    to_text,
)
from mlaas_lab.view.formats import count, percent
from mlaas_lab.view.text import width_of


def lines(view: View, width: int = 80) -> list[str]:
    return to_text(view, width).split("\n")


def test_table_reads_like_one():
    table = Table(
        columns=["target", Column(title="score", align="right", format=percent), Column(title="n", align="right")],
        rows=[("support", 0.825, 96), ("tiny", 0.0, 1096), ("away", None, None)],
    )
    assert lines(View(title="Scores", table=table)) == [
        "Scores",
        "target   score      n",
        "───────  ─────  ─────",
        "support   82 %     96",
        "tiny       0 %  1,096",
        "away         –      –",
    ]


@pytest.mark.parametrize("word", ["日本語", "naïve", "e\u0301te\u0301", "한국어", "plain", "Ω≈ç√"])
def test_columns_stay_aligned_in_every_script(word):
    rows = [(word, "x"), ("other", "x")]
    shown = lines(View(title="", table=Table(columns=["a", "b"], rows=rows)))
    assert len({width_of(line[: line.index("x")]) for line in shown if "x" in line}) == 1


def test_wide_tables_give_way_in_their_text_columns():
    columns = [Column(title="said", wrap=True), Column(title="n", align="right", format=count)]
    shown = lines(View(title="t", table=Table(columns=columns, rows=[("word " * 50, 123_456)])), width=40)
    assert all(width_of(line) <= 40 for line in shown)
    assert shown[-1].endswith("123,456")
    assert "…" in shown[-1]


def test_long_tables_say_what_they_leave_out():
    shown = lines(View(title="t", table=Table(columns=["a"], rows=[(i,) for i in range(5000)])))
    assert len(shown) < 60
    assert shown[-1] == "… 4,960 more rows"


def test_line_breaks_in_a_cell_do_not_break_the_table():
    shown = lines(View(title="t", table=Table(columns=["a", "b"], rows=[("one\ntwo\r\nthree", "x")])))
    assert shown[-1] == "one two three  x"


def test_badges_have_a_sign_besides_their_colour():
    signs = {lines(View(title="t", badge=Badge(text="state", tone=tone)))[0] for tone in Tone}
    assert len(signs) == len(Tone)


def test_progress_says_unknown_rather_than_lie():
    known = ProgressBar(n=120, total=400, rate=14.2, eta_s=20, phase="training")
    assert lines(View(title="t", marks=[known]))[1] == (
        "██████░░░░░░░░░░░░░░ training: 120/400 steps · 14.2 steps/s · 20 s left"
    )
    assert lines(View(title="t", marks=[ProgressBar(n=12, total=None)]))[1] == "12 steps · time left unknown"
    assert lines(View(title="t", marks=[ProgressBar(n=4, total=4)]))[1].endswith("4/4 steps")


def test_curve_is_a_sparkline_with_both_ends():
    mark = Line(title="Loss", series=[Series(name="loss", x=range(4), y=[3.0, 2.0, None, 1.0])])
    assert lines(View(title="t", marks=[mark]))[1] == "loss: 3 █▄▁ 1"
    empty = Line(title="Loss", series=[Series(name="loss", x=[1], y=[float("nan")])])
    assert lines(View(title="t", marks=[empty]))[1] == "loss: no values"


def test_differing_words_are_bracketed():
    mark = Answers(
        prompt="Q?",
        reference="check the balance",
        answers=[
            Answer(target="a", text="check my balance", note="0 %"),
            Answer(target="b", text=None, error="timed_out"),
            Answer(target="c", text="check the", error="truncated"),
        ],
    )
    shown = to_text(View(title="t", marks=[mark]))
    assert "a: check [my] balance (0 %)" in shown
    assert "b: (timed_out)" in shown
    assert "c: check the (truncated)" in shown


def test_facts_code_notes_and_children():
    view = View(
        title="Job",
        summary="It is done.",
        marks=[Facts(rows=[("id", "ab"), ("took", None)]), Code(text="a\n  b")],
        notes=["small print"],
        children=[View(title="Inside", summary="more")],
    )
    assert lines(view) == [
        "Job", "It is done.", "id    ab", "took  –", "  a", "    b", "small print", "", "Inside", "more",
    ]  # fmt: skip
