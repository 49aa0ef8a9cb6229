"""Each metric on answers whose score anybody can work out, and what every metric owes the engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlaas_lab import registry
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Message, Sample

ASK = (Message(role="user", content="?"),)


def score(metric, output, reference="x"):
    return registry.load("metric", metric).score(output, Sample(id="1", messages=ASK, reference=reference))


@pytest.mark.parametrize(
    ("metric", "output", "reference", "expected"),
    [
        ("exact_match", " card_arrival\n", "card_arrival", 1),
        ("exact_match", "Card_arrival", "card_arrival", 0),
        ("exact_match", "", "card_arrival", 0),
        ("contains", "I think it is CARD_ARRIVAL.", "card_arrival", 1),
        ("contains", "card arrival", "card_arrival", 0),
        ("json_valid", ' {"a": [1, null]}\n', "", 1),
        ("json_valid", '```json\n{"a": 1}\n```', "", 0),
        ("json_valid", "{'a': 1}", "", 0),
        ("json_valid", "NaN", "", 0),
        ("json_valid", "", "", 0),
        ("json_valid", "[" * 100_000, "", 0),
        ("token_f1", "the cat sat", "A cat sat down", 0.8),
        ("token_f1", "yes, yes", "yes", 2 / 3),
        ("token_f1", "dog", "cat", 0),
        ("token_f1", "", "cat", 0),
        ("token_f1", "the", "A", 0),
        ("token_f1", "a.", "A", 1),
        ("token_f1", "?", "?", 1),
        ("token_f1", "?", "!", 0),
    ],
)
def test_by_hand(metric, output, reference, expected):
    assert score(metric, output, reference) == pytest.approx(expected)


@pytest.mark.parametrize("name", registry.names("metric"))
class TestEveryMetric:
    def test_says_what_it_is(self, name):
        metric = registry.load("metric", name)
        assert isinstance(metric, Metric)
        assert metric.unit
        assert metric.needs <= {"reference", "contexts", "group"}
        assert (registry.resolve(f"mlaas_lab.evaluation.metrics.{name}").__doc__ or "").strip()

    @given(output=st.text(max_size=60), reference=st.text(max_size=60))
    def test_any_text_has_a_score_between_its_bounds(self, name, output, reference):
        value = score(name, output, reference)
        assert 0 <= value <= 1
        assert score(name, output, reference) == value

    @given(text=st.text(min_size=1, max_size=60))
    def test_the_reference_itself_is_best(self, name, text):
        if "reference" in registry.load("metric", name).needs:
            assert score(name, text, text) == 1


def test_a_metric_has_one_way_to_score():
    with pytest.raises(ValueError, match="either"):
        Metric(unit="share", higher_is_better=True)
