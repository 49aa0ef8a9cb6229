"""The one table: what goes in comes out, unknown stays null, and a kill costs nothing that was flushed."""

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from mlaas_lab import records
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Attempt, Completion, Cost, Message, Record, Score, ScoreStatus, Usage

REPO = Path(records.__file__).parents[1]
FIRST = Attempt(started_at=10.0, ended_at=10.5, status=429, error="rate_limited")
SECOND = Attempt(
    started_at=11.0, connected_at=11.1, first_byte_at=11.2, first_token_at=11.25, ended_at=12.25, status=200
)
ASK = (Message(role="user", content='Grüße 世界\n"quoted"'),)


def answered(**more):
    done = Completion(
        text="ja\u2028gut",
        usage=Usage(input_tokens=7, output_tokens=3),
        finish_reason="stop",
        model="m-1",
        attempts=(FIRST, SECOND),
        request_id="r1",
    )
    cost = Cost(usd=Decimal("0.000012"), source="list", date="2026-01-31")
    fields = {"target": "a", "sample_id": "s1", "repeat": 0, "group": "g", "messages": ASK, "reference": "ja"}
    scores = {"m": Score(value=0.5), "k": Score(value=None, status=ScoreStatus.PARSE_ERROR, reason="no number")}
    return Record(**{**fields, "completion": done, "cost": cost, "scores": scores, **more})


def failed(**more):
    return answered(
        completion=None, error="unreachable", error_message="no way", attempts=(FIRST,), cost=Cost(usd=None), **more
    )


def test_an_answer_and_its_numbers(tmp_path):
    path = records.write(tmp_path / "r.parquet", [answered()], metrics=["m", "k"], run_id="job1")
    frame = records.read(path)
    assert frame.columns == [*records.COLUMNS, "m", "m_status", "m_reason", "k", "k_status", "k_reason"]
    row = frame.row(0, named=True)
    assert (row["run_id"], row["target"], row["sample_id"], row["repeat"]) == ("job1", "a", "s1", 0)
    assert (row["output"], row["latency_s"], row["wall_s"], row["ttft_s"]) == ("ja\u2028gut", 1.25, 2.25, 0.25)
    assert row["tokens_per_s"] == pytest.approx(2.0)
    assert (row["input_tokens"], row["cached_tokens"], row["cost_usd"]) == (7, None, 0.000012)
    assert (row["m"], row["m_status"], row["m_reason"]) == (0.5, "ok", None)
    assert (row["k"], row["k_status"], row["k_reason"]) == (None, "parse_error", "no number")
    assert json.loads(row["messages"]) == [{"role": "user", "content": ASK[0].content}]
    timeline = json.loads(row["timeline"])
    assert [one["error"] for one in timeline] == ["rate_limited", None]
    assert json.loads(row["failures"]) == timeline[:1]
    assert row["attempts"] == 2


def test_an_error_has_no_number_anywhere(tmp_path):
    path = records.write(tmp_path / "r.parquet", [failed(scores={})], metrics=["m"])
    row = records.read(path).row(0, named=True)
    assert (row["error"], row["error_message"], row["wall_s"]) == ("unreachable", "no way", 0.5)
    for name in ("output", "latency_s", "ttft_s", "input_tokens", "output_tokens", "cost_usd", "m"):
        assert row[name] is None, name
    assert (row["m_status"], row["m_reason"]) == ("not_applicable", "unreachable")


def test_every_column_is_documented_and_typed(tmp_path):
    frame = records.read(records.write(tmp_path / "r.parquet", [answered()], metrics=["m", "k"]))
    assert frame.schema == records.schema(["m", "k"])
    assert all(len(meaning) > 10 for _, meaning in records.COLUMNS.values())
    assert records.metrics_of(frame.columns) == ["m", "k"]


def test_no_records_are_still_a_table(tmp_path):
    frame = records.read(records.write(tmp_path / "r.parquet", [], metrics=["m"]))
    assert len(frame) == 0
    assert frame.schema == records.schema(["m"])


def test_rows_stand_in_the_order_named(tmp_path):
    with records.Writer(tmp_path / "r.parquet") as writer:
        writer.order(targets=["b", "a"], samples=["s1", "s2"])
        for target, sample in [("a", "s2"), ("b", "s2"), ("a", "s1"), ("b", "s1")]:
            writer.add(answered(target=target, sample_id=sample))
    frame = records.read(tmp_path / "r.parquet")
    assert frame.select("target", "sample_id").rows() == [("b", "s1"), ("b", "s2"), ("a", "s1"), ("a", "s2")]
    assert not (tmp_path / "r.jsonl").exists()


