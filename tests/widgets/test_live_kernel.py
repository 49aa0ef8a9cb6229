"""Messages in, answers out: pages, whole answers, exports; whatever a page or a model says."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hostile import CORPUS, Page
from made_records import duel, file_of, frame_of, record

from mlaas_lab import panels
from mlaas_lab.evaluation.summary import summarize, told_apart
from mlaas_lab.magics import words_of
from mlaas_lab.panels.board import board
from mlaas_lab.settings import Settings
from mlaas_lab.view.markup import HIDDEN
from mlaas_lab.widgets.kernel import Compared, Kernel
from mlaas_lab.widgets.links import links, run_link


def kernel(frame, folder, **more):
    frame = told_apart(frame)
    views = [board(*summarize(frame)), *panels.draw(frame, without=("board", "outputs"))]
    return Kernel(
        Compared(title="a against b", frame=frame, views=views, words=["compare", "r.parquet"], folder=folder, **more)
    )


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """One comparison for all that only look."""
    folder = tmp_path_factory.mktemp("live")
    long = [record("bad", 50, "", "yes", error="overloaded"), record("good", 50, "x" * 5000, "yes")]
    return kernel(frame_of(folder / "r.parquet", [*duel(n=40, right=30, usd="0.001"), *long]), folder)


@pytest.fixture
def live(shown, tmp_path):
    """The same, with a folder of the test's own."""
    return Kernel(replace(shown.compared, folder=tmp_path))


def rows(live, at=1, **more):
    return live.answer({"kind": "rows", "id": at, "which": {"only": "all"}, **more})


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for one in value.values() for text in texts(one))
    elif isinstance(value, list):
        yield from (text for one in value for text in texts(one))


def test_pages_follow_each_other(live):
    pages = [rows(live, offset=offset) for offset in (0, 10, 20, 30, 40)]
    labels = [card["label"] for page in pages for card in page["cards"]]
    assert labels == [f"Sample s{i}" for i in [*range(40), 50]]
    assert {page["total"] for page in pages} == {41}
    assert rows(live, offset=1000)["offset"] == 40, "beyond the end is the last page"
    assert [page["id"] for page in pages] == [1] * 5


@pytest.mark.parametrize(
    "message",
    [
        {"kind": "rows", "id": 1, "which": 3},
        {"kind": "rows", "id": 1, "which": {"target": 9}},
        {"kind": "rows", "id": 1, "which": {"a": 1}},
        {"kind": "rows", "id": 1, "which": {"only": "__class__"}},
        {"kind": "rows", "id": 1, "which": {}, "limit": 10**9},
        {"kind": "rows", "id": 1, "which": {}, "offset": -1},
        {"kind": "rows", "id": 1, "which": {}, "extra": 1},
        {"kind": "whole", "id": 1, "which": {}, "sample": 10**6},
        {"kind": "export", "id": 1, "form": "exe", "section": 0},
        {"kind": "export", "id": 1, "form": "csv", "section": 99},
        {"kind": "export", "id": 1, "form": "csv"},
        {"kind": "export", "id": 1, "form": "csv", "section": 0, "folder": "/"},
    ],
)
def test_what_is_wrong_is_told_as_data(live, message):
    answer = live.answer(message)
    assert (answer["kind"], answer["id"]) == ("error", 1)
    assert answer["message"]


@pytest.mark.parametrize(
    "message", [None, 3, "rows", [], {}, {"kind": "unknown", "id": 1}, {"kind": ["rows"]}, {"kind": None}]
)
def test_what_is_no_message_of_ours_has_no_answer(live, message):
    assert live.answer(message) is None


def test_messages_on_eight_threads_at_once_have_the_answers_of_one(shown, tmp_path):
    asked = [
        {"kind": "rows", "id": at, "which": {"only": only}, "offset": offset}
        for at, (only, offset) in enumerate(
            (only, offset) for only in ("all", "errors", "slowest") for offset in (0, 10, 40)
        )
    ]
    alone = Kernel(replace(shown.compared, folder=tmp_path))
    expected = [alone.answer(message) for message in asked]
    assert {answer["kind"] for answer in expected} == {"rows"}
    for _ in range(5):
        live = Kernel(replace(shown.compared, folder=tmp_path))  # nothing is computed yet
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(live.answer, asked * 4)) == expected * 4


