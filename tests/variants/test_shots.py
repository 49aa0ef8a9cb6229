"""Examples: the same ones for the same seed, and never one that is asked."""

import json

import pytest

from mlaas_lab import data
from mlaas_lab.errors import DataError
from mlaas_lab.variants import shots

WORDS = ["apple river", "stone cloud", "green lamp", "paper ship", "quiet horse", "silver door", "winter bread"]


def write(path, questions, answer="yes"):
    rows = [{"prompt": question, **({} if answer is None else {"completion": answer})} for question in questions]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def train(tmp_path):
    return write(tmp_path / "train.jsonl", WORDS)


@pytest.fixture
def samples(tmp_path):
    """What is asked, from its questions."""
    return lambda *questions: data.samples(data.load(write(tmp_path / "asked.jsonl", questions)))


def questions(chats):
    return [chat.question[-1].content for chat in chats]


def test_a_seed_draws_them_and_two_are_the_first_of_three(train):
    three = questions(shots.drawn(3, train, seed=1))
    assert three == questions(shots.drawn(3, train, seed=1))
    assert three[:2] == questions(shots.drawn(2, train, seed=1))
    assert len({tuple(questions(shots.drawn(3, train, seed=seed))) for seed in range(8)}) > 4


def test_of_a_snapshot_the_train_part(train, tmp_path):
    split = data.split(data.load(train), test=0.4)
    data.snapshot(split, tmp_path / "snap", source=train)
    held = data.samples(split.test)
    found = shots.drawn(len(split.train), tmp_path / "snap", seed=0, samples=held)
    assert set(questions(found)) == set(questions(split.train))


def test_one_that_is_asked_refuses_the_file(train, samples):
    with pytest.raises(DataError) as caught:
        shots.drawn(1, train, seed=0, samples=samples("Other", "  Green, LAMP!"))
    assert "1 of the 7 examples" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_control_without_the_check_and_the_sieve_it_is_given_away(train, samples, monkeypatch):
    monkeypatch.setattr(shots, "_check_leak", lambda *_: None)
    monkeypatch.setattr("mlaas_lab.data.similar.repeats", lambda *_a, **_k: [])
    found = shots.drawn(7, train, seed=0, samples=samples("green lamp"))
    assert "green lamp" in questions(found)


def test_one_that_nearly_repeats_a_question_is_never_drawn(tmp_path, samples):
    long = "how do I activate the new bank card that came in the post this morning"
    train = write(tmp_path / "near.jsonl", [*WORDS, f"{long} please"])
    asked = samples(long)
    for seed in range(5):
        assert f"{long} please" not in questions(shots.drawn(7, train, seed=seed, samples=asked))
    with pytest.raises(DataError, match="7 different examples with an answer besides 1 that nearly repeat"):
        shots.drawn(8, train, seed=0, samples=asked)


def test_too_few(tmp_path, train):
    with pytest.raises(DataError, match="has 7 different examples with an answer, and shots asks for 8"):
        shots.drawn(8, train, seed=0)
    repeated = write(tmp_path / "repeated.jsonl", ["same", "Same", "same!"])
    with pytest.raises(DataError, match="has 1 different"):
        shots.drawn(2, repeated, seed=0)
    silent = write(tmp_path / "silent.jsonl", WORDS, answer=None)
    with pytest.raises(DataError, match="has 0 different"):
        shots.drawn(1, silent, seed=0)
