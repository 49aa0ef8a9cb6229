from made_records import frame_of, record

from mlaas_lab.panels import success
from mlaas_lab.view import to_html, to_text


def drawn(tmp_path, several):
    return success.panel.build(frame_of(tmp_path / "r.parquet", several))


def calls(target, *, right, usd, n=100):
    return [record(target, i, "yes" if i < right else "no", "yes", usd=usd) for i in range(n)]


def test_cheap_and_dear_are_said_in_words(tmp_path):
    view = drawn(tmp_path, [*calls("cheap", right=20, usd="0.001"), *calls("good", right=90, usd="0.003")])
    assert view.summary.startswith("cheap: $0.005 for a right answer (exact_match 1). good: $0.00333 for a right")
    assert view.summary.endswith("cheap is cheaper than good per answer, and dearer per right answer.")
    control = drawn(tmp_path, [*calls("cheap", right=80, usd="0.001"), *calls("good", right=90, usd="0.003")])
    assert "dearer" not in control.summary
    assert "$0.00125" in to_html(control)


def test_never_right_is_dearer_than_anything(tmp_path):
    view = drawn(tmp_path, [*calls("cheap", right=0, usd="0.001"), *calls("good", right=90, usd="0.003")])
    assert "cheap: there is none for a right answer" in view.summary
    assert "cheap is cheaper than good per answer, and dearer" in view.summary


def test_unknown_prices_make_it_at_least(tmp_path):
    several = [*calls("a", right=50, usd="0.01"), record("a", 100, "yes", "yes")]
    text = to_text(drawn(tmp_path, several))
    assert "at least $0.0196" in text
    assert "some calls have no price" in text


def test_free_and_unpriced_have_nothing_to_say(tmp_path):
    assert drawn(tmp_path, calls("a", right=5, usd=None)) is None
    assert drawn(tmp_path, calls("echo/a", right=5, usd="0")) is None
    assert drawn(tmp_path, []) is None
