"""From files to passages, each with the place it is from."""

import gzip

import pytest

from mlaas_lab.errors import DataError
from mlaas_lab.variants import corpus
from mlaas_lab.variants.corpus import LONGEST, read


def cut(path):
    found = read(path)
    return list(zip(found.sources, found.texts, strict=True))


def test_rows_stand_as_they_are(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"text": "one", "source": "manual"}\n\n"two"\n{"content": "three", "id": 7, "other": 1}\n{"passage": " four "}\n'
    )
    assert cut(path) == [("manual", "one"), ("rows.jsonl:3", "two"), ("7", "three"), ("rows.jsonl:5", "four")]


def test_markdown_is_cut_at_headings_and_not_between_them(tmp_path):
    path = tmp_path / "faq.md"
    path.write_text("# Help\n\n## Cards\nCards come\nby post.\n\nIn five days.\n## Fees\nNone.\n")
    assert cut(path) == [
        ("faq.md:1", "Help\n\nCards\n\nCards come\nby post.\n\nIn five days."),
        ("faq.md:8", "Fees\n\nNone."),
    ]


def test_text_is_cut_where_it_gets_long(tmp_path):
    path = tmp_path / "a.txt"
    paragraph = "word " * (LONGEST // 10)
    path.write_text(f"# no heading here\n\n{paragraph}\n\n{paragraph}\n\nend")
    found = cut(path)
    assert [source for source, _ in found] == ["a.txt:1", "a.txt:5"]
    assert found[0][1].startswith("# no heading")
    assert found[1][1].endswith("end")
    path.write_text("x" * (2 * LONGEST + 1) + " " + "word " * LONGEST)
    assert max(len(text) for _, text in cut(path)) <= LONGEST
    whole = "".join("".join(text.split()) for _, text in cut(path))
    assert whole == "".join(path.read_text().split()), "nothing is lost"


def test_a_folder_is_its_files_in_order(tmp_path):
    docs = tmp_path / "docs"
    (docs / "sub").mkdir(parents=True)
    (docs / ".git").mkdir()
    (docs / "b.txt").write_text("b")
    (docs / "a.md").write_text("a")
    (docs / "sub" / "c.jsonl.gz").write_bytes(gzip.compress(b'"c"\n'))
    for hidden in (".d.txt", ".git/e.txt", "f.pdf"):
        (docs / hidden).write_text("not me")
    assert cut(docs) == [("a.md:1", "a"), ("b.txt:1", "b"), ("sub/c.jsonl.gz:1", "c")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "has no passage"),
        ("a.txt", b"\n \n", "has no passage"),
        ("a.jsonl", b"{}\n", "a.jsonl:1: the row has no text"),
        ("a.jsonl", b'"x"\n{"text": 3}\n', "a.jsonl:2: the row has no text"),
        ("a.jsonl", b'{"text"\n', "a.jsonl:1: broken JSON"),
        ("a.jsonl", b'"half \\ud800"\n', "half of a surrogate pair"),
        ("a.pdf", b"%PDF", "no format we read"),
        ("a.txt", b"ok\n\xff\xfe\xff\n", "is not UTF-8"),
        ("docs/a.pdf", b"%PDF", "holds no passages"),
    ],
)
def test_bad_corpora_get_one_line(tmp_path, name, content, said):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(tmp_path / name.split("/")[0])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_ranking_takes_its_place(tmp_path):
    (tmp_path / "a.txt").write_text("one")

    class Last:
        def __init__(self, texts):
            self.texts = texts

        def top(self, _question, k):
            return [(len(self.texts) - 1, 0.5)][:k]

    [passage] = read(tmp_path / "a.txt", Last).find("nothing alike", 3)
    assert (passage.text, passage.score) == ("one", 0.5)
    assert corpus.read(tmp_path / "a.txt").find("nothing alike", 3) == ()
