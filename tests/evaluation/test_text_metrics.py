"""Metrics against a reference, by published examples and by the numbers of reference implementations."""

import itertools
import math
import random

import pytest

from mlaas_lab import registry
from mlaas_lab.evaluation.labels import label
from mlaas_lab.evaluation.metrics.rouge_l import longest_common
from mlaas_lab.evaluation.words import words
from mlaas_lab.schema import Message, Sample, Score, ScoreStatus

ASK = (Message(role="user", content="?"),)


def found(metric, output, reference=None, contexts=()):
    sample = Sample(id="1", messages=ASK, reference=reference, contexts=contexts)
    given = registry.configured("metric", metric).score(output, sample)
    return given if isinstance(given, Score) else Score(value=given)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat-sat, 2nd!", ["the", "cat", "sat", "2nd"]),
        ("Straße ＡＢＣ", ["strasse", "abc"]),
        ("今天 go去", ["今", "天", "go", "去"]),
        ("_ — …", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


class TestRougeL:
    @pytest.mark.parametrize(
        ("output", "reference", "expected"),
        [
            # Lin 2004, section 3.1: S2, S3 and S4 against S1.
            ("police kill the gunman", "police killed the gunman", 3 / 4),
            ("the gunman kill police", "police killed the gunman", 2 / 4),
            ("the gunman police killed", "police killed the gunman", 2 / 4),
            # rouge-score 0.1.2, rougeL without stemmer.
            ("The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog", 10 / 17),
            ("testing", "testing one two", 0.5),
            (
                "State of the art: a rise of 3.5 % she said",
                "It's a state-of-the-art 3.5% rise, she_said.",
                0.6956521739,
            ),
            ("", "nothing", 0),
            ("!", "!", 1),
            ("!", "?", 0),
        ],
    )
    def test_published(self, output, reference, expected):
        assert found("rouge_l", output, reference).value == pytest.approx(expected)

    def test_subsequence_is_that_of_the_textbook(self):
        generator = random.Random(1)
        for _ in range(300):
            a, b = ([generator.choice("abc") for _ in range(generator.randint(0, 12))] for _ in "ab")
            table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
            for (i, x), (j, y) in itertools.product(enumerate(a), enumerate(b)):
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
            assert longest_common(a, b) == table[-1][-1]


class TestBleu:
    def test_by_hand(self):
        # 6/6, 4/5, 2/4 and 1/3 n-grams match; 6 words stand for 7.
        value = found("bleu", "The dog bit the man.", "The dog had bit the man.").value
        assert value == pytest.approx(math.exp(1 - 7 / 6) * (1 * 4 / 5 * 2 / 4 * 1 / 3) ** 0.25)

    def test_a_short_answer_is_not_judged_by_orders_it_cannot_have(self):
        assert found("bleu", "yes", "yes").value == 1
        # One word of two, no pairs: exp(1 - 2/1).
        assert found("bleu", "test", "a test").value == pytest.approx(math.exp(-1))

    def test_tokenizers(self):
        assert found("bleu", "我喜欢猫", "我喜欢狗").value < 0.01
        assert found("bleu?tokenize=zh", "我喜欢猫", "我喜欢狗").value == pytest.approx(
            (3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) ** 0.25
        )


# Sentence scores published in sacrebleu's own tests (test/test_chrf.py), which smooth by an epsilon: 4e-6 apart at most.
@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        (
            "Co nás nejvíc trápí, protože lékaři si vybírají, kdo bude žít a kdo zemře.",
            "Nejvíce smutní jsme z toho, že musíme rozhodovat o tom, kdo bude žít a kdo zemře.",
            0.3914078509,
        ),
        (
            "Nebo prostě nemají vybavení, které by jim pomohlo, uvedli lékaři.",
            "A někdy nemáme ani potřebný materiál, abychom jim pomohli, popsali lékaři.",
            0.3122557079,
        ),
        (
            "Lapali po dechu, jejich životy skončily dřív, než skutečně začaly.",
            "Lapali po dechu a pak jejich život skončil - dřív, než skutečně mohl začít, připomněli.",
            0.5715704367,
        ),
    ],
)
def test_chrf_as_published(output, reference, expected):
    assert found("chrf", output, reference).value == pytest.approx(expected, abs=1e-5)
    assert found("chrf?word_order=2", output, reference).value != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        ("sitting", "kitten", 3 / 7),
        ("Sunday", "Saturday", 3 / 8),
        ("  same\n", "same", 0),
        ("", "abc", 1),
        ("", " ", 0),
    ],
)
def test_edit_distance(output, reference, expected):
    assert found("edit_distance", output, reference).value == pytest.approx(expected)


