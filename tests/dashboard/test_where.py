"""The address of a page says where one is, and nothing it says is believed."""

from hypothesis import given
from hypothesis import strategies as st

from mlaas_lab.dashboard.where import FILTERS, Where

CHOICES = {"page": ["overview", "cost"], "run": [], "target": ["a", "b&c=d", "é"], "metric": ["m"], "slice": ["x", "y"]}
some = st.lists(st.sampled_from(CHOICES["target"]), unique=True, max_size=2)


@given(page=st.sampled_from(CHOICES["page"]), target=some, slices=st.sampled_from([(), ("x",), ("y",)]))
def test_an_address_leads_back_to_where_it_was_taken(page, target, slices):
    where = Where.chosen({"page": page, "target": target, "slice": list(slices)}, CHOICES)
    assert Where.read(where.query, CHOICES) == where


@given(st.text())
def test_whatever_an_address_says_only_choices_come_of_it(search):
    where = Where.read(search, CHOICES)
    assert where.page in CHOICES["page"]
    assert all(set(getattr(where, name)) <= set(CHOICES[name]) for name in FILTERS)


def test_unknown_words_are_left_out():
    where = Where.read("?page=<script>&target=nobody&target=a&other=1&metric=m", CHOICES)
    assert (where.page, where.target) == ("overview", ("a",))


def test_all_choices_are_no_filter():
    assert Where.read("?slice=x&slice=y", CHOICES).slice == ()


def test_a_page_that_sends_nonsense_comes_nowhere():
    for said in ({}, {"page": 3, "target": "a"}, {"page": None, "target": [1, None]}, {"page": ["cost"]}):
        assert Where.chosen(said, CHOICES) == Where()
