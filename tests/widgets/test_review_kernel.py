"""The kernel's side of a live review: what a page gets, and what it does not get while names are hidden."""

import json

import pytest
from made_records import duel, file_of, record

from mlaas_lab.reviewing import Desk
from mlaas_lab.settings import Settings
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.reviewed import Reviewed


def reviewed(folder, rows=None, **asked):
    table = file_of(folder / "records.parquet", duel(n=12, right=8, usd="0.001") if rows is None else rows)
    desk = Desk(table=table, settings=Settings(data_dir=folder))
    asked = {"by": "ada", "blind": True, **asked}
    return Reviewed(desk, desk.sit(**asked), ["review", "my-eval", "--between", "bad,good", "--by", "ada"])


@pytest.fixture
def live(tmp_path):
    return reviewed(tmp_path)


def ask(live, kind, **values):
    return live.answer({"kind": kind, "id": 7, **values})


def test_it_begins_with_the_first_that_is_open_and_goes_on(live):
    now = live.now()
    assert (now["at"], now["total"], now["done"], now["hidden"], now["verdict"]) == (0, 12, 0, True, None)
    assert now["card"]["apart"] == "scores differ by 1"
    answer = ask(live, "judge", at=0, said="left")
    assert (answer["kind"], answer["id"], answer["now"]["at"], answer["now"]["done"]) == ("now", 7, 1, 1)
    assert answer["now"]["said"] == "Sample 1: the left one is better."
    back = ask(live, "see", at=0)["now"]
    assert (back["verdict"], back["next"]) == ("left", 1)
    assert ask(live, "comment", at=0, words="why")["now"]["comment"] == "why"
    assert ask(live, "undo")["now"]["comment"] == ""
    assert ask(live, "undo")["now"]["verdict"] is None
    assert ask(live, "undo")["now"]["said"] == "Nothing is left to undo."


def test_who_is_who_is_nowhere_in_what_a_page_gets_before_it_is_revealed(live):
    told = []
    for at in range(12):
        told += [live.now(), ask(live, "see", at=at, whole=True), ask(live, "results")]
        if at < 11:
            told.append(ask(live, "judge", at=at, said="left"))
    assert all(said not in json.dumps(told) for said in ("good", "bad", "$0.001", "exact_match 1", "tokens"))
    revealed = ask(live, "hide", hidden=False)["now"]
    assert sorted(answer["name"] for answer in revealed["card"]["answers"]) == ["bad", "good"]
    assert any("exact_match" in text for answer in revealed["card"]["answers"] for text, _ in answer["scores"])


def test_end_tells_names_and_who_is_preferred(live):
    for at in range(12):
        last = ask(live, "judge", at=at, said="tie")
    assert last["now"]["said"] == "Sample 12: a tie. All 12 are judged."
    assert (last["now"]["ended"], last["now"]["hidden"], last["now"]["next"]) == (True, False, None)
    titles = [section["title"] for section in ask(live, "results")["sections"]]
    assert titles == ["Preferences", "Verdicts"]
    assert "nothing left to hide" in ask(live, "hide", hidden=True)["now"]["said"]


def test_differing_words_are_marked_on_both_sides(tmp_path):
    rows = [record("a/x", 0, "sent on Monday", "r"), record("b/x", 0, "sent on Friday", "r")]
    card = reviewed(tmp_path, rows, between=("a/x", "b/x")).now()["card"]
    marked = [[text for text, differs in one["pieces"] if differs] for one in card["answers"]]
    assert sorted(marked) == [["Friday"], ["Monday"]]


def test_error_of_one_side_does_not_tell_who_it_is_while_names_are_hidden(tmp_path):
    rows = [record("a/x", 0, "", "r", error="vendor_says_no"), record("b/x", 0, "yes", "r")]
    live = reviewed(tmp_path, rows, between=("a/x", "b/x"))
    assert sorted(one["error"] for one in live.now()["card"]["answers"]) == ["", "no answer"]
    shown = ask(live, "hide", hidden=False)["now"]["card"]["answers"]
    assert any(one["error"].startswith("vendor_says_no") for one in shown)


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "judge", "id": 1, "at": 99, "said": "left"},
        {"kind": "judge", "id": 1, "at": -1, "said": "left"},
        {"kind": "judge", "id": 1, "at": 0, "said": "a"},
        {"kind": "judge", "id": 1, "at": "0", "said": "left"},
        {"kind": "comment", "id": 1, "at": 0, "words": "x" * 4001},
        {"kind": "see", "id": 1, "at": 0, "path": "/etc/passwd"},
        {"kind": "hide", "id": 1},
    ],
)
def test_strange_messages_are_errors_and_leave_nothing(live, message):
    before = live.sitting.review.path.read_bytes()
    assert live.answer(message)["kind"] == "error"
    assert live.sitting.review.path.read_bytes() == before


@pytest.mark.parametrize("message", [None, 3, "x", [], {}, {"kind": "nope"}, {"kind": 3}])
def test_what_is_no_message_of_ours_gets_no_answer(live, message):
    assert live.answer(message) is None


def test_code_does_the_same_in_a_cell(live):
    assert live.content["code"] == "%mlaas review my-eval --between bad,good --by ada"


def test_one_flat_script_below_100_kb():
    script = flat.script("review")
    assert len(script.encode()) < 100_000
    assert "import " not in script.replace("@import", "")
    assert "innerHTML" not in script


def test_long_answers_come_in_part_and_whole_when_asked_for(tmp_path):
    rows = [record("a/x", 0, "word " * 2000, "r"), record("b/x", 0, "other " * 2000, "r")]
    live = reviewed(tmp_path, rows, between=("a/x", "b/x"))
    card = live.now()["card"]
    assert card["more"]
    assert all(sum(len(text) for text, _ in one["pieces"]) <= 1201 for one in card["answers"])
    whole = ask(live, "see", at=0, whole=True)["now"]["card"]
    assert (whole["more"], min(sum(len(t) for t, _ in one["pieces"]) for one in whole["answers"])) == (False, 10_000)


def test_a_thousand_verdicts_do_not_slow_it_down(tmp_path):
    live = reviewed(tmp_path, duel(n=300, right=200), by="ada")
    reads = []
    real = live.sitting.pairs.__class__.records
    counted = lambda pairs, pair: (reads.append(pair), real(pairs, pair))[1]  # noqa: E731
    live.sitting.pairs.__class__.records = counted
    try:
        for at in range(200):
            live.sitting.judge(at, "left")
        reads.clear()
        live.now()
        assert len(reads) <= 2, "what was judged is not read again"
    finally:
        live.sitting.pairs.__class__.records = real


def test_static_view_stands_for_a_notebook_without_a_script(live):
    from mlaas_lab.widgets.review import ReviewWidget

    widget = ReviewWidget(live)
    data, _ = widget._repr_mimebundle_()
    assert "0 of 12 samples judged" in data["text/plain"]
    assert "<script" not in data["text/html"]
    assert widget.now["card"]["label"] == "Sample s0"
    widget.close()
