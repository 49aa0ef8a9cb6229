"""Files that somebody crafted or a machine broke: one line that names the file, the place and the fix, and nothing else."""

import gzip
import io
import json
import os
import random
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

from mlaas_lab.data import check, load, resolve, sha256
from mlaas_lab.data.files import lines
from mlaas_lab.errors import DataError, LabError

CHAT = {
    "messages": [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "On its way."}]
}
LINE = json.dumps(CHAT).encode() + b"\n"
CSV = b"prompt,completion\nWhere is it?,Here.\n"
ROLE = b'{"messages": [{"role": "%s", "content": "x"}]}'


def parquet(**columns: list[object]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(columns, strict=False).write_parquet(out)
    return out.getvalue()


PARQUET = parquet(prompt=[f"q{n}" for n in range(50)], completion=[f"a{n}" for n in range(50)])

# name of the file, its bytes, what the message must say
CRAFTED: dict[str, tuple[str, bytes, str]] = {
    "nothing": ("f.jsonl", b"", "has no rows"),
    "blank lines": ("f.jsonl", b"\n\r\n \n", "has no rows"),
    "an empty array": ("f.json", b"[]", "has no rows"),
    "an empty csv": ("f.csv", b"", "has no rows"),
    "only a header": ("f.csv", b"prompt,completion\n", "has no rows"),
    "an empty parquet": ("f.parquet", b"", "is empty"),
    "a parquet without rows": ("f.parquet", parquet(prompt=[], completion=[]), "has no rows"),
    "a cut line": ("f.jsonl", LINE + LINE[:30], "f.jsonl:2: broken JSON"),
    "a cut array": ("f.json", b"[\n" + LINE + b",", "f.json:3: broken JSON"),
    "an array that goes on": ("f.json", b"[" + LINE + b"]\n{}", "more text after the array"),
    "no comma": ("f.json", b"[\n" + LINE + LINE + b"]", "f.json:2: broken JSON after this item"),
    "a number": ("f.jsonl", b"7\n", "f.jsonl:1: the row is a number"),
    "text": ("f.jsonl", b'"hello"\n', "f.jsonl:1: the row is text"),
    "null": ("f.jsonl", b"null\n", "the row is null"),
    "one big object": ("f.json", b'{"train": [1, 2]}', "the columns are train"),
    "a pretty object": ("f.json", b'{\n "messages": []\n}', "f.json:1: the file is one JSON object over many"),
    "trailing words": ("f.jsonl", LINE.rstrip() + b" yes\n", "broken JSON"),
    "no messages": ("f.jsonl", b'{"messages": []}\n', "empty list"),
    "messages as an object": ("f.jsonl", b'{"messages": {}}\n', "messages is an object"),
    "messages as text": ("f.jsonl", b'{"messages": "hi"}\n', "messages is text"),
    "messages as texts": ("f.jsonl", b'{"messages": ["hi"]}\n', r"messages[0] is text"),
    "no role": ("f.jsonl", b'{"messages": [{"content": "x"}]}\n', r"messages[0].role is missing"),
    "a strange role": ("f.jsonl", ROLE % b"asistant", "Did you mean 'assistant'"),
    "a role that is no text": ("f.jsonl", b'{"messages": [{"role": ["user"], "content": "x"}]}', "role is ['user']"),
    "no content": ("f.jsonl", b'{"messages": [{"role": "user"}]}\n', "content is null or missing"),
    "content as a number": ("f.jsonl", b'{"messages": [{"role": "user", "content": 5}]}', "is a number, expected text"),
    "a picture": ("f.jsonl", b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "is 'image_url'"),
    "a tool call": ("f.jsonl", b'{"messages": [{"role": "assistant", "content": null, "tool_calls": [1]}]}', "calls a tool"),
    "an empty chat": ("f.jsonl", b'{"messages": [{"role": "user", "content": "  "}]}\n', "the chat is empty"),
    "mixed types": ("f.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prompt": 5, "completion": "b"}\n', "f.jsonl:2: prompt is"),
    "other columns": ("f.jsonl", b'{"question": "a", "answer": "b"}\n', "--map question=user,answer=assistant"),
    "a key twice": ("f.jsonl", b'{"prompt": "a", "prompt": "b", "completion": "c"}\n', "'prompt' stands twice"),
    "not a number": ("f.jsonl", b'{"prompt": NaN}\n', "NaN is not JSON"),
    "a huge number": ("f.jsonl", b'{"prompt": ' + b"9" * 100_000 + b"}\n", "f.jsonl:1: unusable JSON"),
    "a huge id": ("f.jsonl", b'{"id": ' + b"9" * 4000 + b', "prompt": "x"}\n', "id is a number"),
    "deep lists": ("f.jsonl", b"[" * 1_000_000, "nested too deep"),
    "deep objects": ("f.jsonl", b'{"a":' * 1_000_000, "nested too deep"),
    "deep inside": ("f.jsonl", b'{"messages": ' + b"[" * 500_000 + b"]" * 500_000 + b"}", "nested too deep"),
    "deep text": ("f.jsonl", b'{"messages": "' + b"[" * 500_000 + b'"}', "messages is text"),
    "half a surrogate": ("f.jsonl", rb'{"prompt": "\ud800"}', "surrogate"),
    "half a surrogate as id": ("f.jsonl", rb'{"prompt": "x", "id": "\udc00"}', "surrogate"),
    "half a surrogate as column": ("f.jsonl", rb'{"\ud800": "x"}', "the columns are"),
    "a NUL byte": ("f.jsonl", b'{"prompt": "a\0b"}\n', "broken JSON"),
    "an escaped NUL": ("f.jsonl", rb'{"prompt": "a\u0000b"}', "NUL character"),
    "latin-1": ("f.jsonl", '{"prompt": "Grüße"}\n'.encode("latin-1"), "byte 0xfc at column 15 is not UTF-8"),
    "latin-1 in an array": ("f.json", b"[\n" + '{"prompt": "Grüße"}]'.encode("latin-1"), "f.json:2: byte 0xfc"),
    "latin-1 in csv": ("f.csv", CSV + "Grüße,x\n".encode("latin-1"), "f.csv:3: byte 0xfc"),
    "utf-16": ("f.jsonl", LINE.decode().encode("utf-16"), "UTF-16, expected UTF-8"),
    "utf-16 csv": ("f.csv", CSV.decode().encode("utf-16"), "UTF-16, expected UTF-8"),
    "a mark in the middle": ("f.jsonl", LINE + b"\xef\xbb\xbf" + LINE, "f.jsonl:2: broken JSON"),
    "a long line": ("f.jsonl", b'{"prompt": "' + b"x" * (17 * 2**20) + b'"}', "f.jsonl:1: the line is longer than 16 MiB"),
    "an open quote": ("f.csv", CSV + b'"never closed,x\ny,z\n', "f.csv:3: broken CSV"),
    "a quote inside": ("f.csv", CSV + b'"a"b,c\n', "f.csv:3: broken CSV"),
    "too few fields": ("f.csv", CSV + b"alone\n", "f.csv:3: the row has 1 field, expected 2"),
    "too many fields": ("f.csv", CSV + b"a,b,c\n", "f.csv:3: the row has 3 fields"),
    "a column twice": ("f.csv", b"prompt,prompt\na,b\n", "'prompt' stands twice"),
    "other csv columns": ("f.csv", b"text,label\na,b\n", "--map text=user,label=assistant"),
    "a NUL byte in csv": ("f.csv", CSV + b"a\0,b\n", "f.csv:3: the line holds a NUL"),
    "a huge field": ("f.csv", CSV + b"a" * 200_000 + b",b\n", "f.csv:3: broken CSV"),
    "a csv that is Parquet": ("f.parquet", CSV, "does not begin and end with PAR1"),
    "a Parquet that is csv": ("f.csv", b"PAR1" + CSV, "does not begin and end with PAR1"),
    "other parquet columns": ("f.parquet", parquet(text=["a"], label=["b"]), "--map text=user,label=assistant"),
    "a parquet of lists": ("f.parquet", parquet(prompt=[["a"]], completion=["b"]), "f.parquet row 1: prompt[0] is text"),
    "a parquet of floats": ("f.parquet", parquet(prompt=["a"], completion=[1.5]), "f.parquet row 1: completion is a number"),
    "a parquet of nothing": ("f.parquet", parquet(prompt=[None], completion=[None]), "f.parquet row 1:"),
    "a pickle": ("f.pkl", b"\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00\x8c\x01a.", "no format we read"),
    "a zip": ("f.zip", b"PK\x03\x04" + b"\0" * 40, "no format we read"),
    "cut gzip": ("f.jsonl.gz", gzip.compress(LINE * 50)[:-20], "gzip data is broken"),
    "gzip that is none": ("f.jsonl", b"\x1f\x8b" + LINE, "gzip data is broken"),
    "gzip with a wrong sum": ("f.jsonl.gz", gzip.compress(LINE)[:-8] + b"\0" * 8, "gzip data is broken"),
    "a gzip bomb of one line": ("f.jsonl.gz", gzip.compress(b"x" * (40 * 2**20), 1), "longer than 16 MiB"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "crafted"
    place.mkdir()
    return place


def error_of(action: Callable[[], object]) -> LabError | None:
    start, used = time.perf_counter(), time.process_time()
    found: LabError | None = None
    try:
        action()
    except LabError as error:
        found = error
    assert time.process_time() - used < 6, "seconds of work"
    assert time.perf_counter() - start < 30, "seconds, on a machine that others use"
    assert "\n" not in str(found), "one line"
    assert len(str(found)) < 600, "and short"
    return found


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted(case: str, folder: Path) -> None:
    name, content, said = CRAFTED[case]
    path = folder / name
    path.write_bytes(content)
    error = error_of(lambda: load(path))
    assert isinstance(error, DataError)
    assert name in str(error)
    assert said in str(error)
    assert error.next, "what mends it"
    assert [entry.name for entry in folder.iterdir()] == [name], "nothing is written"


@pytest.mark.parametrize("case", CRAFTED)
def test_check_tells_the_rows_or_the_file(case: str, folder: Path) -> None:
    name, content, _ = CRAFTED[case]
    path = folder / name
    path.write_bytes(content)
    found: list[object] = []
    error = error_of(lambda: found.append(check(path)))
    assert error or (found[0].bad and found[0].exit_code == 1)  # type: ignore[attr-defined]
    assert error or json.dumps(found[0].as_json())  # type: ignore[attr-defined]
    assert error or found[0]._repr_html_()  # type: ignore[attr-defined]


def broken(content: bytes, seed: int) -> bytes:
    """`content` cut, with bytes changed, lost, repeated or put in."""
    dice, data = random.Random(seed), bytearray(content)
    for _ in range(dice.randint(1, 3)):
        if len(data) < 4:
            break
        start = dice.randrange(len(data))
        end = min(len(data), start + dice.randint(1, 40))
        match dice.randrange(5):
            case 0:
                del data[start:]
            case 1:
                del data[start:end]
            case 2:
                data[start] = dice.randrange(256)
            case 3:
                data[start:start] = data[start:end]
            case 4:
                data[start:start] = dice.choice(
                    [b"\0", b"\xff", b'"', b"{", b"\xef\xbb\xbf", b"\r", b"\n", b",", b"1e999"]
                )
    return bytes(data)


def seeds() -> Iterator[tuple[str, bytes]]:
    yield "f.jsonl", LINE * 20
    yield "f.jsonl", b'{"instruction": "Add", "input": "1 2", "output": "3"}\n' * 20
    yield "f.json", b"[" + b",".join([LINE] * 20) + b"]"
    yield "f.csv", b"prompt,completion\n" + b'"Where, exactly?","He said ""here""."\n' * 20
    yield "f.jsonl.gz", gzip.compress(LINE * 20)
    yield "f.parquet", PARQUET


@pytest.mark.parametrize(("name", "content"), list(seeds()), ids=lambda value: value if isinstance(value, str) else "")
def test_broken_at_random(name: str, content: bytes, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = folder / name
    outcomes = {"read": 0, "refused": 0}
    for seed in range(160):
        path.write_bytes(broken(content, seed))
        error = error_of(lambda: load(path))
        assert error is None or (isinstance(error, DataError) and name in str(error)), seed
        outcomes["refused" if error else "read"] += 1
    assert outcomes["refused"] > 30, "the generator breaks files"
    assert [entry.name for entry in folder.iterdir()] == [name]
    capfd.readouterr()  # what polars says of itself


def test_the_intact_files_are_read(folder: Path) -> None:
    for name, content in seeds():
        (folder / name).write_bytes(content)
        assert len(load(folder / name)) >= 20


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jsonl")
    for action in (load, check, sha256):
        error = error_of(lambda action=action: action(folder / "pipe.jsonl"))
        assert "pipe or device" in str(error)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent.jsonl", "does not exist"),
        ("trian.jsonl", "Did you mean 'train.jsonl'?"),
        ("nowhere/f.jsonl", "there is no folder"),
        ("\0", "cannot be read"),
        ("x" * 300, "cannot be read"),
        (".", "is a folder, not a dataset"),
        ("loop", "cannot be read"),
    ],
)
def test_no_such_file(name: str, said: str, folder: Path) -> None:
    (folder / "train.jsonl").write_bytes(LINE)
    (folder / "loop").symlink_to(folder / "loop")
    for action in (load, check, sha256):
        error = error_of(lambda action=action: action(folder / name))
        assert isinstance(error, DataError)
        assert said in str(error)


def test_a_path_is_no_pattern_and_no_address(folder: Path) -> None:
    (folder / "a.parquet").write_bytes(PARQUET)
    (folder / "b.parquet").write_bytes(PARQUET)
    (folder / "[ab].parquet").write_bytes(parquet(prompt=["only"], completion=["this"]))
    assert len(load(folder / "[ab].parquet")) == 1
    assert isinstance(error_of(lambda: load(Path("https://127.0.0.1:9/f.parquet"))), DataError)
    assert resolve(folder / "*.parquet") == folder / "*.parquet"
    assert isinstance(error_of(lambda: load(folder / "*.parquet")), DataError)


BOMBS = {
    "empty lines": (b"\n", "lines in a row are empty"),
    "one line": (b"x", "longer than 16 MiB"),
    "rows": (LINE, "times"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_stopped(kind: str, folder: Path) -> None:
    piece, said = BOMBS[kind]
    (folder / "bomb.jsonl.gz").write_bytes(gzip.compress(piece * (100 * 2**20 // len(piece)), 9))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = error_of(lambda: deque(lines(folder / "bomb.jsonl.gz"), maxlen=1))
    assert said in str(error)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 256, "MiB"


def test_a_parquet_runs_no_code(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    hostile = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": b"cos\nsystem\n(S'touch ran'\ntR.",
    }
    field = pa.field("prompt", pa.string(), metadata=hostile)
    table = pa.table([["a"], ["b"]], schema=pa.schema([field, pa.field("completion", pa.string())]))
    pq.write_table(table, folder / "f.parquet")
    error_of(lambda: load(folder / "f.parquet"))
    assert [entry.name for entry in folder.iterdir()] == ["f.parquet"]
