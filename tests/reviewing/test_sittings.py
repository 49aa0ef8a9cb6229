"""A reviewer's words: kept at once, replaced by later ones, taken back, gone on with; torn lines cost only themselves."""

import os
import subprocess
import sys
import threading

import orjson
import polars as pl
import pytest
from made_records import duel, file_of

from mlaas_lab import records
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.reviewing import Desk, lines
from mlaas_lab.settings import Settings


def desk_of(folder, rows=None, name="records.parquet"):
    table = file_of(folder / name, duel(n=12, right=8) if rows is None else rows)
    return Desk(table=table, settings=Settings(data_dir=folder / "data"))


@pytest.fixture
def desk(tmp_path):
    return desk_of(tmp_path)


def test_every_word_is_in_the_file_when_judge_returns(desk, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle))[1])
    sitting = desk.sit(by="ada", blind=True)
    before = len(synced)
    sitting.judge(0, "left")
    assert len(synced) == before + 1, "and on the disk"
    last = lines.rows(sitting.review.path)[-1]
    assert (last["event"], last["by"], last["sample"], last["blind"]) == (
        "verdict",
        "ada",
        sitting.order[0].sample,
        True,
    )
    assert last["prefers"] == last["left"], "left was said, and who that is is kept"
    assert abs(last["at"] - 1.79e9) > 0
    assert sitting.review.path.parent == desk.table.with_suffix(".reviews"), "beside the records"


def test_it_goes_on_where_the_reviewer_stopped(tmp_path):
    sitting = desk_of(tmp_path).sit(by="ada", blind=True)
    for at, word in enumerate(("left", "right", "tie", "both_bad", "skip")):
        sitting.judge(at, word)
    again = desk_of(tmp_path).sit(by="ada")
    assert (again.at, again.done, again.skipped, again.total, again.hidden) == (5, 5, 1, 12, True)
    assert [again.said(at) for at in range(6)] == ["left", "right", "tie", "both_bad", "skip", None]
    assert [again.left(at) for at in range(12)] == [sitting.left(at) for at in range(12)]
    assert desk_of(tmp_path).sit(by="bob").done == 0, "another begins at the first"


def test_later_words_replace_earlier_ones_and_undo_brings_them_back(desk):
    sitting = desk.sit(by="ada")
    sitting.judge(0, "left")
    sitting.judge(0, "tie")
    assert sitting.said(0) == "tie"
    sitting.comment(0, " why not ")
    n = len(lines.rows(sitting.review.path))
    assert (sitting.comment_on(0), sitting.undo(), sitting.comment_on(0)) == ("why not", 0, "")
    assert (sitting.undo(), sitting.said(0)) == (0, "left")
    assert (sitting.undo(), sitting.said(0), sitting.undo()) == (0, None, None)
    assert len(lines.rows(sitting.review.path)) == n + 3, "an undo is an entry too"
    assert desk.sit(by="ada").said(0) is None


def test_undo_takes_back_only_ones_own(desk):
    ada, bob = desk.sit(by="ada"), desk.sit(by="bob")
    ada.judge(0, "left")
    bob.judge(1, "right")
    ada.review.refresh()
    assert ada.undo() == 0
    assert (desk.sit(by="ada").done, desk.sit(by="bob").done) == (0, 1)


def test_torn_line_loses_only_itself(desk):
    sitting = desk.sit(by="ada")
    for at in range(3):
        sitting.judge(at, "left")
    path = sitting.review.path
    torn = path.read_bytes()[:-20]
    path.write_bytes(torn)
    again = desk.sit(by="ada")
    assert (again.done, again.at) == (2, 2)
    again.judge(2, "right")
    assert [desk.sit(by="ada").said(at) for at in range(3)] == ["left", "left", "right"]
    # The control: without the repair the next line would be lost with the torn one.
    path.write_bytes(torn + orjson.dumps({"event": "verdict"}) + b"\n")
    assert len(lines.rows(path)) == len(torn.splitlines()) - 1


def test_lines_of_others_and_strange_ones_are_passed_over(desk):
    sitting = desk.sit(by="ada")
    sitting.judge(0, "left")
    with sitting.review.path.open("ab") as file:
        file.write(b'{"event":"verdict","by":"ada"}\n[1]\n{"event":"undo"}\n{"event":"verdict","prefers":"x"}\n\xff\n')
    assert desk.sit(by="ada").done == 1


