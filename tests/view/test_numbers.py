"""How values read, where ticks stand, what thinning keeps, which words differ."""

import math
import random
from decimal import Decimal
from itertools import pairwise

import pytest

from mlaas_lab.view import formats
from mlaas_lab.view.diff import LIMIT, against
from mlaas_lab.view.scale import POINTS, inner_ticks, points, smoothed, thin, ticks


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("number", 0.03124, "0.0312"), ("number", 4.714, "4.71"), ("number", 1250.4, "1,250"), ("number", 0.0, "0"),
        ("number", 250.4, "250"), ("number", 0.00001, "1.0e-05"), ("number", None, "–"), ("number", math.inf, "–"),
        ("number", -12.34, "-12.3"),
        ("percent", 0.825, "82 %"), ("percent", 0.0, "0 %"), ("percent", 1.0, "100 %"), ("percent", 0.996, "99.6 %"),
        ("percent", 0.0249, "2.5 %"), ("percent", 0.004, "0.4 %"), ("percent", None, "–"), ("percent", 0.08, "8 %"),
        ("points", 0.82, "+82"), ("points", -0.034, "-3.4"), ("points", None, "–"),
        ("p_value", 0.0004, "< 0.001"), ("p_value", 0.0312, "0.031"), ("p_value", 0.49, "0.49"), ("p_value", None, "–"),
        ("seconds", 0.34, "340 ms"), ("seconds", 1.25, "1.25 s"), ("seconds", 0.0042, "4.2 ms"), ("seconds", 0, "0 s"),
        ("seconds", 192.0, "3 min 12 s"), ("seconds", None, "–"), ("seconds", 0.9999, "1 s"),
        ("duration", 8.2, "8 s"), ("duration", 0.2, "< 1 s"), ("duration", 192, "3 min 12 s"), ("duration", 60, "1 min"),
        ("duration", 7500, "2 h 5 min"), ("duration", 3599.9, "1 h"), ("duration", None, "–"),
        ("usd", None, "unpriced"), ("usd", 0, "$0"), ("usd", Decimal("0.000012"), "$0.000012"), ("usd", 1.5, "$1.50"),
        ("usd", 1234.5, "$1,234.50"), ("usd", 0.001, "$0.001"), ("usd", 0.011439, "$0.0114"), ("usd", 0.5, "$0.50"), ("usd", 0.4, "$0.40"), ("usd", 0.99996, "$1.00"), ("usd", 0.01, "$0.01"), ("usd", 0.00012345, "$0.000123"), ("usd", 1e-9, "< $0.000001"),
        ("size", 12_000, "12 kB"), ("size", 3_400_000_000, "3.4 GB"), ("size", 999, "999 B"), ("size", None, "–"),
        ("size", 999_900, "1 MB"),
        ("count", 12345, "12,345"), ("count", None, "–"),
        ("plain", None, "–"), ("plain", True, "yes"), ("plain", 1234, "1,234"), ("plain", 0.5, "0.5"), ("plain", "x", "x"),
        ("when", 0.0, "1970-01-01 00:00"), ("when", None, "–"),
    ],
)  # fmt: skip
def test_values_read_like_this(form, value, shown):
    assert getattr(formats, form)(value) == shown


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7.9), (1e-9, 2e-9), (5, 5), (0, 0), (1e6, 1.1e6), (-1, -0.5)])
def test_ticks_are_round_and_enclose(low, high):
    found = ticks(low, high)
    assert found[0] <= low
    assert found[-1] >= high
    assert 3 <= len(found) <= 9
    steps = [b - a for a, b in pairwise(found)]
    assert max(steps) == pytest.approx(min(steps))
    assert all(low <= tick <= high for tick in inner_ticks(low, high) if high > low)


@pytest.mark.parametrize("n", [0, 1, 2, 399, 400, 401, 10_000])
def test_thinning_keeps_ends_and_extremes(n):
    draw = random.Random(1)
    curve = [(float(i), draw.random()) for i in range(n)]
    if n > 500:
        curve[n // 2] = (float(n // 2), 99.0)
        curve[n // 3] = (float(n // 3), -99.0)
    kept = thin(curve)
    assert len(kept) <= POINTS
    assert kept == sorted(kept)
    assert set(kept) <= set(curve)
    if n:
        assert (kept[0], kept[-1]) == (curve[0], curve[-1])
        assert max(kept, key=lambda p: p[1])[1] == max(curve, key=lambda p: p[1])[1]
        assert min(kept, key=lambda p: p[1])[1] == min(curve, key=lambda p: p[1])[1]


def test_gaps_are_left_out():
    assert points([0, 1, 2, 3], [1.0, None, math.nan, 2.0]) == [(0, 1.0), (3, 2.0)]


def test_the_average_does_not_lag():
    line = [(float(i), 3.0 - i / 100) for i in range(300)]
    assert all(b == pytest.approx(a) for (_, a), (_, b) in zip(line, smoothed(line), strict=True))
    draw = random.Random(2)
    noise = [(float(i), draw.gauss(0, 1)) for i in range(3000)]
    assert max(abs(y) for _, y in smoothed(noise)[100:-100]) < 0.6


def marked(text: str, other: str) -> str:
    return "".join(f"[{piece.text}]" if piece.differs else piece.text for piece in against(text, other))


@pytest.mark.parametrize(
    ("text", "other", "shown"),
    [
        ("same words", "same words", "same words"),
        ("check my balance", "check the balance", "check [my] balance"),
        ("check   my balance", "check my\nbalance", "check   my balance"),
        ("entirely other", "nothing shared here", "[entirely other]"),
        ("Yes", "yes", "[Yes]"),
        ("a, b", "a; b", "a[,] b"),
        ("", "x", ""),
        ("x", "", "[x]"),
        ("日本 語", "日本 人", "日本 [語]"),
    ],
)
def test_words_that_differ(text, other, shown):
    assert marked(text, other) == shown


def test_pieces_are_the_text_again_and_cost_is_bounded():
    draw = random.Random(3)
    long = " ".join(draw.choice(["a", "b", "c", "\n"]) for _ in range(20 * LIMIT))
    pieces = against(long, long[::-1])
    assert "".join(piece.text for piece in pieces) == long
    assert not pieces[-1].differs
