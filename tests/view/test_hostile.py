"""Text is text: whatever a model says, it changes no element, no attribute, no line of a terminal."""

import re
from itertools import combinations

import pytest
from hostile import ALLOWED, ATTRIBUTES, CONTROLS, CORPUS, MARKUP, Page, everywhere
from payloads import beacons, payloads

from mlaas_lab.view import markup, text, to_html, to_text, widths
from mlaas_lab.view.html import style
from mlaas_lab.view.markup import HIDDEN, visible

STEPS = (steps for n in range(len(widths.STEPS) + 1) for steps in combinations(widths.STEPS, n))
OURS = {f"<style>{style(steps).replace('.mlaas ', '.mlaas.mlaas ')}</style>" for steps in STEPS}
PLAIN = Page(to_html(everywhere("words that are plain, and not too few"))).shape()


def faults(html: str, word: str) -> list[str]:
    """What is wrong with `html`, into which `word` was put everywhere."""
    page = Page(html)
    found = [f"element {tag}" for tag, _ in page.elements if tag not in ALLOWED]
    found += [f"attribute {name}" for _, attributes in page.elements for name in attributes if name not in ATTRIBUTES]
    found += [f"not closed: {page.depth}"] if page.depth else []
    found += [f"strange: {each}" for each in page.strange]
    found += ["a control character"] if HIDDEN.search(html) else []
    found += ["the word is not there as text"] if visible(word) not in page.text else []
    styles = [attributes["style"] or "" for _, attributes in page.elements if "style" in attributes]
    found += [f"style {each}" for each in styles if not re.fullmatch(r"width:[\d.]+%", each)]
    found += ["the style sheet is not ours"] if set(re.findall(r"<style>.*?</style>", html, re.DOTALL)) - OURS else []
    return found


@pytest.mark.parametrize("word", CORPUS)
def test_html_holds_it_as_text(word):
    html = to_html(everywhere(word), limit_bytes=10**9)
    assert faults(html, word) == []


def test_six_hundred_more_and_forty_that_call_home():
    words = [*payloads(), *beacons("http://127.0.0.1:9")]
    assert len(words) >= 640
    for word in words:
        assert faults(to_html(everywhere(word), limit_bytes=10**9), word) == [], word
        assert HIDDEN.search(to_text(everywhere(word))) is None, word


@pytest.mark.parametrize("word", MARKUP)
def test_structure_does_not_depend_on_texts(word):
    # Words that a diff marks may be split otherwise; everything else stays element for element.
    def without_marks(shape):
        return [each for each in shape if each[0] != "mark"]

    assert without_marks(Page(to_html(everywhere(word))).shape()) == without_marks(PLAIN)


@pytest.mark.parametrize("word", CORPUS)
def test_terminal_is_told_nothing(word):
    shown = to_text(everywhere(word))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert HIDDEN.search(shown) is None
    shown.encode()


@pytest.mark.parametrize("word", CONTROLS)
def test_what_acts_is_shown_instead(word):
    assert HIDDEN.search(word)
    assert HIDDEN.search(visible(word)) is None
    assert len(visible(word)) >= len(word)


def test_ordinary_writing_stays_as_it_is():
    words = "naïve Ελληνικά 日本語 עברית العربية 👩‍👩‍👧 x² – “quoted”\tand\nlines"
    assert visible(words) == words
    assert visible("windows\r\nlines") == "windows\nlines"


def test_sabotaged_escaping_is_caught(monkeypatch):
    monkeypatch.setattr(markup, "escape", lambda value, quote: value)
    caught = [word for word in MARKUP if faults(to_html(everywhere(word), limit_bytes=10**9), word)]
    assert len(caught) >= 0.7 * len(MARKUP), "the rest is harmless even unescaped, such as full-width brackets"


def test_sabotaged_quotes_are_caught(monkeypatch):
    from html import escape

    monkeypatch.setattr(markup, "escape", lambda value, quote: escape(value, quote=False))
    word = '" onmouseover="alert(1)'
    assert "attribute onmouseover" in faults(to_html(everywhere(word)), word)


def test_sabotaged_controls_are_caught(monkeypatch):
    monkeypatch.setattr(markup, "visible", lambda value: value)
    assert all(faults(to_html(everywhere(word), limit_bytes=10**9), word) for word in CONTROLS if "\ud800" not in word)
    monkeypatch.setattr(text, "visible", lambda value: value)
    assert "\x1b[31m" in to_text(everywhere("\x1b[31mred"))
