"""A table that leaves the notebook: a spreadsheet computes nothing of it, and Parquet has it as it was."""

import csv
import io

import polars as pl
import pytest
from payloads import FORMULAS, everything

from mlaas_lab.view import Table
from mlaas_lab.widgets import exports

COMPUTED = ("=", "+", "-", "@", "\t", "\r")
WORDS = [word.encode(errors="replace").decode() for word in everything()]


def cells(frame):
    text = exports.rows(frame, "csv").decode()
    return [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]


def frame():
    heads = {word: [1.5, -2.0] for word in FORMULAS[:6]}
    return pl.DataFrame({"said": WORDS}), pl.DataFrame({**heads, "n": [-1, -2]})


def armed(texts):
    """What begins as a formula and is no number."""
    return [text for text in texts if text.startswith(COMPUTED) and not text.lstrip("-").replace(".", "").isdigit()]


def test_nothing_is_computed():
    texts, numbers = frame()
    assert armed(cells(texts)) == []
    assert armed(cells(numbers)) == [], "titles neither"
    assert "-2" in cells(numbers), "numbers stay numbers"
    assert len(cells(texts)) == len(WORDS) + 1, "no text breaks out of its cell"


def test_parquet_has_it_as_it_was():
    texts, _ = frame()
    assert pl.read_parquet(exports.rows(texts, "parquet"))["said"].to_list() == WORDS


def test_titles_of_a_table_that_is_shown():
    shown = exports.frame_of(Table(columns=["=1+1", "=1+1"], rows=[("a", "b")]))
    assert armed(cells(shown)) == []


@pytest.mark.parametrize("part", [0, 1])
def test_control_without_the_apostrophe_they_are(monkeypatch, part):
    monkeypatch.setattr(exports, "FORMULA", "^$never")
    assert len(armed(cells(frame()[part]))) >= 6
