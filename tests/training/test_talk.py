"""The talk that `tiny` reads."""

import json
import random
from itertools import islice
from pathlib import Path

from mlaas_lab.training import talk

DEMO = Path(__file__).parents[2] / "notebooks" / "data" / "support.jsonl"


def test_same_seed_same_talk():
    first, second, other = (list(islice(talk.chats(seed), 50)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_every_pattern_can_be_said():
    known, chance = talk.grammar(), random.Random(0)
    for matter in known.matters:
        assert matter.lines, matter.topic
        for kind, pattern in matter.lines:
            assert kind in known.frames, pattern
            for _ in range(5):
                said = known.expand(pattern, chance)
                assert said
                assert not set("[]{}|~") & set(said), said


def test_every_matter_comes_up():
    answers = {
        message.content for chat in islice(talk.chats(0), 400) for message in chat if message.role == "assistant"
    }
    assert answers == {matter.answer for matter in talk.grammar().matters}


def test_chats_end_with_an_answer_and_take_turns():
    for chat in islice(talk.chats(3), 300):
        roles = [message.role for message in chat if message.role != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_no_answer_is_a_label_of_the_demo():
    labels = {json.loads(line)["messages"][-1]["content"] for line in DEMO.read_text().splitlines()}
    answers = {matter.answer.lower() for matter in talk.grammar().matters}
    assert not labels & answers
