"""The report: one page that asks nobody for anything, in which every text is text."""

import pytest
from hostile import ALLOWED, ATTRIBUTES, CORPUS, Page, everywhere

from mlaas_lab import report
from mlaas_lab.errors import DataError
from mlaas_lab.report import Origin, Provenance
from mlaas_lab.view import View, markup

OUTER = {"html", "head", "meta", "body", "main", "header", "h1"}


def provenance(word: str = "a word") -> Provenance:
    origin = Origin(label=word, facts=[(word, word)], parameters={word: word}, versions={word: word})
    return Provenance(title=word, made_at=0.0, made_with=word, origins=[origin], commands=[word])


def pages(word: str) -> Page:
    return Page(report.page([everywhere(word)], provenance(word)))


def tags(page: Page) -> list[str]:
    """Its elements, save those that mark differing words."""
    return [tag for tag, _ in page.elements if tag != "mark"]


def threats(page: Page) -> list[str]:
    """What of a page could run, fetch or hide something."""
    found = [tag for tag, _ in page.elements if tag not in ALLOWED | OUTER]
    metas = {"charset", "http-equiv", "content", "name", "lang"}
    found += [name for _, given in page.elements for name in given if name not in ATTRIBUTES | metas]
    return [*found, *page.strange]


@pytest.mark.parametrize("word", CORPUS)
def test_every_text_is_text(word):
    page = pages(word)
    assert threats(page) == []
    assert tags(page) == tags(pages("a word")), "no text changes what the page consists of"
    assert page.depth == 0


def test_this_test_would_see_markup(monkeypatch):
    monkeypatch.setattr(markup, "text", markup.Markup)
    seen = [word for word in CORPUS if "<" in word and threats(pages(word))]
    assert len(seen) > 20


def test_the_page_asks_nobody_for_anything():
    html = report.page([everywhere("x")], provenance())
    head = html.partition("<body")[0]
    assert "https://" not in head
    assert "http://" not in head
    page = Page(html)
    policy = next(given["content"] for tag, given in page.elements if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    named = {name for _, given in page.elements for name in given}
    assert named.isdisjoint({"src", "href", "srcset", "action", "data", "poster"})
    assert "url(" not in head
    assert "@import" not in head


def test_the_verdict_comes_first():
    views = [View(title="Scores", summary="good is better than bad.\nBy far."), View(title="Cost", summary="cheap")]
    text = Page(report.page(views, provenance("Title"))).text.partition("Title")[2]
    places = [text.index(words) for words in ("good is better than bad.", "By far.", "Scores", "cheap", "To repeat")]
    assert places == sorted(places)
    assert text.count("good is better than bad.") == 1


def test_light_dark_paper_and_phone_are_meant():
    html = report.page([], provenance())
    for words in ("prefers-color-scheme: dark", "@media print", "width=device-width", 'lang="en"'):
        assert words in html


def test_it_is_written_whole_or_not_at_all(tmp_path):
    path = report.write(tmp_path / "new" / "report.html", [View(title="x")], provenance())
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        report.write(blocked / "report.html", [View(title="x")], provenance())


def test_a_folder_is_not_overwritten(tmp_path):
    with pytest.raises(DataError, match="cannot be written"):
        report.write(tmp_path, [View(title="x")], provenance())
    assert list(tmp_path.parent.glob(f".{tmp_path.name}*")) == []
