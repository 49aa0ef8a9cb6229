"""Every format gives the same chats; what a mapping means; ids and samples."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mlaas_lab.data import Bad, Chat, load, samples, scan
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Message

QUESTION, ANSWER = 'Where, "exactly",\nis my parcel? – Grüße', "On its way."
TURNS = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
CHAT = (Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER))


def jsonl(*rows: object) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def written(frame: pl.DataFrame, how: str) -> Callable[[Path], None]:
    return {"csv": frame.write_csv, "parquet": frame.write_parquet}[how]


def put(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


PAIR = {"prompt": QUESTION, "completion": ANSWER}
FAQ = {"question": [QUESTION], "answer": [ANSWER]}
MAP = {"question": "user", "answer": "assistant"}
FORMATS: dict[str, tuple[str, Callable[[Path], None], dict[str, str]]] = {
    "chat": ("f.jsonl", put(jsonl({"messages": TURNS})), {}),
    "chat as .json": ("f.json", put(jsonl({"messages": TURNS})), {}),
    "chat without a suffix": ("f", put(jsonl({"messages": TURNS})), {}),
    "array": ("f.json", put(json.dumps([{"messages": TURNS}], indent=2).encode()), {}),
    "array in .jsonl": ("f.jsonl", put(b"\n [" + jsonl({"messages": TURNS}) + b"]\n"), {}),
    "parts of a message": (
        "f.jsonl",
        put(jsonl({"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}, TURNS[1]]})),
        {},
    ),
    "gzip": ("f.jsonl.gz", put(gzip.compress(jsonl({"messages": TURNS}))), {}),
    "gzip under another name": ("f.jsonl", put(gzip.compress(jsonl({"messages": TURNS}))), {}),
    "a mark and CRLF": ("f.jsonl", put(b"\xef\xbb\xbf" + jsonl({"messages": TURNS}).replace(b"\n", b"\r\n")), {}),
    "no last line end": ("f.jsonl", put(jsonl({"messages": TURNS}).rstrip()), {}),
    "prompt and completion": ("f.jsonl", put(jsonl(PAIR)), {}),
    "prompt and completion as chats": ("f.jsonl", put(jsonl({"prompt": TURNS[:1], "completion": TURNS[1:]})), {}),
    "roles as columns": ("f.jsonl", put(jsonl({"user": QUESTION, "assistant": ANSWER})), {}),
    "alpaca": ("f.jsonl", put(jsonl({"instruction": QUESTION, "input": "", "output": ANSWER})), {}),
    "input and output": ("f.jsonl", put(jsonl({"input": QUESTION, "output": ANSWER})), {}),
    "more columns": ("f.jsonl", put(jsonl({"messages": TURNS, "prompt": "no", "source": {"a": [1]}, "score": 1.5})), {}),
    "mapped": ("f.jsonl", put(jsonl({"question": QUESTION, "answer": ANSWER})), MAP),
    "a mapped column wins": ("f.jsonl", put(jsonl({"q": QUESTION, "prompt": "no", "completion": ANSWER})), {"q": "prompt"}),
    "csv": ("f.csv", written(pl.DataFrame([PAIR]), "csv"), {}),
    "csv with a mark": ("f.csv", put("\ufeffprompt,completion\r\n".encode() + b'"%b",On its way.\r\n'), {}),
    "csv mapped": ("f.csv", written(pl.DataFrame(FAQ), "csv"), MAP),
    "csv with semicolons": ("f.csv", lambda path: pl.DataFrame([PAIR]).write_csv(path, separator=";"), {}),
    "csv with chats as JSON": ("f.csv", written(pl.DataFrame({"messages": [json.dumps(TURNS)]}), "csv"), {}),
    "tsv": ("f.tsv", lambda path: pl.DataFrame([PAIR]).write_csv(path, separator="\t"), {}),
    "csv gzipped": ("f.csv.gz", put(gzip.compress(pl.DataFrame([PAIR]).write_csv().encode())), {}),
    "parquet": ("f.parquet", written(pl.DataFrame([{"messages": TURNS}]), "parquet"), {}),
    "parquet of pairs": ("f.parquet", written(pl.DataFrame([PAIR]), "parquet"), {}),
    "parquet mapped": ("f.parquet", written(pl.DataFrame(FAQ), "parquet"), MAP),
    "parquet under another name": ("f.data", written(pl.DataFrame([PAIR]), "parquet"), {}),
    "parquet of alpaca": (
        "f.pq",
        written(pl.DataFrame({"instruction": [QUESTION], "input": [None], "output": [ANSWER]}), "parquet"),
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMATS)
def test_every_format_gives_the_same_chat(case: str, tmp_path: Path) -> None:
    name, write, mapping = FORMATS[case]
    write(tmp_path / name)
    if case == "csv with a mark":
        (tmp_path / name).write_bytes(
            (tmp_path / name).read_bytes().replace(b"%b", QUESTION.replace('"', '""').encode())
        )
    (chat,) = load(tmp_path / name, mapping=mapping)
    assert chat.messages == CHAT
    assert chat.answer == ANSWER


def load_rows(tmp_path: Path, *rows: object, **options: object) -> list[Chat]:
    (tmp_path / "f.jsonl").write_bytes(jsonl(*rows))
    return load(tmp_path / "f.jsonl", **options)  # type: ignore[arg-type]


def test_system_group_contexts_and_input(tmp_path: Path) -> None:
    row = {"instruction": "Add.", "input": "1 2", "output": "3", "system": "Be short.", "topic": 7, "docs": ["a", "b"]}
    (chat,) = load_rows(tmp_path, row, mapping={"topic": "group", "docs": "contexts"})
    assert [(m.role, m.content) for m in chat.messages] == [
        ("system", "Be short."),
        ("user", "Add.\n\n1 2"),
        ("assistant", "3"),
    ]
    assert (chat.group, chat.contexts) == ("7", ("a", "b"))


def test_a_system_message_in_the_chat_wins(tmp_path: Path) -> None:
    (chat,) = load_rows(tmp_path, {"system": "outer", "messages": [{"role": "system", "content": "inner"}, *TURNS]})
    assert [m.content for m in chat.messages if m.role == "system"] == ["inner"]


def test_samples_take_the_last_answer_away(tmp_path: Path) -> None:
    chats = load_rows(tmp_path, {"messages": TURNS * 2, "id": "x", "group": "g"}, {"prompt": "Only this"})
    first, second = samples(chats)
    assert (first.id, first.group, first.reference) == ("x", "g", ANSWER)
    assert [m.role for m in first.messages] == ["user", "assistant", "user"]
    assert second.reference is None
    assert [m.content for m in second.messages] == ["Only this"]


def test_ids_follow_the_content_and_are_unique(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b"}, {"prompt": "c"}, {"prompt": "a", "completion": "b"}]
    ids = [chat.id for chat in load_rows(tmp_path, *rows)]
    assert ids[2] == f"{ids[0]}-2"
    assert ids[0] != ids[1]
    assert [chat.id for chat in load_rows(tmp_path, *reversed(rows))] == [ids[0], ids[1], ids[2]]
    named = [
        {"id": "a", "prompt": "1"},
        {"id": "a-2", "prompt": "2"},
        {"id": "a", "prompt": "3"},
        {"id": "a", "prompt": "4"},
    ]
    assert len({chat.id for chat in load_rows(tmp_path, *named)}) == 4


def test_who_speaks_is_part_of_the_id(tmp_path: Path) -> None:
    a, b = load_rows(
        tmp_path,
        {"messages": [{"role": "user", "content": "ab"}, {"role": "assistant", "content": "c"}]},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "bc"}]},
    )
    assert a.id != b.id


def test_scan_goes_on_after_a_bad_row(tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_bytes(b"{,\n" + jsonl(PAIR) + b"\n[1]\n" + jsonl(PAIR))
    rows = list(scan(tmp_path / "f.jsonl"))
    assert [(type(row), row.line) for row in rows] == [(Bad, 1), (Chat, 2), (Bad, 4), (Chat, 5)]


def test_lines_of_a_csv_count_the_file_not_the_records(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(b'prompt,completion\n"two\nlines",x\n\nlast\n')
    assert [row.line for row in scan(tmp_path / "f.csv")] == [2, 5]


def test_training_rows_need_both_sides(tmp_path: Path) -> None:
    assert len(load_rows(tmp_path, {"prompt": "a"})) == 1
    with pytest.raises(DataError, match=r"f\.jsonl:2: the chat has no answer"):
        load_rows(tmp_path, PAIR, {"prompt": "a"}, answered=True)
    with pytest.raises(DataError, match=r"f\.jsonl:1: the chat has no question"):
        load_rows(tmp_path, {"completion": "a", "prompt": " "}, answered=True)


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"a": "usr"}, "Did you mean 'user'"),
        ({"a": "zzz"}, "A column can be: messages"),
        ({"a": "user", "b": "prompt"}, "two columns are mapped"),
    ],
)
def test_a_mapping_names_fields(mapping: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_rows(tmp_path, PAIR, mapping=mapping)
    assert said in str(caught.value)


def test_a_mapped_column_that_is_not_there(tmp_path: Path) -> None:
    pl.DataFrame(FAQ).write_parquet(tmp_path / "f.parquet")
    pl.DataFrame(FAQ).write_csv(tmp_path / "f.csv")
    for name in ("f.parquet", "f.csv"):
        with pytest.raises(DataError, match=r"no column 'qestion' to map\. Did you mean 'question'"):
            load(tmp_path / name, mapping={"qestion": "user", "answer": "assistant"})


def test_typed_columns_of_a_parquet_are_text(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"q": ["a", "b"], "label": pl.Series([3, 4]), "kind": pl.Series(["x", "y"], dtype=pl.Categorical)}
    )
    frame.write_parquet(tmp_path / "f.parquet")
    first, _ = load(tmp_path / "f.parquet", mapping={"q": "user", "label": "assistant", "kind": "group"})
    assert (first.answer, first.group) == ("3", "x")


def test_a_parquet_longer_than_a_slice(tmp_path: Path) -> None:
    pl.DataFrame({"prompt": [str(n) for n in range(45_000)]}).write_parquet(tmp_path / "f.parquet")
    chats = load(tmp_path / "f.parquet")
    assert [chat.messages[0].content for chat in chats] == [str(n) for n in range(45_000)]
    assert (chats[-1].line, len({chat.id for chat in chats})) == (45_000, 45_000)
