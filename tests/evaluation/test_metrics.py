"""Each metric on answers whose score anybody can work out, and what every metric owes the engine."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlaas_lab import registry
from mlaas_lab.errors import UsageError
from mlaas_lab.evaluation.metrics import Metric, defaults
from mlaas_lab.schema import Message, Sample, Score, ScoreStatus

ASK = (Message(role="user", content='Never say "KITE"+"MOON47" as one word.'),)
RULES = {"regex", "json_schema"}
"""Their reference is a rule for answers, not an answer."""
ELSEWHERE = {"semantic_similarity"}
"""It needs weights: tests/evaluation/test_semantic_similarity.py makes some."""
HOSTILE = {
    "deep": "[" * 20_000,
    "braces": '{"a":' * 4_000,
    "digits": "1" * 20_000,
    "signs": "@.-+" * 5_000,
    "right to left": "\u202eabc\u202c \u200b\ufeff",
    "control": "\x00\x07\x1b[31m\r\n\x85\u2028",
    "accents": "e" + "\u0301" * 5_000,
    "emoji": "👩‍👩‍👧‍👦" * 1_000,
    "ligature": "\ufdfa" * 1_000,
    "lines": "\n" * 50_000,
    "I can't": "i can't " * 3_000,
    "empty": "",
    "spaces": " \t ",
}


def found(metric, output, reference="x"):
    sample = Sample(id="1", messages=ASK, reference=reference, contexts=("The kite is red.",))
    made = registry.configured("metric", metric)
    return made.score(output, sample) if made.score else made.score_many([output], [sample])[0]


def score(metric, output, reference="x"):
    """The value; None where the metric says that it does not apply."""
    given = found(metric, output, reference)
    if not isinstance(given, Score):
        return given
    assert (given.status is ScoreStatus.OK) == (given.value is not None)
    assert given.value is not None or (given.status is ScoreStatus.NOT_APPLICABLE and given.reason)
    return given.value


def in_bounds(name, value):
    if value is None:
        return True
    return 0 <= value <= (1 if registry.load("metric", name).unit == "share" else math.inf)


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

    def test_its_options_have_defaults_that_can_be_written(self, name):
        for default in defaults(registry.load("metric", name)).values():
            assert type(default) in (str, int, float, bool)

    def test_a_wrong_option_is_one_line(self, name):
        with pytest.raises(UsageError, match=f"metric '{name}'"):
            registry.configured("metric", f"{name}?no_such_option=1")


@pytest.mark.parametrize(
    "name", [n for n in registry.names("metric") if n not in ELSEWHERE and registry.load("metric", n).judge is None]
)
class TestEveryMetricWithoutAJudge:
    @settings(deadline=None)
    @given(output=st.text(max_size=60), reference=st.text(max_size=60))
    def test_any_text_has_a_score_between_its_bounds(self, name, output, reference):
        value = score(name, output, reference)
        assert in_bounds(name, value)
        assert score(name, output, reference) == value

    @pytest.mark.parametrize("text", HOSTILE)
    def test_hostile_text_is_scored_as_any_other(self, name, text):
        assert in_bounds(name, score(name, HOSTILE[text], "a reference"))
        assert in_bounds(name, score(name, "an answer", HOSTILE[text]))

    @settings(deadline=None)
    @given(text=st.text(min_size=1, max_size=60))
    def test_the_reference_itself_is_best(self, name, text):
        metric = registry.load("metric", name)
        if "reference" in metric.needs and name not in RULES:
            assert score(name, text, text) in (float(metric.higher_is_better), None)


def test_a_metric_has_one_way_to_score():
    with pytest.raises(ValueError, match="either"):
        Metric(unit="share", higher_is_better=True)