def test_a_killed_writer_leaves_all_it_was_given(tmp_path):
    """Real SIGKILL; the last line is torn on top."""
    code = """
import sys, os, signal
from pathlib import Path
from mlaas_lab import records
from mlaas_lab.schema import Message, Record, Score
writer = records.Writer(Path(sys.argv[1]), metrics=["m"], run_id="j")
for i in range(300):
    writer.add(Record(target="a", sample_id=str(i), repeat=0, group=None, messages=(Message(role="user", content="x"),),
                      reference=None, completion=None, error="timed_out", scores={"m": Score(value=None)}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "records.parquet"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=REPO)
    assert done.returncode == -signal.SIGKILL
    assert not path.exists()
    with (tmp_path / "records.jsonl").open("ab") as file:
        file.write(b'{"target": "a", "sampl')
    frame = records.read(path)
    assert len(frame) == 300, "what add returned for is there"
    assert frame["sample_id"].to_list() == [str(i) for i in range(300)]
    assert frame.schema == records.schema(["m"])


def test_an_exception_keeps_what_was_added(tmp_path):
    def two():
        yield answered()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        records.write(tmp_path / "r.parquet", two())
    assert len(records.read(tmp_path / "r.parquet")) == 1


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "does not exist"), (b"not parquet", "is not Parquet"), (b"", "is not Parquet"), ("table", "no column")],
)
def test_other_files_get_one_line(tmp_path, content, says):
    path = tmp_path / "x.parquet"
    if content == "table":
        pl.DataFrame({"a": [1]}).write_parquet(path)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as error:
        records.read(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "r.parquet"
    records.write(path, [answered()])

    def full(self, file, **options):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    with pytest.raises(DataError, match="No space left on device"):
        records.save(pl.DataFrame(), path)
    monkeypatch.undo()
    assert len(records.read(path)) == 1
    assert sorted(os.listdir(tmp_path)) == ["home", "r.parquet"]


def test_a_full_disk_is_one_line(tmp_path):
    """A file that may not grow, by the kernel's own limit."""
    code = """
import resource, signal, sys
from pathlib import Path
from mlaas_lab import errors, records
from mlaas_lab.schema import Message, Record
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
one = Record(target="a", sample_id="s", repeat=0, group=None, messages=(Message(role="user", content="x"),),
             reference=None, completion=None, error="timed_out")
try:
    records.write(Path(sys.argv[1]), [one] * 600)
except errors.DataError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r.parquet")], cwd=REPO, capture_output=True, text=True
    )
    assert done.stdout == f"{tmp_path}/r.parquet cannot be written: File too large. Make room, then run it again.\n"
    assert done.stderr == ""
    assert len(records.read(tmp_path / "r.parquet")) > 50, "what fitted is there"


class TestPowerFailure:
    """What is on the disk, and when: seen at the calls that bring it there."""

    @pytest.fixture
    def calls(self, monkeypatch):
        """(what, file's name) of every sync, rename and removal, in order."""
        seen = []
        fsync, replace, unlink = os.fsync, Path.replace, Path.unlink

        def synced(fd):
            seen.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))))
            fsync(fd)

        def replaced(path, to):
            seen.append(("rename", Path(to).name))
            return replace(path, to)

        def unlinked(path, **more):
            seen.append(("remove", path.name))
            return unlink(path, **more)

        monkeypatch.setattr("mlaas_lab.records.journal.os.fsync", synced)
        monkeypatch.setattr(Path, "replace", replaced)
        monkeypatch.setattr(Path, "unlink", unlinked)
        return seen

    def test_the_journal_goes_when_the_table_is_on_the_disk(self, tmp_path, calls):
        folder = tmp_path / "job"
        folder.mkdir()
        writer = records.Writer(folder / "r.parquet")
        assert calls[:3] == [("sync", ".r.jsonl.part"), ("rename", "r.jsonl"), ("sync", "job")]
        writer.add(answered())
        calls.clear()
        writer.close()
        ending = [call for call in calls if call != ("sync", "r.jsonl")]
        assert ending == [("sync", ".r.parquet.part"), ("rename", "r.parquet"), ("sync", "job"), ("remove", "r.jsonl")]

    def test_lines_reach_the_disk_soon(self, tmp_path, calls, eventually):
        writer = records.Writer(tmp_path / "r.parquet")
        assert ("sync", "r.jsonl") not in calls
        writer.add(answered())
        eventually(lambda: ("sync", "r.jsonl") in calls)
        writer.close()

    def test_a_disk_that_fails_is_not_ignored(self, tmp_path, monkeypatch, eventually):
        writer = records.Writer(tmp_path / "r.parquet")

        def broken(_fd):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("mlaas_lab.records.journal.os.fsync", broken)
        writer.add(answered())
        eventually(lambda: writer._journal._failed)
        with pytest.raises(DataError, match="Input/output error"):
            writer.add(answered())
        monkeypatch.undo()
        writer.close()


def test_a_journal_is_never_less_than_its_table(tmp_path):
    """Killed between the table and the journal's removal: both are there."""
    path = tmp_path / "r.parquet"
    records.write(path, [answered()])
    writer = records.Writer(tmp_path / "other.parquet")
    writer.add(answered())
    writer.add(answered(sample_id="s2"))
    (tmp_path / "other.jsonl").replace(tmp_path / "r.jsonl")
    assert [row["sample_id"] for row in records.left_behind(path)] == ["s1", "s2"]
    assert [row["sample_id"] for row in records.left_behind(tmp_path / "none.parquet")] == []
    writer._journal.close()


def test_a_row_that_was_kept_is_what_it_was(tmp_path):
    first = records.read(
        records.write(tmp_path / "r.parquet", [answered(), failed(sample_id="s2")], metrics=["m", "k"])
    )
    kept = list(records.left_behind(tmp_path / "r.parquet"))
    with records.Writer(tmp_path / "r.parquet", metrics=["m", "k"], kept=kept) as writer:
        assert writer.rows == 2
    assert records.read(tmp_path / "r.parquet").equals(first)
