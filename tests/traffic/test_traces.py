"""Recorded traces: the public ones by their own columns, any other by names; what is none is named."""

import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from mlaas_lab.errors import DataError
from mlaas_lab.traffic.traces import read

PUBLIC = {
    "azure.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n2023-11-16 18:15:51.2224670,879,0\n",
    "zoned.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2024-05-10 00:00:00.009930+00:00,374,44\n2024-05-10 00:00:04.324509+00:00,396,109\n"
    "2024-05-10 00:00:04.551807+00:00,879,1\n",
    "burst.csv": "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,1,2,ChatGPT,374,44,418,log\n9.314579,1,2,GPT-4,396,109,505,log\n9.541877,1,2,GPT-4,879,0,879,log\n",
    "moon.jsonl": "".join(
        json.dumps({"timestamp": at, "input_length": i, "output_length": o, "hash_ids": [1]}) + "\n"
        for at, i, o in ((27000, 374, 44), (31314.579, 396, 109), (31541.877, 879, 1))
    ),
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_traces_are_read_as_they_are(name, tmp_path):
    (tmp_path / name).write_text(PUBLIC[name])
    found = read(tmp_path / name, {})
    assert found.times_s.tolist() == pytest.approx([0, 4.314579, 4.541877], abs=1e-5)
    assert found.input_tokens.tolist() == [374, 396, 879]
    assert found.output_tokens.tolist() == [44, 109, 1]


def test_others_by_names_and_faster(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("ts,in,output_tokens\n3,10,20\n1,30,40\n")
    found = read(path, {"arrival_s": "ts", "input_tokens": "in"}, speed=4)
    assert found.times_s.tolist() == [0, 0.5]
    assert found.input_tokens.tolist() == [30, 10]


BAD = {
    "unknown columns": ("when,size\n1,2\n", "the columns are when, size; expected arrival_s, input_tokens"),
    "no number": ("arrival_s,input_tokens,output_tokens\n1,2,3\n2,many,3\n", "row 2: input_tokens is 'many'"),
    "no time": ("arrival_s,input_tokens,output_tokens\n1,2,3\nnow,1,3\n", "row 2: arrival_s is 'now'"),
    "less than nothing": ("arrival_s,input_tokens,output_tokens\n1,-2,3\n", "row 1: input_tokens is '-2'"),
    "no rows": ("arrival_s,input_tokens,output_tokens\n", "has no rows"),
    "nothing at all": ("", "cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_none_is_named(name, tmp_path):
    text, says = BAD[name]
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=says.replace("?", "\\?")) as error:
        read(path, {})
    assert "\n" not in str(error.value)


def test_a_name_that_is_no_column(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="no column 'c'; it has a, b"):
        read(path, {"arrival_s": "c"})


def test_parquet_with_dates_out_of_order_is_the_same_trace(tmp_path):
    begin = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
    rows = {
        "arrival_s": [begin + timedelta(seconds=s) for s in (0.0, 2.5, 1.0, 1.5, 9.0)],
        "input_tokens": [10, 20, 30, 40, 50],
        "output_tokens": [1, 2, 3, 4, 5],
    }
    pl.DataFrame(rows).write_parquet(tmp_path / "trace.parquet")
    found = read(tmp_path / "trace.parquet", {})
    assert found.times_s.tolist() == pytest.approx([0, 1.0, 1.5, 2.5, 9.0])
    assert found.input_tokens.tolist() == [10, 30, 40, 20, 50]
    assert found.n_late == 2, "two rows came after a later one"
    pl.DataFrame({**rows, "arrival_s": [0.0, 2.5, 1.0, 1.5, 9.0]}).write_parquet(tmp_path / "seconds.parquet")
    assert read(tmp_path / "seconds.parquet", {}).times_s.tolist() == found.times_s.tolist()
