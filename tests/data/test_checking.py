"""The figures of a check, row by row, and how they are shown."""

import json
from pathlib import Path

import pytest

from mlaas_lab.data import Report, check, load, snapshot, split
from mlaas_lab.data.report import Found, Percentiles
from mlaas_lab.data.rows import BadRow
from mlaas_lab.errors import DataError
from mlaas_lab.schema import Message


def row(question: str, answer: str = "ok", **more: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}], **more}


def put(path: Path, *rows: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


ROWS = [
    row("How can I change the delivery address of my order?", "address", group="a"),  # 1
    row("how can i change the delivery address of my order", "address", group="a"),  # 2 repeats 1
    row("How can I change the delivery address of my order?", "other", group="b"),  # 3 contradicts 1
    row("How can I change the delivery address of my orders?", "address"),  # 4 nearly repeats 1
    row("Write to anna@example.com or call +49 30 901820", "done"),  # 5
    {"messages": [{"role": "user", "content": "Nobody answers this"}]},  # 6
    "{broken",  # 7
    {"messages": []},  # 8
]


def words(messages: list[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


@pytest.fixture
def report(tmp_path: Path) -> Report:
    test = put(
        tmp_path / "test.jsonl",
        row("Something else entirely"),
        row("HOW can I change the delivery address of my order"),
    )
    return check(put(tmp_path / "rows.jsonl", *ROWS), count_tokens=words, max_length=9, against=test)


def test_every_figure(report: Report) -> None:
    assert (report.rows, [bad.line for bad in report.bad]) == (8, [7, 8])
    assert report.duplicates == Found(count=1, lines=((2, 1),))
    assert report.conflicts == Found(count=1, lines=((3, 1),))
    assert report.near_duplicates == Found(count=1, lines=((4, 1),))
    assert report.leakage == Found(count=4, lines=((1, 2), (2, 2), (3, 2), (4, 2)))
    assert report.one_sided == Found(count=1, lines=(6,))
    assert (report.turns, report.groups, report.answers) == (11, 2, 3)
    assert {kind: found.lines for kind, found in report.personal.items() if found.count} == {
        "email": (5,),
        "phone": (5,),
    }


def test_the_forecast_of_truncation(report: Report) -> None:
    assert report.tokens is not None
    assert report.tokens.percentiles == Percentiles(min=3, p50=11, p90=11, p95=11, p99=11, max=11)
    assert report.tokens.truncated == Found(count=4, lines=(1, 2, 3, 4))
    assert report.tokens.lost == 2 * 4


def test_what_it_says(report: Report) -> None:
    found = report.as_json()
    assert {"rows", "errors", "sha256"} <= set(found)
    assert found["errors"][0]["line"] == 7
    assert found["errors"][0]["message"].startswith("broken JSON at column 2")
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found, allow_nan=False))
    assert report.exit_code == 1
    text = str(report)
    assert "8 rows, 2 of them cannot be used" in text
    assert "line 7: broken JSON" in text
    assert "may hold: email" in text
    assert "<script" not in report._repr_html_()


def test_a_clean_file(tmp_path: Path) -> None:
    report = check(put(tmp_path / "f.jsonl", row("One question"), row("Another thing")))
    assert (report.exit_code, report.bad, report.tokens, report.leakage) == (0, (), None, None)
    assert report.as_json()["truncated"] is None, "unknown is null, not 0"
    assert "2 rows, all usable" in str(report)


def test_only_bad_rows(tmp_path: Path) -> None:
    report = check(put(tmp_path / "f.jsonl", "{,", "[1]", "{}"), count_tokens=words, max_length=9)
    assert (report.rows, len(report.bad), report.as_json()["tokens"]) == (3, 3, None)
    assert "duplicates" not in str(report)


def test_many_bad_rows_are_counted_and_not_all_listed(tmp_path: Path) -> None:
    report = check(put(tmp_path / "f.jsonl", *["{,"] * 3000))
    found = report.as_json()
    assert (found["error_count"], len(found["errors"])) == (3000, 1000)
    assert "and 2,990 more" in str(report)


def test_a_row_that_the_base_refuses_is_bad(tmp_path: Path) -> None:
    def count(messages: list[Message]) -> int:
        if "no" in messages[0].content:
            raise BadRow("the base's chat template refuses this chat")
        return 1

    report = check(put(tmp_path / "f.jsonl", row("yes"), row("no"), row("maybe")), count_tokens=count)
    assert [bad.line for bad in report.bad] == [2]


def test_a_snapshot_is_compared_with_its_own_test_part(tmp_path: Path) -> None:
    source = put(tmp_path / "f.jsonl", *[row(f"question number {n}", group=f"g{n % 2}") for n in range(20)])
    made = snapshot(split(load(source), test=0.2), tmp_path / "snap", source=source)
    report = check(made.path)
    assert report.leakage is not None
    assert report.rows == 16
    assert report.sha256 == made.sha256
    assert check(made.path / "test").leakage is None


def test_a_file_to_compare_with_must_be_readable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"test\.jsonl:1"):
        check(put(tmp_path / "f.jsonl", row("a")), against=put(tmp_path / "test.jsonl", "{"))


def test_texts_of_a_file_are_text(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e"
    report = check(put(tmp_path / "f.jsonl", {hostile: 1}, row(hostile, hostile, group=hostile)))
    assert "<img" not in report._repr_html_()
    assert "\u202e" not in report._repr_html_()


def test_lines_keep_their_place_without_a_letter(tmp_path: Path) -> None:
    report = check(put(tmp_path / "f.jsonl", row("???"), row("!!!"), row("???")))
    assert report.duplicates.lines == ((3, 1),)


@pytest.mark.parametrize(("n", "p50", "p99"), [(1, 1, 1), (2, 1, 2), (100, 50, 99), (1000, 500, 990)])
def test_percentiles_are_values_that_occur(n: int, p50: int, p99: int) -> None:
    found = Percentiles.of(range(1, n + 1))
    assert found is not None
    assert (found.p50, found.p99) == (p50, p99)
