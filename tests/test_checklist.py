"""The list of what users expect: every line is there, and whatever it names as its check exists."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LINES = re.findall(r"^\| (\d+) \| (.+) \| (.+) \|$", (TESTS / "CHECKLIST.md").read_text(), flags=re.MULTILINE)
TARGETS = set(re.findall(r"^([a-z-]+):", (TESTS.parent / "Makefile").read_text(), flags=re.MULTILINE))


def named(checks):
    """Files and functions, and make targets, that a line names."""
    return re.findall(r"`([\w/]+\.py)::(\w+)`", checks), re.findall(r"`make ([a-z-]+)`", checks)


def is_there(file, function):
    path = TESTS / file
    return path.is_file() and re.search(rf"^\s*(?:async )?def {function}\(", path.read_text(), flags=re.MULTILINE)


def test_no_line_is_missing():
    assert [int(number) for number, _, _ in LINES] == list(range(1, 59))


@pytest.mark.parametrize(("number", "expected", "checks"), LINES)
def test_its_checks_exist(number, expected, checks):
    tests, targets = named(checks)
    assert [f"{file}::{function}" for file, function in tests if not is_there(file, function)] == []
    assert set(targets) <= TARGETS
    assert tests or targets or checks.startswith("not "), "a line without a check says why"


def test_a_test_that_is_gone_is_noticed():
    assert not is_there("test_checklist.py", "test_that_nobody_wrote")
    assert named("`a/b.py::test_c`, `make x`") == ([("a/b.py", "test_c")], ["x"])
