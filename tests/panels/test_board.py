import json
from dataclasses import replace

import pytest
from made_records import duel, frame_of, record

from mlaas_lab import panels
from mlaas_lab.evaluation.summary import summarize
from mlaas_lab.panels import Panel, board
from mlaas_lab.schema import Decision
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.view import to_html, to_text


@pytest.fixture
def scores(tmp_path):
    return frame_of(tmp_path / "records.parquet", duel())


def test_the_verdict_comes_first_in_words(scores):
    view = board.panel.build(scores)
    assert view.summary.startswith("good is better than bad by exact_match: 75 % against 2.5 % (+72 points, 95 % ")
    assert "40 pairs" in view.summary


def test_every_score_has_its_interval_and_its_n(scores):
    view = board.panel.build(scores)
    assert [row[1:4] for row in view.table.rows] == [
        ("bad", "2.5 %", "0.4 % to 13 %"),
        ("good", "75 %", "60 % to 86 %"),
    ]
    assert all("n 40" in row.note and row.low < row.mean < row.high for row in view.marks[0].rows)


def test_groups_that_count_are_named(tmp_path):
    """Five questions on each of 30 documents are 30 pieces of evidence, not 150."""
    rows = [
        replace(record(target, i, "yes" if i % 3 else "no", "yes"), group=f"document {i // 5}")
        for target in ("a", "b")
        for i in range(150)
    ]
    view = board.panel.build(frame_of(tmp_path / "r.parquet", rows))
    assert any("in 30 groups that look drawn" in note for note in view.notes)
    alone = [record("a", i, "yes", "yes") for i in range(150)]
    assert not any("groups" in note for note in board.panel.build(frame_of(tmp_path / "s.parquet", alone)).notes)


def test_repeats_have_their_spread(tmp_path):
    """Each of 12 samples is right once in two: √(0.5) within every one."""
    rows = [record("a", i, "yes" if r else "no", "yes", repeat=r) for i in range(12) for r in (0, 1)]
    view = board.panel.build(frame_of(tmp_path / "r.parquet", rows))
    assert [column.title for column in view.table.heads][-1] == "Spread"
    assert view.table.rows[0][-1] == "71 points"
    assert board.SPREAD in view.notes
    once = board.panel.build(frame_of(tmp_path / "o.parquet", rows[::2]))
    assert [column.title for column in once.table.heads][-1] == "No score"


def test_undecided_says_what_would_settle_it(tmp_path):
    close = [record(t, i, "yes" if i % k else "no", "yes") for t, k in (("a", 4), ("b", 3)) for i in range(24)]
    view = board.panel.build(frame_of(tmp_path / "r.parquet", close))
    assert "exact_match does not decide between a and b: 75 % and 67 %" in view.summary
    assert "more samples would settle it." in view.summary
    assert "not decided" in to_text(view)


def test_errors_are_neither_zero_nor_silent(tmp_path):
    lost = [record(t, i, "", "yes", error="overloaded") for t in ("a", "b") for i in range(8)]
    frame = frame_of(tmp_path / "r.parquet", lost)
    view = board.panel.build(frame)
    assert view.summary == "exact_match cannot compare a and b: no sample has a score from both."
    assert [tuple(row[2:]) for row in view.table.rows] == [("–", "unknown", 0, 8)] * 2
    text = "\n".join(to_text(one) for one in panels.draw(frame))
    assert "16 of 16 calls have no answer" in text
    assert "overloaded" in text
    assert "0 %" not in to_text(view)


def test_one_target_has_scores_and_no_verdict(tmp_path):
    view = board.panel.build(frame_of(tmp_path / "r.parquet", [record("a", i, "yes", "yes") for i in range(20)]))
    assert view.summary == "a: exact_match 100 % (95 % interval 84 % to 100 %, n 20)."
    assert not view.children


def test_empty_table_draws_nothing(tmp_path):
    assert panels.draw(frame_of(tmp_path / "r.parquet", [])) == []


@pytest.mark.parametrize("decision", list(Decision))
def test_each_decision_is_a_word_of_its_own(scores, decision):
    summary, verdicts = summarize(scores)
    view = board.board(summary, [replace(verdicts[0], verdict=decision)])
    said = {
        Decision.A_BETTER: "bad is better than good",
        Decision.B_BETTER: "good is better than bad",
        Decision.EQUIVALENT: "bad and good are equivalent",
        Decision.UNDECIDED: "does not decide between bad and good",
    }
    assert said[decision] in view.summary


def test_a_sentence_tells_the_gain_of_the_better_one_whichever_came_first(scores):
    summary, (verdict,) = summarize(scores)
    turned = replace(verdict, a=verdict.b, b=verdict.a, verdict=Decision.A_BETTER, difference=-verdict.difference)
    turned = replace(turned, ci_low=-verdict.ci_high, ci_high=-verdict.ci_low)
    assert board.board(summary, [turned]).summary == board.board(summary, [verdict]).summary


def test_job_card_draws_what_the_job_found(lab, tmp_path):
    data = tmp_path / "q.jsonl"
    turns = [{"role": "user", "content": "yes"}, {"role": "assistant", "content": "yes"}]
    data.write_text("".join(json.dumps({"messages": turns}) + "\n" for _ in range(3)))
    from mlaas_lab.tasks.eval import Eval

    job = lab.submit("eval", Eval(data=data, targets=("echo/a", "echo/b")), wait=True, executor="inline")
    titles = [view.title for view in board.views(job.folder)]
    assert titles == ["Scores"], "the rest is for compare"
    assert len(to_html(job.view())) < 100_000


def test_job_without_results_yet_draws_none(tmp_path):
    assert board.views(JobFolder(tmp_path)) == []


def test_a_panel_is_asked_only_for_what_it_can_see(scores, monkeypatch):
    asked = []
    needs = Panel(needs=frozenset({"drift"}), build=asked.append)
    monkeypatch.setattr(panels, "panels", lambda: {"drift": needs})
    assert panels.draw(scores) == []
    assert asked == []