def test_names_stay_hidden_until_revealed_or_all_is_judged(desk):
    sitting = desk.sit(by="ada", blind=True)
    sitting.judge(0, "left")
    sitting.hide(wanted=False)
    sitting.see(1)
    sitting.hide(wanted=True)
    sitting.judge(1, "left")
    sitting.judge(2, "left")
    blind = [one.blind for one in sitting.review.said.values()]
    assert blind == [True, False, True], "who has seen the names of a sample does not judge it blind"
    assert desk.sit(by="ada").review.names_seen("ada", sitting.order[1].sample), "that is kept too"
    assert sitting.hidden
    for at in range(3, 12):
        sitting.judge(at, "tie")
    assert not sitting.hidden
    assert sitting.ended


def test_verdicts_on_other_words_do_not_count(tmp_path, desk):
    sitting = desk.sit(by="ada")
    sitting.judge(0, "left")
    sitting.judge(1, "left")
    sample = sitting.order[0].sample
    frame = records.read(desk.table)
    changed = pl.when(pl.col("sample_id") == sample).then(pl.lit("other words")).otherwise("output")
    frame.with_columns(output=changed).write_parquet(desk.table)
    again = Desk(table=desk.table, settings=desk.settings).sit(by="ada")
    assert again.done == 1
    assert Desk(table=desk.table, settings=desk.settings).tally(again).n_changed == 1


def test_review_of_the_same_two_is_one_in_whichever_order(desk):
    first = desk.sit(by="ada", between=("bad", "good"))
    first.judge(0, "left")
    second = desk.sit(by="ada", between=("good", "bad"))
    assert (second.review.path, second.done, second.pairs.a) == (first.review.path, 1, "bad")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"by": " "}, "needs the name"),
        ({"by": "ada", "between": ("bad",)}, "between two targets, not 1"),
        ({"by": "ada", "metric": "nope"}, "no metric 'nope'"),
    ],
)
def test_bad_words_are_one_line(desk, asked, said):
    with pytest.raises(UsageError, match=said):
        desk.sit(**asked)


def test_what_is_no_sample_or_verdict_is_refused_and_nothing_is_written(desk):
    sitting = desk.sit(by="ada", limit=3)
    size = sitting.review.path.stat().st_size
    for at, word in ((3, "left"), (-1, "left"), (0, "maybe")):
        with pytest.raises(UsageError):
            sitting.judge(at, word)
    assert sitting.review.path.stat().st_size == size
    assert sitting.total == 3


def test_disk_that_is_full_is_told_and_nothing_counts_as_said(desk, monkeypatch):
    sitting = desk.sit(by="ada")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot be written: no space left on device\. Make room"):
        sitting.judge(0, "left")
    assert sitting.done == 0


def test_names_and_comments_may_hold_anything(desk):
    sitting = desk.sit(by="\ud800 <b>ada</b>\n")
    sitting.comment(0, "\udfff <script>alert(1)</script>")
    again = desk.sit(by="\ud800 <b>ada</b>")
    assert again.comment_on(0) == "? <script>alert(1)</script>"
    assert again.by == "? <b>ada</b>"


SITS = """
import sys
from pathlib import Path
from mlaas_lab.reviewing import Desk
from mlaas_lab.settings import Settings
desk = Desk(table=Path(sys.argv[1]), settings=Settings(data_dir=Path(sys.argv[1]).parent))
sitting = desk.sit(by="ada")
while True:
    for at in range(sitting.total):
        sitting.judge(at, "left")
        print(at, flush=True)
"""


def test_what_was_told_as_said_survives_a_kill(desk):
    told = 0
    with subprocess.Popen([sys.executable, "-c", SITS, str(desk.table)], stdout=subprocess.PIPE, text=True) as process:
        while told < 15:
            assert process.stdout.readline()
            told += 1
        process.kill()
        told += len(process.stdout.read().splitlines())
    (path,) = desk.folder.glob("review-*.jsonl")
    kept = [line for line in lines.rows(path) if line["event"] == "verdict"]
    assert told <= len(kept) <= told + 1, "the last may be there before it could be told"
    assert desk.sit(by="ada").ended


def test_many_who_write_at_once_cut_no_line(desk):
    sittings = [desk.sit(by=f"reviewer {i}") for i in range(6)]

    def judge(sitting):
        for at in range(sitting.total):
            sitting.comment(at, "x" * 2000)
            sitting.judge(at, "tie")

    several = [threading.Thread(target=judge, args=(sitting,)) for sitting in sittings]
    for one in several:
        one.start()
    for one in several:
        one.join()
    path = sittings[0].review.path
    whole = lines.rows(path)
    assert len(whole) == sum(map(bool, path.read_bytes().splitlines())), "an empty line says nothing"
    assert sum(line["event"] == "verdict" for line in whole) == 6 * 12
    assert all(desk.sit(by=f"reviewer {i}").ended for i in range(6))
