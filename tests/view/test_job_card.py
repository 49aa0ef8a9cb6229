"""A job as a card and as a line: where it stands, how to stop it, what went wrong."""

import time
from dataclasses import replace

import pytest
from hostile import ALLOWED, Page

from mlaas_lab.schema import Job, JobState, Progress
from mlaas_lab.view import View, endpoints, job, to_html, to_text

JOB = Job(
    id="3f9a01bc",
    task="finetune",
    name="support",
    spec={"base": "tiny", "data": "rows.jsonl"},
    spec_hash="0",
    state=JobState.RUNNING,
    attempt=1,
    executor="process",
    folder="/nowhere",
    created_at=0.0,
    started_at=10.0,
    ended_at=None,
)
HALF = Progress(n=120, total=190, unit="steps", phase="training", at=0.0, rate=14.2)


def card(one: Job, **rest) -> View:
    return job.card(one, **{"results": [], "log": [], **rest})


def test_running_shows_how_far_how_fast_and_how_long_yet():
    shown = to_text(card(replace(JOB, progress=HALF)))
    assert "training: 120/190 steps · 14.2 steps/s · 5 s left" in shown
    assert "cancel 3f9a01bc" in shown
    assert "● running" in shown
    assert job.line(replace(JOB, progress=HALF)) == (
        "finetune support · 3f9a01bc: training: 120/190 steps · 14.2 steps/s · 5 s left"
    )


@pytest.mark.parametrize(
    ("money", "said"),
    [
        ({"spent_usd": 0.0123, "cap_usd": 0.5}, "$0.0123 of $0.50"),
        ({"spent_usd": 0.0, "cap_usd": 0.5, "n_unpriced": 3}, "$0 of $0.50"),
        ({"spent_usd": 0.0123}, "$0.0123"),
        ({"spent_usd": 0.0123, "n_unpriced": 1}, "at least $0.0123"),
        ({"spent_usd": 0.0, "n_unpriced": 1}, "unpriced"),
        ({"spent_usd": None, "n_unpriced": 1}, "unpriced"),
        ({"spent_usd": 0.0}, "$0"),
    ],
)
def test_spend_stands_in_the_line(money, said):
    asking = replace(HALF, n=320, total=960, unit="samples", phase="asking", rate=41, **money)
    assert job.line(replace(JOB, progress=asking)).endswith(
        f": asking: 320/960 samples · 41 samples/s · 16 s left · {said}"
    )


def test_nobody_knows_is_said():
    lost = replace(HALF, total=None, rate=None)
    assert "time left unknown" in to_text(card(replace(JOB, progress=lost)))
    nothing = replace(lost, n=0, phase="loading the base")
    assert job.line(replace(JOB, progress=nothing)) == "finetune support · 3f9a01bc: loading the base"


@pytest.mark.parametrize("state", list(JobState))
def test_each_state_has_its_word(state):
    one = replace(JOB, state=state, ended_at=70.0 if state.ended else None, progress=HALF)
    shown = to_text(card(one))
    assert str(state) in shown
    assert ("cancel" in shown.replace("cancelled", "")) is not state.ended
    assert ("120/190" in shown) is not state.ended
    assert ("1 min" in shown) or not state.ended
    assert str(state) in to_text(job.table([one]))


def test_failure_has_its_reason_and_the_last_lines():
    one = replace(JOB, state=JobState.FAILED, ended_at=11.0, error="out of memory", run_id="r1")
    shown = to_text(card(one, log=["step 1", "Killed"]))
    assert all(words in shown for words in ("out of memory", "Killed", "r1"))
    assert "logs 3f9a01bc" in to_html(card(one, log=["step 1"]))


def test_a_service_that_answers_says_where_and_what_it_does():
    one = replace(JOB, task="serve", name="serve", ready=True)
    work = {"at": time.time() - 180, "running": 2.0, "tokens_per_s": 40.0, "by_model": {"support": 30.0}}
    place = {"base_url": "http://127.0.0.1:8000/v1", "engine": "transformers", "ready": True, "work": work}
    served = [{"name": name, "model": name, **place} for name in ("tiny", "support")]
    shown = to_text(card(one, results=[endpoints.view(served)]))
    assert shown.startswith("serve · 3f9a01bc  ✓ ready")
    assert "http://127.0.0.1:8000/v1" in shown
    assert "2 under way, unknown in its queue" in shown
    assert "3 min before this was drawn" in shown
    assert [line.split()[0] for line in shown.splitlines() if "30 tokens/s" in line] == ["support"]
    assert max(len(line) for line in shown.splitlines()) <= 100


def test_a_sick_server_has_no_bar_and_no_rates_of_before():
    healthy = replace(HALF, n=2, total=2, unit="models", phase="sick")
    one = replace(JOB, task="serve", name="serve", progress=healthy)
    work = {"at": time.time(), "running": 41.0, "tokens_per_s": 242.0, "by_model": {"m": 103.0}}
    place = {"base_url": "http://127.0.0.1:8000/v1", "engine": "transformers", "ready": False, "work": work}
    shown = to_text(card(one, results=[endpoints.view([{"name": "m", "model": "m", "state": "sick", **place}])]))
    assert shown.startswith("serve · 3f9a01bc  ✗ sick\n")
    assert shown.count("unknown, it is sick") == 2
    assert not any(stale in shown for stale in ("2/2", "103", "242", "41 under way"))
    assert job.line(one) == "serve · 3f9a01bc: sick"


def test_a_server_is_never_done():
    served = replace(JOB, task="serve", progress=replace(HALF, n=2, total=2, phase="ready"))
    for state in (JobState.RUNNING, JobState.CANCELLED):
        assert "%" not in to_text(job.table([replace(served, state=state)]))
    assert "50 %" in to_text(job.table([replace(JOB, progress=replace(HALF, n=1, total=2))]))


def test_what_a_server_tells_of_none_of_its_endpoints_has_no_column():
    place = {"base_url": "http://127.0.0.1:8000/v1", "engine": "vllm", "ready": True, "model": "m"}
    for work, said in ((None, False), ({"at": 0.0}, False), ({"at": 0.0, "asked": ["m"]}, True)):
        table = endpoints.view([{"name": "m", "work": work, **place}]).table
        assert ("Now" in [head.title for head in table.heads]) is said


def test_results_stand_below():
    assert "Loss curve" in to_text(card(JOB, results=[View(title="Loss curve")]))


def test_no_jobs_say_what_to_do():
    assert "finetune --data FILE" in to_text(job.table([]))


def test_an_option_that_nobody_gave_is_not_shown():
    asked = replace(JOB, spec={"targets": ["support"], "data": None})
    rows = dict(card(asked).marks[-1].rows)
    assert rows["targets"] == "support"
    assert "data" not in rows


def test_names_and_errors_are_text():
    word = "<script>alert(1)</script>\x1b[31m"
    one = replace(JOB, name=word, error=word, state=JobState.FAILED, progress=replace(HALF, phase=word))
    for view in (card(one, log=[word]), card(replace(one, state=JobState.RUNNING)), job.table([one])):
        page = Page(to_html(view))
        assert {tag for tag, _ in page.elements} <= ALLOWED
        assert "\x1b" not in to_text(view)
