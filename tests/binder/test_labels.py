"""A label that is missing is found, whatever the output's form."""

import nbformat
import pytest
from nbformat import v4

from binder import labels

TABLE = "<style>.emulated { top: 1px }</style><table><tr><td>{}</td><td>97 %</td></tr></table>"
LIVE = {labels.LIVE: {"model_id": "m"}, "text/plain": "recorded: the live view needs a kernel"}


def notebook(data, state=None):
    cell = v4.new_code_cell("%mlaas compare a\nmore", outputs=[v4.new_output("display_data", data)])
    states = {labels.STATES: {"state": {"m": {"state": state or {}}}}}
    return nbformat.from_dict({**v4.new_notebook(cells=[cell]), "metadata": {"widgets": states}})


def missing(data, state=None, excused=None):
    return labels.unlabelled(notebook(data, state), excused or {})


@pytest.mark.parametrize(
    "data",
    [
        {"text/html": TABLE.replace("{}", "ours")},
        {"text/html": TABLE.replace("{}", "tiny (recorded)"), "text/plain": "tiny 0 %"},
        {"text/html": TABLE.replace("{}", "tiny (recorded), large")},
        {"text/markdown": "| small (recorded) | 97 % |"},
        {"text/plain": "large wins; tiny (recorded) does not"},
    ],
)
def test_numbers_without_their_origin_are_found(data):
    assert missing(data) == {"%mlaas compare a"}


def test_what_a_live_view_shows_is_looked_at_and_what_it_hides_does_not_count():
    hidden = {"code": "compare large (emulated)", "_esm": "emulated", "content": {"rows": [["large", 0.97]]}}
    assert missing(LIVE, hidden) == {"%mlaas compare a"}
    assert missing(LIVE, {"content": {"rows": [["large (emulated)", 0.97]]}}) == set()


def test_labelled_numbers_and_words_without_any_pass():
    assert (
        missing({"text/html": TABLE.replace("{}", "large (emulated), tiny (recorded)"), "text/plain": "done"}) == set()
    )


def test_an_excuse_is_told_by_its_name():
    assert missing({"text/plain": "12 s"}, excused={"%mlaas compare": "why"}) == {"%mlaas compare"}
