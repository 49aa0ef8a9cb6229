"""Near repeats: what MinHash finds is what comparing every pair finds."""

import random
import time

import pytest

from mlaas_lab.data import similar
from mlaas_lab.data.similar import SHINGLE, THRESHOLD, repeats

DICE = random.Random(0)
WORDS = ["".join(DICE.choices("abcdefghijklmnopqrstuvwxyz", k=DICE.randint(2, 9))) for _ in range(400)]


def sentence(words: int) -> str:
    return " ".join(DICE.choices(WORDS, k=words))


def changed(text: str) -> str:
    words = text.split()
    words[DICE.randrange(len(words))] = DICE.choice(WORDS)
    return " ".join(words)


def shingles(text: str) -> set[str]:
    padded = f" {text} ".ljust(SHINGLE)
    return {padded[i : i + SHINGLE] for i in range(len(padded) - SHINGLE + 1)}


def jaccard(a: str, b: str) -> float:
    return len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b))


def texts(n: int, words: int) -> list[str]:
    found = [sentence(words) for _ in range(n)]
    return found + [changed(text) for text in found[: n // 2]]


@pytest.mark.parametrize("words", [5, 12, 20])
def test_it_agrees_with_every_pair(words: int) -> None:
    found = texts(200, words)
    sets = [shingles(text) for text in found]
    want = {
        i
        for i in range(len(found))
        if any(len(sets[i] & sets[j]) / len(sets[i] | sets[j]) >= THRESHOLD for j in range(i))
    }
    got = repeats(found)
    assert {pair.index for pair in got} <= want, "none is invented"
    assert len({pair.index for pair in got} & want) >= 0.98 * len(want)
    assert all(pair.of < pair.index and jaccard(found[pair.index], found[pair.of]) >= THRESHOLD for pair in got)


def test_too_few_bands_would_miss_some(monkeypatch: pytest.MonkeyPatch) -> None:
    found = texts(300, 12)
    all_of_them = len(repeats(found))
    monkeypatch.setattr(similar, "BANDS", 1)
    assert len(repeats(found)) < 0.9 * all_of_them, "the control of the test above"


def test_long_texts_are_compared_by_a_sample() -> None:
    found = [sentence(600) for _ in range(40)]
    found += [changed(text) for text in found[:20]]
    assert [pair.index for pair in repeats(found)] == list(range(40, 60))
    assert [pair.of for pair in repeats(found)] == list(range(20))


def test_against_another_file() -> None:
    others = [sentence(12) for _ in range(100)]
    mine = [sentence(12), others[7], f"{others[9]} x", sentence(12)]
    assert [(pair.index, pair.of) for pair in repeats(mine, others=others)] == [(1, 7), (2, 9)]
    assert repeats(others, others=[]) == repeats([], others=others) == []


@pytest.mark.parametrize("found", [[], ["one"], ["", ""], ["a", "b"], ["a", "a"], ["\ud83d\ude00" * 3, "日本語の質問"]])
def test_short_and_strange_texts(found: list[str]) -> None:
    assert len(repeats(found)) == (1 if len(found) == 2 and found[0] == found[1] else 0)


@pytest.mark.parametrize("kind", ["all alike", "all different", "one template"])
def test_time_grows_with_rows_not_with_pairs(kind: str) -> None:
    def cpu_s(n: int) -> float:
        found = {
            "all alike": ["where is my parcel please"] * n,
            "all different": [sentence(8) for _ in range(n)],
            "one template": [f"order number {10_000 + i} has not arrived yet, where is it" for i in range(n)],
        }[kind]
        start = time.process_time()
        repeats(found)
        return time.process_time() - start

    cpu_s(500)
    assert cpu_s(16_000) < 100 * max(cpu_s(1_000), 0.02), "16 times the rows, 256 times the pairs"