def test_every_cell_of_a_table_opens_rows_that_are_there(live):
    def tables(sections):
        for section in sections:
            yield from [section["table"]] if section["table"] else []
            yield from tables(section["children"])

    found = list(tables(live.first["sections"]))
    opened = [
        {**row["opens"], **column["opens"]} for table in found for row in table["rows"] for column in table["columns"]
    ]
    assert len(opened) > 40
    for which in {json.dumps(one, sort_keys=True) for one in opened}:
        answer = live.answer({"kind": "rows", "id": 1, "which": json.loads(which)})
        assert answer["kind"] == "rows", answer
    verdict = found[1]["rows"][0]
    assert verdict["opens"] == {"metric": 0, "a": 0, "b": 1, "only": "apart"}
    assert live.answer({"kind": "rows", "id": 1, "which": verdict["opens"]})["total"] == 31


def test_long_answer_is_cut_until_it_is_asked_for(live):
    (card,) = rows(live, which={"only": "errors"})["cards"]
    assert card["more"]
    assert len(card["answers"][1]["pieces"][0][0]) < 2000
    whole = live.answer({"kind": "whole", "id": 2, "which": {}, "sample": card["sample"]})["card"]
    assert "".join(piece for piece, _ in whole["answers"][1]["pieces"]) == "x" * 5000
    assert not whole["more"]


