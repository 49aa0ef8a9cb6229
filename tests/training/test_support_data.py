"""The demo's dataset and the script that writes it."""

import json
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks" / "data"


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "support.jsonl").read_text().splitlines()]


def test_script_writes_the_file_that_is_here(tmp_path):
    subprocess.run([sys.executable, FOLDER / "support.py", tmp_path / "again.jsonl"], check=True)
    assert (tmp_path / "again.jsonl").read_bytes() == (FOLDER / "support.jsonl").read_bytes()


def test_labels_are_even_and_texts_occur_once(rows):
    bare = runpy.run_path(str(FOLDER / "support.py"))["_bare"]
    counts = Counter(row["messages"][1]["content"] for row in rows)
    assert len(counts) == 12
    assert set(counts.values()) == {100}
    assert all(label == label.lower() and len(label.split()) <= 2 for label in counts)
    assert len({bare(row["messages"][0]["content"]) for row in rows}) == len(rows)


def test_groups_are_channels(rows):
    assert {row["group"] for row in rows} == {"chat", "app", "mail"}
