"""Which label is taken for which: counts by hand and of scikit-learn, in words and as a table."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import confusion_matrix

from mlaas_lab import panels
from mlaas_lab.panels import confusion
from mlaas_lab.view import to_html, to_text


def table(answers, metric="accuracy"):
    """Rows of target, reference, output, and optionally a status that is not ok."""
    rows = [(t, f"s{i}", 0, w, g, 1.0, status[0] if status else "ok", None) for i, (t, w, g, *status) in enumerate(answers)]  # fmt: skip
    names = ["target", "sample_id", "repeat", "reference", "output", metric, f"{metric}_status", f"{metric}_reason"]
    kinds = dict.fromkeys(names, pl.String) | {metric: pl.Float64, "repeat": pl.Int32}
    return pl.DataFrame(rows, schema=kinds, orient="row")


CATS = [
    *[("a", "cat", "Cat.")] * 6,
    *[("a", "dog", "cat\nbecause it barks")] * 3,
    ("a", "dog", "DOG"),
    ("a", "dog", "newt"),
]


def test_counts_by_hand():
    (found,) = confusion.confusions(table(CATS))
    assert found.classes == ("cat", "dog")
    assert found.counts == {("cat", "cat"): 6, ("dog", "cat"): 3, ("dog", "dog"): 1, ("dog", confusion.OTHER): 1}
    assert found.wrong == [("dog", "cat", 3), ("dog", confusion.OTHER, 1)]


def test_the_most_frequent_confusions_are_named():
    view = confusion.panel.build(table(CATS))
    assert view.summary == "a takes dog for cat in 3 of 5 and dog for none of them in 1 of 5; 4 of 11 are wrong."
    assert view.table.rows == [("a", "dog", "cat", 3, 0.6), ("a", "dog", confusion.OTHER, 1, 0.2)]
    (square,) = view.children
    assert [column.title for column in square.table.heads] == ["Reference", "cat", "dog", confusion.OTHER, "Right"]
    assert square.table.rows == [("cat", 6, 0, 0, 1.0), ("dog", 3, 1, 1, 0.2)]
    assert "dog for cat in 3 of 5" in to_text(view)


def test_it_is_sklearns():
    generator = np.random.default_rng(0)
    wanted, got = generator.choice(["x", "y", "z"], (2, 200))
    (found,) = confusion.confusions(table([("a", str(w), str(g)) for w, g in zip(wanted, got, strict=True)]))
    expected = confusion_matrix(wanted, got, labels=list(found.classes))
    assert [[found.counts.get((w, g), 0) for g in found.classes] for w in found.classes] == expected.tolist()


@pytest.mark.parametrize("metric", ["accuracy?labels=cat/dog", "macro_f1", "macro_f1?labels=cat/dog"])
def test_metrics_that_read_labels(metric):
    assert confusion.panel.build(table(CATS, metric)) is not None


def test_other_metrics_show_nothing():
    assert confusion.panel.build(table(CATS, "exact_match")) is None
    assert confusion.panel.build(table([])) is None


def test_free_answers_are_no_classes():
    assert confusion.confusions(table([("a", f"answer {i}", f"answer {i}") for i in range(20)])) == []
    assert confusion.confusions(table([("a", "yes", "yes")] * 9)) == []


def test_answers_without_a_score_are_not_counted():
    frame = table([*CATS, ("a", "dog", "cat", "not_applicable")])
    assert sum(confusion.confusions(frame)[0].counts.values()) == 11


def test_every_target_has_its_own_table_over_the_same_classes():
    both = [*CATS, *[("b", want, want) for _, want, _ in CATS]]
    view = confusion.panel.build(table(both))
    assert [child.title for child in view.children] == ["a", "b"]
    assert view.summary.endswith("b takes no label for another.")
    assert [column.title for column in view.children[1].table.heads] == ["Reference", "cat", "dog", "Right"]


def test_many_classes_are_listed_and_not_tabled():
    many = [("a", f"class {i % 40}", f"class {i % 40 if i % 7 else 0}") for i in range(400)]
    view = confusion.panel.build(table(many))
    assert view.children == []
    assert "40 classes" in view.notes[0]
    assert len(view.table.rows) == confusion.MOST_LISTED


def test_what_a_model_says_is_text():
    frame = table([("a", "x <script>alert(1)</script> y", "z")] * 3 + [("a", "z", "x <script>alert(1)</script> y")] * 3)
    drawn = to_html(confusion.panel.build(frame))
    assert "<script>alert" not in drawn
    assert "x &lt;script&gt;alert(1)&lt;/script&gt; y" in drawn


def test_it_stands_among_the_panels():
    assert "Confusions" in [view.title for view in panels.draw(table(CATS), without=("board", "outputs", "errors"))]
