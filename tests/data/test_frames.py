"""A frame from a notebook becomes a file that is named by what is in it."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from mlaas_lab.data import from_frame, load
from mlaas_lab.data.frames import is_frame
from mlaas_lab.errors import DataError

ROWS = {"prompt": ["a", "Grüße"], "completion": ["1", "2"], "group": ["x", None]}


@pytest.mark.parametrize("frame", [pl.DataFrame(ROWS), pd.DataFrame(ROWS)], ids=["polars", "pandas"])
def test_the_rows_are_read_back(frame: object, tmp_path: Path) -> None:
    assert is_frame(frame)
    chats = load(from_frame(frame, tmp_path))
    assert [(c.messages[0].content, c.answer, c.group) for c in chats] == [("a", "1", "x"), ("Grüße", "2", None)]


def test_the_same_rows_are_the_same_file(tmp_path: Path) -> None:
    paths = {from_frame(frame, tmp_path) for frame in (pl.DataFrame(ROWS), pd.DataFrame(ROWS), pl.DataFrame(ROWS))}
    assert len(paths) == 1
    assert from_frame(pl.DataFrame(ROWS).reverse(), tmp_path) not in paths
    assert len(list(tmp_path.rglob("*.jsonl"))) == 2
    assert not list(tmp_path.rglob(".*")), "nothing is left over"


def test_messages_and_odd_values(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    others = {
        "at": [date(2026, 1, 2)],
        "price": [Decimal("1.5")],
        "when": [pd.Timestamp("2026-01-02")],
        "none": [pd.NA],
    }
    for frame in (pl.DataFrame({"messages": [turns]}), pd.DataFrame({"messages": [turns], **others})):
        assert load(from_frame(frame, tmp_path))[0].answer == "b"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (pl.DataFrame({"prompt": []}), "has no rows"),
        ([1, 2], "list is no data frame"),
        (pl.LazyFrame(ROWS), "LazyFrame is no data frame"),
        (pd.DataFrame({"prompt": [object()]}), "row 1 of the data frame cannot be written as JSON"),
    ],
    ids=["empty", "list", "lazy", "object"],
)
def test_what_cannot_be_a_file(value: object, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        from_frame(value, tmp_path)
    assert not list(tmp_path.rglob("*.jsonl"))
