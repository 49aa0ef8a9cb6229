"""`compare`: from files, jobs and runs to a verdict and a page."""

import json
import time
from dataclasses import replace

import polars as pl
import pytest
from hostile import MARKUP, Page
from made_records import duel, file_of, record

from mlaas_lab import records
from mlaas_lab.commands import _dispatch, _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Job, JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval
from mlaas_lab.tasks.finetune import Finetune
from mlaas_lab.tasks.serve import Serve


@pytest.fixture
def records_file(tmp_path):
    return file_of(tmp_path / "records.parquet", duel())


@pytest.fixture
def evaluated(lab, tmp_path):
    """A finished evaluation of two echoes, tracked in MLflow."""
    data = tmp_path / "q.jsonl"
    turns = [[{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"say {i}"}] for i in range(8)]
    data.write_text("".join(json.dumps({"messages": pair}) + "\n" for pair in turns))
    spec = Eval(data=data, targets=("echo/a", "echo/b"), name="mine", seed=7)
    return lab.submit("eval", spec, wait=True, executor="inline")


def compare(lab, *words):
    return _dispatch.execute(["compare", *map(str, words)], lab)


def job(lab, task, spec, *, name, created_at, state=JobState.SUCCEEDED) -> Job:
    """A row in the store, as if it had run."""
    folder = lab.settings.jobs_dir / f"{task}-{name}"
    folder.mkdir(parents=True)
    options = spec.model_dump(mode="json")
    row = Job(
        id=f"{created_at:08.0f}",
        task=task,
        name=name,
        spec=options,
        spec_hash=name,
        state=state,
        attempt=1,
        executor="process",
        folder=str(folder),
        created_at=created_at,
    )
    return lab.store.add(row)


def test_a_file_is_enough(lab, records_file):
    found = compare(lab, records_file)
    said = found.as_json()
    assert set(said) >= {"summary", "verdicts", "cost", "latency"}
    assert [line["mean"] for line in said["summary"]] == [0.025, 0.75]
    assert said["verdicts"][0]["verdict"] == "b_better"
    assert [line["usd"] for line in said["cost"]] == [None, None]
    assert said["latency"][0]["latency_s"]["p50"]["value"] == pytest.approx(0.25)
    assert json.loads(json.dumps(said)) == said
    assert str(found).startswith("bad against good")


def test_python_may_name_a_file_by_its_path(lab, records_file):
    assert _dispatch.call("compare", lab, [[records_file]], {}).as_json() == compare(lab, records_file).as_json()


def test_the_page_says_how_to_do_it_again(lab, evaluated, tmp_path):
    found = compare(lab, evaluated.id, "--html", tmp_path / "out" / "report.html")
    text = Page(found.page.read_text()).text
    data = json.loads(evaluated.folder.outcome.read_text())["datasets"][0]
    assert f"mlaas eval --data {data['path']} --targets echo/a,echo/b --name mine --seed 7" in text
    assert f"mlaas compare {evaluated.id} --html" in text
    for words in (data["sha256"], evaluated.id, evaluated.job.run_id, "polars", "exact_match"):
        assert words in text
    assert "https://" not in found.page.read_text().partition("<body")[0]
    assert found.as_json()["html"] == str(found.page)


def test_job_name_run_and_file_are_the_same_records(lab, evaluated):
    words = (evaluated.id, evaluated.id[:5], "mine", evaluated.job.run_id, evaluated.folder.records)
    answers = [compare(lab, word).as_json() for word in words]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0] == compare(lab, *words).as_json(), "and naming them twice does not count them twice"
    kept = json.loads(evaluated.folder.outcome.read_text())["result"]
    assert answers[0]["verdicts"] == kept["verdicts"], "with the evaluation's own seed"


def test_run_is_read_from_mlflow_when_its_folder_is_gone(lab, evaluated):
    before = compare(lab, evaluated.job.run_id).as_json()
    evaluated.folder.records.unlink()
    assert compare(lab, evaluated.job.run_id).as_json() == before


def test_one_target_of_two_runs_is_two_things(lab, tmp_path):
    old = file_of(tmp_path / "old.parquet", [record("a", i, "no", "yes") for i in range(12)], run_id="old")
    new = file_of(tmp_path / "new.parquet", [record("a", i, "yes", "yes") for i in range(12)], run_id="new")
    found = compare(lab, old, new)
    assert [line.target for line in found.summary] == ["a @ old", "a @ new"]
    assert found.as_json()["verdicts"][0]["verdict"] == "b_better"
    assert [line["target"] for line in found.as_json()["latency"]] == ["a @ old", "a @ new"]


def test_runs_without_an_id_are_told_apart_by_file(lab, tmp_path):
    for name, said in (("old", "no"), ("new", "yes")):
        file_of(tmp_path / f"{name}.parquet", [record("a", i, said, "yes") for i in range(12)], run_id=None)
    found = compare(lab, tmp_path / "old.parquet", tmp_path / "new.parquet")
    assert [line.target for line in found.summary] == ["a @ old", "a @ new"]


