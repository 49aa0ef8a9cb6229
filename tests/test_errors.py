"""Errors read as one line, in a cell and in JSON."""

from mlaas_lab import errors
from mlaas_lab.errors import DataError, RateLimited, did_you_mean, one_line, snake


def test_the_tree_in_the_docstring_is_the_tree():
    drawn = {word for word in errors.__doc__.replace("│", " ").split() if word[:1].isupper() and word in dir(errors)}
    classes = {
        name
        for name, thing in vars(errors).items()
        if getattr(thing, "__module__", "") == errors.__name__ and isinstance(thing, type)
    }
    assert drawn == classes


def test_a_cell_shows_one_line():
    error = DataError("rows.jsonl:3: no messages.", next="Mend the line.")
    assert error._render_traceback_() == ["DataError: rows.jsonl:3: no messages. Mend the line."]


def test_json_names_the_class_in_snake_case():
    error = RateLimited("slow down", status=429, retry_after_s=2.0)
    assert error.as_json() == {"name": "rate_limited", "message": "slow down", "next": None}
    assert error.retryable
    assert snake("ProviderBug") == "provider_bug"


def test_a_bug_shows_its_type():
    assert one_line(KeyError("a")) == "KeyError: 'a'"
    assert one_line(ValueError("two\nlines")) == "ValueError: two lines"


def test_near_names():
    assert did_you_mean("exact_mach", ["exact_match", "token_f1"]) == "Did you mean 'exact_match'?"
    assert did_you_mean("zzz", ["exact_match"]) is None