class TestRegex:
    @pytest.mark.parametrize(
        ("metric", "output", "reference", "expected"),
        [
            (r"regex?pattern=^\d+$", "42\n", None, 1),
            (r"regex?pattern=^\d+$", "42 apples", None, 0),
            (r"regex?pattern=\bno\b", "Well, no.", None, 1),
            (r"regex?pattern=(?i)^YES", "yes!", None, 1),
            (r"regex?pattern=^.{2%2C3}$", "été", None, 1),
            ("regex", "order 17", r"order \d\d", 1),
            ("regex", "order seventeen", r"order \d\d", 0),
        ],
    )
    def test_found(self, metric, output, reference, expected):
        assert found(metric, output, reference).value == expected

    def test_a_reference_that_is_no_pattern_scores_nobody(self):
        given = found("regex", "(", "(")
        assert (given.value, given.status) == (None, ScoreStatus.NOT_APPLICABLE)
        assert "'('" in given.reason

    def test_a_pattern_that_explodes_elsewhere_does_not_here(self):
        # (a+)+$ takes a backtracking engine 2^100,000 steps.
        assert found("regex?pattern=^(a+)+$", "a" * 100_000 + "b").value == 0


class TestJsonSchema:
    ORDER = (
        '{"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}, "tags": {"type": "array"}}}'
    )

    @pytest.mark.parametrize(
        ("output", "value", "reason"),
        [
            ('{"id": 3, "tags": []}', 1, None),
            (' {"id": 3}\n', 1, None),
            ('{"id": "3"}', 0, "$.id: '3' is not of type 'integer'"),
            ("{}", 0, "$: 'id' is a required property"),
            ('```json\n{"id": 3}\n```', 0, "the answer is no JSON"),
            ("", 0, "the answer is no JSON"),
        ],
    )
    def test_of_the_reference_and_of_the_option(self, output, value, reason):
        option = f"json_schema?schema={self.ORDER}"
        for given in (found("json_schema", output, self.ORDER), found(option, output)):
            assert (given.value, given.reason) == (value, reason)

    @pytest.mark.parametrize(
        ("schema", "says"),
        [
            ("no schema", "the schema is no JSON"),
            ("[]", "no JSON object"),
            ('{"type": "integer or so"}', "the schema is none"),
            ('{"$ref": "http://127.0.0.1:9/order.json"}', "refers to what is not in it"),
            ('{"$ref": "file:///etc/hostname"}', "refers to what is not in it"),
        ],
    )
    def test_a_schema_that_is_none_scores_nobody(self, schema, says):
        given = found("json_schema", "{}", schema)
        assert (given.value, given.status) == (None, ScoreStatus.NOT_APPLICABLE)
        assert says in given.reason

    def test_it_may_refer_to_itself(self):
        tree = '{"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["v"]}'
        assert found("json_schema", '{"v": 1, "next": {"v": 2}}', tree).value == 1
        assert found("json_schema", '{"v": 1, "next": {}}', tree).value == 0


class TestAccuracy:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("**Card_arrival**.\nBecause …", "card arrival"),
            ("\n\n 'card-arrival' ", "card arrival"),
            ("...", "..."),
            ("", ""),
        ],
    )
    def test_label(self, text, expected):
        assert label(text) == expected

    def test_none_of_the_labels_is_wrong_and_says_so(self):
        metric = "accuracy?labels=Card arrival/lost card/top-up"
        assert found(metric, "card_arrival", "Card arrival") == Score(value=1.0)
        assert found(metric, "lost card", "Card arrival") == Score(value=0.0)
        assert found(metric, "I am not sure.", "Card arrival").reason == "none of the labels: 'i am not sure'"
        assert found(metric, "I am not sure.", "Card arrival").value == 0

    def test_a_reference_that_is_no_label_scores_nobody(self):
        given = found("accuracy?labels=yes/no", "yes", "maybe")
        assert (given.value, given.status) == (None, ScoreStatus.NOT_APPLICABLE)


class TestGroundedness:
    CONTEXTS = ("The harbour bridge was opened in 1931.", "It carries six lanes of traffic and two railway tracks.")

    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            ("The bridge was opened in 1931. It carries two railway tracks.", 1),
            ("The bridge was opened in 1932. It carries two railway tracks.", 0.5),
            ("The mayor disliked granite statues!", 0),
            ("The bridge was opened in 1931.\nThe mayor disliked granite statues.\nSix lanes of traffic.", 2 / 3),
        ],
    )
    def test_by_hand(self, output, expected):
        assert found("groundedness", output, contexts=self.CONTEXTS).value == pytest.approx(expected)

    def test_the_threshold_decides(self):
        half = "The harbour bridge delighted everybody."
        assert found("groundedness?threshold=0.5", half, contexts=self.CONTEXTS).value == 1
        assert found("groundedness?threshold=0.8", half, contexts=self.CONTEXTS).value == 0

    def test_what_is_loose_is_named(self):
        given = found("groundedness", "It opened in 1931 by harbour bridge. Pigs fly.", contexts=self.CONTEXTS)
        assert given.reason == "not in the contexts: Pigs fly."

    def test_signs_are_words_of_their_own(self):
        assert found("groundedness", "大桥于1931年开通。市长不喜欢。", contexts=("大桥于1931年开通。",)).value == 0.5

    @pytest.mark.parametrize(("output", "contexts"), [("…", CONTEXTS), ("Yes.", ("—",))])
    def test_nothing_to_support_has_no_score(self, output, contexts):
        assert found("groundedness", output, contexts=contexts).status == ScoreStatus.NOT_APPLICABLE


def test_length():
    assert found("length_words", "It's 3 o'clock, 今天.").value == 7
    assert found("length_words", "").value == 0