def test_running_evaluation_is_compared_as_far_as_it_is(lab, tmp_path):
    spec = Eval(data=tmp_path / "q.jsonl", targets=("bad", "good"))
    row = job(lab, "eval", spec, name="live", created_at=3.0, state=JobState.FAILED)
    file_of(JobFolder(row.folder).records, duel(n=8, right=8))
    found = compare(lab, "live")
    assert found.notes == ("live is failed: its 16 records so far are compared.",)
    assert found.notes[0] in str(found)


@pytest.mark.parametrize(
    ("word", "error", "message"),
    [
        ("nothing", UsageError, "no job 'nothing'"),
        ("gone.parquet", DataError, "gone.parquet does not exist"),
        ("text.parquet", DataError, "text.parquet is not Parquet"),
        ("other.parquet", DataError, "other.parquet has no column"),
        ("empty.parquet", DataError, "no records yet"),
        ("tuned", UsageError, "is a finetune, which leaves no records"),
        ("early", UsageError, "is failed and has no records"),
    ],
)
def test_bad_words_get_one_clear_line(lab, tmp_path, word, error, message):
    (tmp_path / "text.parquet").write_text("hello")
    pl.DataFrame({"x": [1]}).write_parquet(tmp_path / "other.parquet")
    file_of(tmp_path / "empty.parquet", [])
    job(lab, "finetune", Finetune(data=tmp_path / "d"), name="tuned", created_at=1.0)
    early = Eval(data=tmp_path / "d", targets=("a",))
    job(lab, "eval", early, name="early", created_at=2.0, state=JobState.FAILED)
    with pytest.raises(error, match=message) as raised:
        compare(lab, word)
    assert "\n" not in str(raised.value)


def test_nothing_to_compare_is_said():
    from mlaas_lab.lab import Lab

    with pytest.raises(UsageError, match="RUNS"):
        compare(Lab())


def test_every_section_says_who_was_emulated(lab, tmp_path):
    rows = [replace(row, emulated=row.target == "bad") for row in duel()]
    found = compare(lab, file_of(tmp_path / "records.parquet", rows))
    silent = [view.title for view in found.views() if not any(note.startswith("Emulated: bad") for note in view.notes)]
    assert silent == []


def test_what_nobody_scored_has_no_table_of_scores(lab, tmp_path):
    rows = [replace(record("m", i, "yes", "yes", usd="0.001"), scores={}) for i in range(9)]
    found = compare(lab, records.write(tmp_path / "load.parquet", rows, metrics=(), run_id="load"))
    titles = [view.title for view in found.views()]
    assert "Latency" in titles
    assert "Scores" not in titles
    assert found.as_json()["summary"] == []


def test_the_way_to_the_evaluation_is_retold(lab, tmp_path):
    data = tmp_path / "my data.jsonl"
    job(lab, "finetune", Finetune(data=data, name="clinc", rank=8), name="clinc", created_at=1.0)
    job(lab, "serve", Serve(models=("tiny", "clinc")), name="serve", created_at=2.0, state=JobState.CANCELLED)
    row = job(lab, "eval", Eval(data=data, targets=("tiny", "clinc"), stream=True), name="eval", created_at=3.0)
    job(lab, "finetune", Finetune(data=data, name="clinc", rank=64), name="clinc2", created_at=4.0)
    assert _sources.history(row, lab) == [
        f"mlaas finetune --data '{data}' --name clinc --rank 8",
        "mlaas serve tiny clinc",
        f"mlaas eval --data '{data}' --targets tiny,clinc --stream",
    ]


def test_retold_commands_can_be_typed(lab, tmp_path):
    import shlex

    spec = Eval(data=tmp_path / "a b.csv", targets=("x", "y"), map={"q": "user", "r": "assistant"}, temperature=0.5)
    row = job(lab, "eval", spec, name="eval", created_at=1.0)
    words = shlex.split(_sources.command_line(row))
    read = _dispatch.read(_dispatch.command("eval").args, words[2:])
    assert {key: value for key, value in asdict_of(read).items() if key in Eval.model_fields} == asdict_of(spec)


def asdict_of(spec):
    return spec.model_dump(mode="json")


def test_keys_do_not_reach_the_page(lab, tmp_path):
    secret = "sk-" + "a1B2" * 10
    spec = Eval(data=tmp_path / "d.jsonl", targets=(f"openai/m?api_key={secret}",), system=f"use {secret}")
    row = job(lab, "eval", spec, name="mine", created_at=1.0)
    file_of(JobFolder(row.folder).records, duel(n=8, right=8))
    page = compare(lab, "mine", "--html", tmp_path / "r.html").page.read_text()
    assert "api_key" in page
    assert secret not in page