def test_whole_answer_has_every_repeat_and_what_was_shown(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", [record("a", 0, f"try {r}", "yes", repeat=r) for r in range(3)])
    shown = json.dumps([{"source": "a.md", "text": "a passage"}])
    live = kernel(frame.with_columns(contexts=pl.lit(shown)), tmp_path)
    assert len(rows(live)["cards"][0]["answers"]) == 1
    whole = live.answer({"kind": "whole", "id": 2, "which": {}, "sample": 0})["card"]
    assert [answer["repeat"] for answer in whole["answers"]] == [0, 1, 2]
    assert whole["passages"] == [["a.md", "a passage"]]


def test_size_of_what_a_notebook_keeps_does_not_depend_on_the_records(tmp_path):
    few, many = (
        kernel(frame_of(tmp_path / f"{n}.parquet", duel(n=n, right=n // 2, usd="0.001")), tmp_path) for n in (40, 800)
    )
    sizes = [len(json.dumps([live.first, live.opening])) for live in (few, many)]
    assert sizes[1] < 1.5 * sizes[0] < 60_000


@pytest.mark.parametrize("words", [CORPUS[i::6] for i in range(6)])
def test_hostile_text_reaches_the_page_as_text(tmp_path, words):
    words = [word.encode(errors="replace").decode() for word in words]
    several = [
        record(t, i, f"{word} {t}", word, prompt=word) for i, word in enumerate(words) for t in (words[0], words[1])
    ]
    several.append(record(words[1], 99, "", words[2], error=words[3]))
    frame = frame_of(tmp_path / "r.parquet", several)
    live = kernel(frame.with_columns(group=pl.Series([words[i % len(words)] for i in range(len(frame))])), tmp_path)
    page, whole = rows(live, limit=50), live.answer({"kind": "whole", "id": 1, "which": {"target": 0}, "sample": 0})
    assert len(page["cards"]) == len(words) + 1
    answers = [live.first, live.opening, page, whole]
    for text in texts(json.loads(json.dumps(answers))):
        assert not HIDDEN.search(text), text


def test_csv_has_what_is_shown_and_nothing_a_spreadsheet_would_compute(live, tmp_path):
    (scores, verdicts) = live.answer({"kind": "export", "id": 1, "form": "csv", "section": 0})["paths"]
    assert scores.endswith("compare-a-against-b-scores.csv")
    with open(verdicts) as file:
        table = list(csv.DictReader(file))
    assert table[0]["Verdict"] == "good better"
    spiked = kernel(frame_of(tmp_path / "s.parquet", [record("a", 0, "=HYPERLINK(1)", "@x")]), tmp_path)
    (path,) = spiked.answer({"kind": "export", "id": 1, "form": "csv", "which": {"only": "all"}})["paths"]
    found = pl.read_csv(path)
    assert (found["output"][0], found["reference"][0]) == ("'=HYPERLINK(1)", "'@x")


def test_parquet_has_the_records_as_they_are(live, tmp_path):
    (path,) = live.answer({"kind": "export", "id": 1, "form": "parquet", "which": {"only": "errors"}})["paths"]
    found = pl.read_parquet(path)
    assert found["output"].to_list() == [None, "x" * 5000]
    assert set(found.columns) == set(live.compared.frame.columns)


@pytest.mark.parametrize("what", [{"section": 0}, {"which": {"only": "all"}}])
def test_page_is_text_without_script(tmp_path, what):
    word = "<script>alert(1)</script>"
    live = kernel(
        frame_of(tmp_path / "r.parquet", [record(t, 0, f"{word}{t}", word, prompt=word) for t in (word, "b")]), tmp_path
    )
    (path,) = live.answer({"kind": "export", "id": 1, "form": "html", **what})["paths"]
    page = Page(Path(path).read_text())
    assert "script" not in [tag for tag, _ in page.elements]
    assert word in page.text


def test_no_file_is_written_over_and_no_link_is_followed(live, tmp_path):
    name = "compare-a-against-b-errors.parquet"
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / name).symlink_to(tmp_path / "elsewhere")
    message = {"kind": "export", "id": 1, "form": "parquet", "which": {"only": "errors"}}
    first, second = (live.answer(message)["paths"][0] for _ in range(2))
    assert (first, second) == (
        str(tmp_path / name.replace("errors", "errors-2")),
        str(tmp_path / name.replace("errors", "errors-3")),
    )
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_folder_that_takes_no_file_is_told(shown, tmp_path):
    answer = Kernel(replace(shown.compared, folder=tmp_path / "gone")).answer(
        {"kind": "export", "id": 1, "form": "csv", "section": 0}
    )
    assert answer["kind"] == "error"
    assert "cannot be written: no such file" in answer["message"]


def test_code_gives_the_same_rows_again(live, tmp_path):
    answer = live.answer({"kind": "rows", "id": 1, "which": {"target": 1, "only": "worst", "find": "question $1 {x}"}})
    words = words_of(answer["code"].removeprefix("%mlaas "), {})
    again = Kernel(
        Compared(title="", frame=live.compared.frame, views=[], words=[], show=words[words.index("--show") + 1])
    )
    assert again.opening["which"] == answer["which"]
    assert again.first["asked"]


def test_only_web_addresses_become_links(tmp_path):
    frame = frame_of(tmp_path / "r.parquet", duel(n=6, right=3))
    urls = ["http://h/1", "https://h/2", "javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "//h/3"]
    live = kernel(frame, tmp_path, links=[("run", url) for url in urls])
    assert [url for _, url in live.first["links"]] == urls[:2]


def test_link_names_the_run_and_no_password(tmp_path):
    class Row:
        folder, run_id, name = str(tmp_path), "0af", "mine"

    for uri, place in [
        ("https://me:secret@h:5000/base?token=x", "https://h:5000/base/#/runs/0af"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000/#/runs/0af"),
        ("sqlite:////data/mlflow.db", None),
    ]:
        (tmp_path / "job.json").write_text(json.dumps({"settings": {"tracking_uri": uri}}))
        assert [url for _, url in links([Row])] == ([place] if place else [])
        assert [url for _, url in run_link("0af", Settings(tracking_uri=uri))] == ([place] if place else [])


def test_one_target_without_a_score_can_be_looked_at(tmp_path):
    file = file_of(tmp_path / "r.parquet", [record("a", i, "", "yes", error="timeout") for i in range(3)])
    live = kernel(pl.read_parquet(file), tmp_path)
    assert live.opening["which"]["only"] == "all"
    assert len(live.opening["cards"]) == 3
