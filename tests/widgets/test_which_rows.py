"""What can be asked for, by place and by name."""

import pytest
from hostile import CORPUS
from made_records import duel, frame_of
from pydantic import ValidationError

from mlaas_lab.errors import UsageError
from mlaas_lab.widgets.which import Choices, Only, Which, asked, query

CHOICES = Choices(
    targets=["echo/a?x=1&y=2", "b"], metrics=["exact_match", "regex?pattern=^a$"], groups=["ä=ö", "&"], errors=["timeout"],
    providers=[], regions=[],
)  # fmt: skip


def test_question_is_written_with_names_and_read_again():
    which = Which(a=0, b=1, metric=1, group=1, error=0, only=Only.B_MORE, find="50 % & more=less")
    assert asked(query(which, CHOICES), CHOICES) == which
    assert query(Which(target=1), CHOICES) == "target=b&only=apart"


@pytest.mark.parametrize("word", [word for word in CORPUS if word.isprintable()])
def test_hostile_name_is_a_name(word):
    named = Choices(targets=["other", word], metrics=[], groups=[], errors=[], providers=[], regions=[])
    which = Which(target=1, find=word[:200])
    assert asked(query(which, named), named) == which


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target=bb", "no target is called 'bb'"),
        ("only=worse", "'worse' is unknown"),
        ("colour=red", "'colour' is unknown"),
        ("a=b", "a pair has two targets"),
    ],
)
def test_wrong_words_are_named(text, said):
    with pytest.raises(UsageError, match=said):
        asked(text, CHOICES)


@pytest.mark.parametrize(
    "given", [{"target": -1}, {"target": "0"}, {"target": True}, {"only": "x"}, {"x": 1}, {"find": "a" * 201}]
)
def test_anything_else_is_refused(given):
    with pytest.raises(ValidationError):
        Which.model_validate(given)


def test_lists_of_many_names_are_not_offered(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", duel(n=300, right=150))
    found = Choices.of(frame.with_columns(group=frame["sample_id"], error=frame["sample_id"]))
    assert (found.groups, found.errors, found.targets) == ([], [], ["bad", "good"])
