"""`gate` in a cell and in the shell: where rules and records come from, what it prints, how it exits."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from hostile import MARKUP, Page
from made_records import file_of, record

from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.gating import Checked, Gate, Rule
from mlaas_lab.schema import Job, JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.view import to_html

MLAAS = [sys.executable, "-m", "mlaas_lab.cli"]


def answers(right, n=40):
    return [record("m", i, "yes" if i < right else "no", "yes", usd="0.001") for i in range(n)]


@pytest.fixture
def old(tmp_path):
    return file_of(tmp_path / "old.parquet", answers(30), run_id="old")


@pytest.fixture
def new(tmp_path):
    return file_of(tmp_path / "new.parquet", answers(34), run_id="new")


def gate(lab, *words, body=None):
    return _dispatch.execute(["gate", *map(str, words)], lab, body=body)


def test_rules_from_a_file_a_word_and_a_cell(lab, tmp_path, old, new):
    rules = tmp_path / "release.rules"
    rules.write_text("# what a release must hold\nexact_match: difference >= 0\nusd_per_1k <= 1\n", encoding="utf-8")
    made = gate(lab, new, "--baseline", old, "--rule", rules)
    assert (made.ok, made.exit_code) == (True, 0)
    assert made.as_json() == gate(lab, new, "--baseline", old, body=rules.read_text()).as_json()
    worded = gate(lab, new, "--baseline", old, "--rule", "exact_match: difference >= 0; usd_per_1k <= 1")
    assert str(worded) == str(made)


def test_one_line_a_rule_with_its_numbers(lab, old, new):
    lines = str(
        gate(lab, old, "--baseline", new, "--rule", "exact_match: difference >= 0; n >= 40; p99_s <= 9")
    ).splitlines()
    assert lines[0].startswith(
        "FAILED  m | exact_match: difference >= 0: difference is -0.1, not >= 0. [difference -0.1, 95 %"
    )
    assert lines[1] == "passed  m | n >= 40: [40 samples answered]"
    assert lines[2].startswith("FAILED  m | p99_s <= 9: too few: 40 answers cannot bound a p99 from above.")
    assert lines[3] == f"2 of 3 rules failed: {old} against {new}."
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("rule", "error", "said"),
    [
        ("absent.rules", DataError, "absent.rules does not exist; expected a file of rules"),
        ("# only a remark", UsageError, "there is no rule"),
        ("p9_s <= 1", UsageError, "rule line 1, 'p9_s <= 1'"),
        ("n >= 1;" * 2000 + "x", UsageError, "rule line 1, 'x'"),
        ("bytes.rules", DataError, "bytes.rules cannot be read: it is not UTF-8 text"),
    ],
)
def test_bad_rules_get_one_clear_line(lab, tmp_path, new, rule, error, said):
    (tmp_path / "bytes.rules").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(error) as raised:
        gate(lab, new, "--rule", rule)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_bad_records_get_one_clear_line(lab, tmp_path, new):
    file_of(tmp_path / "empty.parquet", [])
    for words, said in (
        (["gone.parquet"], "gone.parquet does not exist"),
        (["empty.parquet"], "no records yet"),
        ([new, "--baseline", "gone.parquet"], "gone.parquet does not exist"),
    ):
        with pytest.raises(DataError, match=said):
            gate(lab, *words, "--rule", "n >= 1")


def test_what_is_not_finished_passes_no_gate(lab, tmp_path):
    folder = lab.settings.jobs_dir / "eval-half"
    folder.mkdir(parents=True)
    row = Job(
        id="00000001",
        task="eval",
        name="half",
        spec={"targets": ["m"]},
        spec_hash="half",
        state=JobState.FAILED,
        attempt=1,
        executor="process",
        folder=str(folder),
        created_at=1.0,
    )
    file_of(JobFolder(lab.store.add(row).folder).records, answers(40))
    with pytest.raises(DataError, match="half is failed: what is not finished passes no gate"):
        gate(lab, "half", "--rule", "n >= 1")


@pytest.fixture
def documents(tmp_path):
    """Ten documents of four samples; in seven of them all are right."""

    def made(name, right):
        rows = answers(4 * right)
        return file_of(tmp_path / name, [replace(row, group=f"d{i // 4}") for i, row in enumerate(rows)], run_id=name)

    return made


def test_groups_count_as_compare_says_that_they_do(lab, documents):
    run, before = documents("run.parquet", 7), documents("before.parquet", 3)
    said = {}
    for word in ("yes", "no", "auto"):
        rules = "exact_match: lower bound >= 0; exact_match: lower bound of the difference >= -1"
        made = gate(lab, run, "--baseline", before, "--rule", rules, "--grouped", word)
        (line,) = _dispatch.execute(["compare", str(run), "--grouped", word], lab).summary
        assert made.checked[0].value == line.ci_low
        said[word] = [one.value for one in made.checked]
    assert (
        said["auto"]
        == said["yes"]
        == [one.value for one in gate(lab, run, "--baseline", before, "--rule", rules).checked]
    )
    assert all(grouped < alone - 0.05 for grouped, alone in zip(said["yes"], said["no"], strict=True))
    assert "40 samples in 10 groups" in str(made)
    assert "40 pairs, by groups" in str(made)
    with pytest.raises(UsageError, match="grouped"):
        gate(lab, run, "--rule", rules, "--grouped", "perhaps")


def test_few_groups_say_that_groups_are_few(lab, tmp_path):
    rows = [replace(row, group=f"d{i % 4}") for i, row in enumerate(answers(30))]
    run, before = (file_of(tmp_path / name, rows, run_id=name) for name in ("run.parquet", "before.parquet"))
    rule = "exact_match: lower bound of the difference >= -1"
    (found,) = gate(lab, run, "--baseline", before, "--rule", rule, "--grouped", "yes").checked
    assert found.reason == "4 groups, and those that weigh like fewer than 6 cannot tell"


def test_groups_count_as_the_evaluation_said(lab, documents):
    folder = lab.settings.jobs_dir / "eval-whole"
    folder.mkdir(parents=True)
    row = Job(
        id="00000002",
        task="eval",
        name="whole",
        spec={"targets": ["m"], "grouped": "no"},
        spec_hash="whole",
        state=JobState.SUCCEEDED,
        attempt=1,
        executor="process",
        folder=str(folder),
        created_at=1.0,
    )
    JobFolder(lab.store.add(row).folder).records.write_bytes(documents("run.parquet", 7).read_bytes())
    as_asked, word = (gate(lab, "whole", "--rule", "exact_match: lower bound >= 0", *more).checked[0].value for more in ([], ["--grouped", "yes"]))  # fmt: skip
    assert as_asked > word


def test_the_shell_exits_by_it(old, new):
    words = [*MLAAS, "gate", str(new), "--baseline", str(old), "--json", "--rule"]
    for rule, code in (("exact_match: difference >= 0", 0), ("exact_match: difference >= 0.2", 1), ("exact >= 0", 2)):
        done = subprocess.run([*words, rule], capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        said = json.loads(done.stdout)
        if code < 2:
            assert said["ok"] is (code == 0)
            assert said["failed"] == code
            (one,) = said["rules"]
            assert (one["rule"], one["target"], one["value"], one["limit"]) == (rule, "m", 0.1, 0.2 if code else 0.0)
        else:
            assert said["error"]["name"] == "usage_error"


def test_hostile_words_stay_words():
    several = [
        Checked(rule=Rule(text=word, line=1, quantity="n"), target=word, ok=False, value=None, said=word, reason=word)
        for word in MARKUP
    ]
    made = Gate(run=MARKUP[0], baseline=MARKUP[1], checked=tuple(several))
    assert len(str(made).splitlines()) == len(MARKUP) + 1
    tags = {tag for tag, _ in Page(to_html(made.view())).elements}
    assert tags.isdisjoint({"script", "img", "iframe", "a", "form", "base", "link", "object"})
