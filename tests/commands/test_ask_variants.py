"""`ask` tells each target what its own words say, and shows what was retrieved."""

import pytest
from loopback import Loopback

from mlaas_lab.commands.ask import Ask, command
from mlaas_lab.errors import DataError
from mlaas_lab.lab import Lab
from mlaas_lab.spec import read


def run(*words):
    return command.run(read(Ask, words), Lab())


def test_each_is_told_what_its_words_say(tmp_path):
    (tmp_path / "brief.txt").write_text("Be brief.")
    (tmp_path / "train.jsonl").write_text('{"prompt": "where is my card?", "completion": "there"}\n')
    (tmp_path / "faq.md").write_text("# Cards\nYour card is in the post.\n# Fees\nNone.")
    with Loopback() as server:
        bare = f"openai/m?base_url={server.base_url}"
        targets = (bare, f"{bare}&prompt=brief", f"{bare}&shots=1@train.jsonl", f"{bare}&retrieve=faq.md&top_k=1")
        answers = run("Where is my card?", "--system", "Be kind.", "--targets", ",".join(targets), "--repeat", "2")
        sent = [[m["content"] for m in seen.body["messages"]] for seen in server.requests]
    rows = answers.as_json()["completions"]
    assert [row["target"] for row in rows] == [*targets, *targets]
    assert [row["error"] for row in rows] == [None] * 8
    assert sent.count(["Be kind.", "Where is my card?"]) == 2
    assert sent.count(["Be brief.", "Where is my card?"]) == 2
    assert sent.count(["Be kind.", "where is my card?", "there", "Where is my card?"]) == 2, "no leakage in a talk"
    assert sum("[1] Cards\n\nYour card is in the post." in turns[-1] for turns in sent) == 2
    assert [[passage["source"] for passage in row.get("contexts", [])] for row in rows[:4]] == [
        [],
        [],
        [],
        ["faq.md:1"],
    ]


def test_a_file_that_is_not_there_stops_everything():
    with Loopback() as server:
        with pytest.raises(DataError, match=r"brief\.txt does not exist"):
            run("hi", "--targets", f"echo/a,openai/m?base_url={server.base_url}&prompt=brief.txt")
        assert server.requests == []
