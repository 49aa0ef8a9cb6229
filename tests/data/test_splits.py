"""A split is disjoint, complete, stable under its seed, and keeps what asks the same together."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlaas_lab.data import Chat, split
from mlaas_lab.data.chats import numbered
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message


def chat(question: str, answer: str = "ok", group: str | None = None) -> Chat:
    turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Chat(id=f"{question}/{answer}", messages=turns, group=group)


def chats(n: int, *, groups: int = 1) -> list[Chat]:
    return [chat(f"question {i}", f"answer {i % 3}", f"g{i % groups}") for i in range(n)]


rows = st.lists(
    st.builds(
        chat, st.text("abAB .", min_size=1, max_size=4), st.sampled_from("xy"), st.sampled_from(["g", "h", None])
    ),
    min_size=2,
    max_size=60,
).map(lambda found: list(numbered(found)))
how = st.sampled_from([None, "group", "reference"])


@given(rows, st.floats(0.01, 0.99), st.integers(0, 99), how)
def test_disjoint_complete_stable_and_without_leakage(
    found: list[Chat], test: float, seed: int, by: str | None
) -> None:
    try:
        first = split(found, test=test, seed=seed, by=by)  # type: ignore[arg-type]
    except DataError:
        assert len({c.asked for c in found}) == 1 or (by == "group" and not any(c.group for c in found))
        return
    assert first.train
    assert first.test
    assert sorted([*first.train, *first.test], key=found.index) == found
    assert not {c.id for c in first.train} & {c.id for c in first.test}
    assert not {c.asked for c in first.train} & {c.asked for c in first.test}
    assert split(found, test=test, seed=seed, by=by) == first  # type: ignore[arg-type]


@given(st.permutations(range(40)), st.integers(0, 9), how)
def test_the_order_of_the_file_does_not_matter(order: list[int], seed: int, by: str | None) -> None:
    plain = chats(40, groups=4)
    turned = [plain[i] for i in order]
    held = {c.id for c in split(plain, test=0.25, seed=seed, by=by).test}  # type: ignore[arg-type]
    assert {c.id for c in split(turned, test=0.25, seed=seed, by=by).test} == held  # type: ignore[arg-type]


@pytest.mark.parametrize("test", [0.1, 0.2, 0.5, 0.9])
def test_the_share_is_kept_to_the_row(test: float) -> None:
    assert len(split(chats(200), test=test).test) == 200 * test


@pytest.mark.parametrize("by", ["group", "reference"])
def test_strata_keep_their_share(by: str) -> None:
    found = split(chats(300, groups=10), test=0.2, by=by)  # type: ignore[arg-type]
    held = Counter(c.group if by == "group" else c.answer for c in found.test)
    assert set(held.values()) == ({6} if by == "group" else {20})


def test_without_strata_shares_vary() -> None:
    held = Counter(c.group for c in split(chats(300, groups=10), test=0.2).test)
    assert set(held.values()) != {6}, "the control of the test above"


def test_another_seed_is_another_split() -> None:
    held = {tuple(c.id for c in split(chats(100), test=0.2, seed=seed).test) for seed in range(5)}
    assert len(held) == 5


def test_added_rows_move_few_others() -> None:
    before = {c.id for c in split(chats(200), test=0.2).test}
    after = {c.id for c in split(chats(210), test=0.2).test}
    assert len(before - after) <= 10


def test_many_copies_of_each_question() -> None:
    found = split([chat(str(n % 10), str(n)) for n in range(100)], test=0.05)
    assert (len(found.train), len(found.test)) == (90, 10)


@pytest.mark.parametrize("found", [chats(1), [chat("same", str(n)) for n in range(9)]], ids=["one row", "one question"])
def test_an_empty_side_is_refused(found: list[Chat]) -> None:
    with pytest.raises(DataError, match="one side would be empty"):
        split(found, test=0.5)


def test_a_group_that_nobody_has() -> None:
    with pytest.raises(DataError, match="--map COLUMN=group"):
        split([chat(str(n)) for n in range(9)], test=0.5, by="group")
