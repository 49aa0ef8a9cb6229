"""BM25 against its formula, written out plainly."""

import math
import random
import string

import pytest

from mlaas_lab.variants.bm25 import K1, B, Ranking, words


def plainly(texts, question):
    """The score of each text, by Robertson and Zaragoza's formula and nothing else."""
    split = [words(text) for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for one in split:
        score = 0.0
        for word in set(words(question)):
            n = sum(word in other for other in split)
            idf = math.log(1 + (len(split) - n + 0.5) / (n + 0.5))
            tf = one.count(word)
            score += idf * tf / (tf + K1 * (1 - B + B * len(one) / mean)) if tf else 0
        scores.append(score)
    return scores


def test_by_hand():
    [first, second] = Ranking(["the cat sat", "the cat and the dog ran"]).top("cat", 5)
    # Both have the word, so idf is ln(1 + 0.5 / 2.5) = ln 1.2; lengths 3 and 6, mean 4.5.
    assert first == (0, pytest.approx(math.log(1.2) / (1 + 1.2 * (0.25 + 0.75 * 3 / 4.5))))
    assert second == (1, pytest.approx(math.log(1.2) / (1 + 1.2 * (0.25 + 0.75 * 6 / 4.5))))


def test_the_formula_on_random_texts():
    generator = random.Random(0)
    letters = string.ascii_lowercase[:12]

    def text(n):
        return " ".join(generator.choices(letters, k=n))

    for _ in range(30):
        texts = [text(generator.randint(1, 30)) for _ in range(generator.randint(1, 60))]
        question, k = text(4), generator.randint(1, 8)
        scores = plainly(texts, question)
        best = sorted((i for i, s in enumerate(scores) if s > 0), key=lambda i: (-round(scores[i], 12), i))[:k]
        found = Ranking(texts).top(question, k)
        assert [score for _, score in found] == pytest.approx([scores[place] for place in best])
        assert [scores[place] for place, _ in found] == pytest.approx([score for _, score in found])
        assert len({place for place, _ in found}) == len(found)


def test_equal_fit_in_the_order_of_the_corpus():
    assert [place for place, _ in Ranking(["b", "a", "a", "a", "c"]).top("a", 2)] == [1, 2]


def test_nothing_in_common_is_nothing():
    ranking = Ranking(["apple", "pear", "..."])
    assert ranking.top("plum", 2) == []
    assert ranking.top("?!", 2) == []
    assert [place for place, _ in ranking.top("PEAR plum", 2)] == [1]


def test_words_of_several_scripts():
    assert words("Don't STOP_it, 42!") == ["don", "t", "stop_it", "42"]
    assert words("Straße") == words("STRASSE")
    assert words("卡在哪里ok") == ["卡", "在", "哪", "里", "ok"]
    assert [place for place, _ in Ranking(["我的卡在哪里", "天气很好"]).top("卡", 2)] == [0]