def test_hostile_records_make_a_harmless_page(lab, tmp_path):
    several = [
        record(f"{target} {word}"[:60], i, word, f"{word}.", prompt=word)
        for target in "ab"
        for i, word in enumerate(MARKUP)
    ]
    failed = [record("c", i, "", "yes", error=word[:40]) for i, word in enumerate(MARKUP)]
    path = file_of(tmp_path / "<img src=x onerror=alert(1)>.parquet", [*several[:30], *failed])
    page = Page(compare(lab, path, "--html", tmp_path / "r.html").page.read_text())
    tags = {tag for tag, _ in page.elements}
    assert tags.isdisjoint({"script", "img", "iframe", "a", "form", "input", "base", "link", "button", "object"})
    assert not [
        name for _, given in page.elements for name in given if name.startswith("on") or name in ("src", "href")
    ]


def test_margin_makes_small_differences_equivalent(lab, tmp_path):
    same = [record(t, i, "yes" if i % 2 else "no", "yes") for t in "ab" for i in range(200)]
    path = file_of(tmp_path / "r.parquet", same)
    assert compare(lab, path).verdicts[0].verdict == "undecided"
    assert compare(lab, path, "--margin", "0.05").verdicts[0].verdict == "equivalent"


def lost(tmp_path):
    """Of 300 samples b has 20 right where a is wrong, and a 14 where b is."""
    wrong = {"a": range(20), "b": range(20, 34)}
    rows = [record(t, i, "no" if i in wrong[t] else "yes", "yes") for t in "ab" for i in range(300)]
    return file_of(tmp_path / "lost.parquet", rows)


def test_a_margin_of_one_metric_is_told_everywhere_alike(lab, tmp_path):
    """In JSON, in text, on the page and in the live view."""
    from mlaas_lab.widgets.content import sections
    from mlaas_lab.widgets.opens import Opens
    from mlaas_lab.widgets.which import Choices

    for margin, shown, cells, said in (
        ("0.03", True, ("shown", "3 points"), "b is not worse than a in exact_match by 3 points or more"),
        ("0.01", False, ("not shown", "1 point"), "Not shown: that b is not worse than a in exact_match by 1 point"),
    ):
        found = compare(lab, lost(tmp_path), "--margin", f"exact_match={margin}", "--html", tmp_path / "r.html")
        (verdict,) = json.loads(json.dumps(found.as_json()))["verdicts"]
        assert (verdict["not_worse"], verdict["margin"], verdict["verdict"]) == (shown, float(margin), "undecided")
        live = sections(found.compared().views, Opens(Choices.of(found.frame)))
        for text in (str(found), Page(found.page.read_text()).text, json.dumps(live, ensure_ascii=False)):
            words = " ".join(text.split())
            assert said in words
            assert all(cell in words for cell in cells)
        assert ["--margin", f"exact_match={margin}"] == list(found.words[-2:])


def test_a_margin_of_a_metric_that_is_not_there_is_refused(lab, tmp_path):
    with pytest.raises(UsageError, match="'exact_macth' is not one of the metrics: exact_match"):
        compare(lab, lost(tmp_path), "--margin", "exact_macth=0.05")


def test_the_evaluations_own_margin_is_used_and_one_without_has_none(lab, tmp_path):
    assert compare(lab, lost(tmp_path)).verdicts[0].not_worse is None
    spec = Eval(data=tmp_path / "q.jsonl", targets=("a", "b"), margin={"exact_match": 0.03})
    own = job(lab, "eval", spec, name="own", created_at=1)
    JobFolder(own.folder).records.write_bytes(lost(tmp_path).read_bytes())
    assert compare(lab, own.id).verdicts[0].not_worse is True


def test_how_groups_count_is_said_or_the_evaluations_own(lab, tmp_path):
    rows = [
        replace(record(t, i, "yes" if i % 3 else "no", "yes"), group=f"d{i // 5}") for t in "ab" for i in range(150)
    ]
    path = file_of(tmp_path / "groups.parquet", rows)
    assert compare(lab, path).summary[0].grouping == "drawn"
    found = compare(lab, path, "--grouped", "no")
    assert (found.summary[0].grouping, found.words[-2:]) == ("alone", ("--grouped", "no"))
    spec = Eval(data=tmp_path / "q.jsonl", targets=("a", "b"), grouped="no")
    own = job(lab, "eval", spec, name="own", created_at=1)
    JobFolder(own.folder).records.write_bytes(path.read_bytes())
    assert compare(lab, own.id).summary[0].grouping == "alone"
    assert compare(lab, own.id, "--grouped", "auto").summary[0].grouping == "drawn"


def test_it_is_quick_without_mlflow(records_file, tmp_path):
    import subprocess
    import sys

    script = (
        "import sys; from mlaas_lab.lab import Lab; from mlaas_lab.commands import _dispatch\n"
        "_dispatch.execute(['compare', sys.argv[1], '--html', sys.argv[2]], Lab()).as_json()\n"
        "print('mlflow' in sys.modules)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, records_file, tmp_path / "r.html"], capture_output=True, text=True
    )
    assert done.stdout == "False\n", f"{done.stderr} after {time.monotonic() - began:.1f} s"
