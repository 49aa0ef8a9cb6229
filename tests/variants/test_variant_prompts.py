"""What a prompt is, and what it makes of a chat."""

import json

import pytest

from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Message, Passage, Target
from mlaas_lab.variants import of
from mlaas_lab.variants.prompts import Prompt, filled, read

CHAT = (
    Message(role="system", content="from the data"),
    Message(role="user", content="first"),
    Message(role="assistant", content="reply"),
    Message(role="user", content="last {contexts} {question}"),
)


def said(variant, chat=CHAT):
    return [(turn.role, turn.content) for turn in variant.shown(chat).messages]


def variant(folder, query):
    return of(Target.parse(f"tiny?{query}"), folder)


@pytest.mark.parametrize(
    ("name", "text", "prompt"),
    [
        ("p.txt", "Be brief.\n", Prompt(system="Be brief.")),
        ("p.md", "\ufeffSay: {question}", Prompt(template="Say: {question}")),
        ("p.yaml", "system: A\ntemplate: |-\n  Q: {question}\n  A:", Prompt(system="A", template="Q: {question}\nA:")),
        ("p.yml", "system: A", Prompt(system="A")),
        ("p.json", '{"template": "{question} as {\\"a\\": 1}"}', Prompt(template='{question} as {"a": 1}')),
        ("p", "Be brief.", Prompt(system="Be brief.")),
    ],
)
def test_files(tmp_path, name, text, prompt):
    (tmp_path / name).write_text(text)
    assert read(name, tmp_path) == prompt
    assert read("p", tmp_path) == prompt, "the ending may be left out"
    assert read(str(tmp_path / name), tmp_path / "elsewhere") == prompt


def test_a_text_holds_a_space(tmp_path):
    assert read("Be brief.", tmp_path) == Prompt(system="Be brief.")
    (tmp_path / "my brief.txt").write_text("Hello")
    assert read("my brief.txt", tmp_path) == Prompt(system="Hello"), "a file of that name goes first"
    assert read("A" * 5000 + " B", tmp_path).system.endswith(" B")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.txt", " \n", "is empty"),
        ("p.txt", "{contexts} only", "shows no question"),
        ("p.txt", b"caf\xe9", "not UTF-8"),
        ("p.txt", "text".encode("utf-16"), "UTF-16"),
        ("p.json", "{", "is no JSON"),
        ("p.json", "[" * 100_000, "is no JSON"),
        ("p.yaml", "a: [", "is no YAML"),
        ("p.yaml", "!!python/object/apply:os.system ['true']", "is no YAML"),
        ("p.yaml", "- a", "says no prompt"),
        ("p.yaml", "sytem: A", "unknown field 'sytem'. Did you mean 'system'?"),
        ("p.yaml", "system: 3", "system is no text"),
        ("p.json", '{"system": "half \\ud800"}', "system is no text"),
        ("p.yaml", "template: Hello", "the template shows no question"),
    ],
)
def test_bad_files_get_one_line(tmp_path, name, text, said):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError) as caught:
        read(name, tmp_path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_files_of_one_name(tmp_path):
    for ending in (".txt", ".yaml"):
        (tmp_path / f"p{ending}").write_text("system: A")
    with pytest.raises(UsageError, match=r"may be p\.txt and p\.yaml"):
        read("p", tmp_path)


def test_a_system_prompt_replaces_that_of_the_data(tmp_path):
    assert said(variant(tmp_path, "prompt=Be+brief.")) == [
        ("system", "Be brief."),
        ("user", "first"),
        ("assistant", "reply"),
        ("user", "last {contexts} {question}"),
    ]


def test_a_template_words_the_last_question_and_keeps_the_rest(tmp_path):
    found = said(variant(tmp_path, "prompt=Q:+%7Bquestion%7D+as+%7B%22a%22:1%7D"))
    assert found[0] == ("system", "from the data")
    assert found[-1] == ("user", 'Q: last {contexts} {question} as {"a":1}'), "what is put in is not looked at again"
    assert len(found) == 4


def test_a_chat_without_a_question(tmp_path):
    with pytest.raises(DataError, match="no question of a user"):
        variant(tmp_path, "prompt=Q:+%7Bquestion%7D").shown(CHAT[:1])
    assert said(variant(tmp_path, "prompt=Be+brief."), CHAT[:1]) == [("system", "Be brief.")]


def test_passages_are_numbered():
    found = [Passage(source="a", text=text, score=1.0) for text in ("one {question}", "two")]
    assert filled("{contexts}|{question}", "q", found) == "[1] one {question}\n\n[2] two|q"
    assert filled("{contexts}|{question}", "q", []) == "(none was found)|q"


def test_all_together(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"system": "S", "template": "{contexts}\n{question}"}))
    (tmp_path / "docs.jsonl").write_text('{"id": "d1", "text": "cards come by post"}\n"nothing else"\n')
    (tmp_path / "shots.jsonl").write_text('{"prompt": "old", "completion": "answer", "system": "theirs"}\n')
    made = variant(tmp_path, "prompt=p&shots=1@shots.jsonl&retrieve=docs.jsonl")
    question = (Message(role="system", content="data"), Message(role="user", content="Cards?"))
    assert said(made, question) == [
        ("system", "S"),
        ("user", "old"),
        ("assistant", "answer"),
        ("user", "[1] cards come by post\nCards?"),
    ]
    [passage] = made.shown(question).contexts
    assert (passage.source, passage.text) == ("d1", "cards come by post")
    assert passage.score > 0
    assert said(variant(tmp_path, "prompt=Q+%7Bquestion%7D&shots=1@shots.jsonl"), question[1:]) == [
        ("user", "Q old"),
        ("assistant", "answer"),
        ("user", "Q Cards?"),
    ], "examples are worded as the question is"
