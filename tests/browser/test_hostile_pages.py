"""Pages that leave JupyterLab, in a real browser: an output, a report, an exported notebook run and ask nothing.

Seven hundred texts that try to are there, every sixth in every place that takes text. What is tested holds without the report's policy too;
the control is the same page with escaping taken out.
"""

from html import escape

import nbformat
import pytest
from canary import STRANGE, TOUCHED, Canary, Watched
from hostile import ALLOWED, everywhere
from nbconvert import HTMLExporter
from payloads import FIRING, HOMEWARD, beacons, everything, payloads

from mlaas_lab import report
from mlaas_lab.errors import DataError
from mlaas_lab.report import Origin, Provenance
from mlaas_lab.view import Code, Facts, Table, View, markup, to_html, to_text

pytestmark = pytest.mark.browser
A_PAGE = 240
"""Texts in one page."""
KNOWN = sorted(ALLOWED | {"html", "head", "meta", "body", "main", "header", "h1"})


@pytest.fixture
def watched(page):
    with Canary() as canary:
        yield Watched(page, canary)


def chunks(words):
    return [words[i : i + A_PAGE] for i in range(0, len(words), A_PAGE)]


def framed(pages):
    """Each page in a frame of its own, so that none keeps another from what it does."""
    return "".join(f'<iframe srcdoc="{escape(page)}"></iframe>' for page in pages)


def bare(monkeypatch):
    """Take escaping out."""
    monkeypatch.setattr(markup, "escape", lambda value, quote: value)
    monkeypatch.setattr(markup, "visible", lambda value: value)


def worst(origin):
    """What runs or asks by itself, as markup: a page for each."""
    return [to_html(View(title="x", notes=[word])) for word in [*payloads()[: len(FIRING)], *beacons(origin)]]


def together(words):
    """Many texts in a view; every sixth has one to itself, where it is in every place."""
    rows = [(word, word) for word in words]
    table = Table(columns=[words[0], words[1]], rows=rows, caption=words[2])
    facts = [Facts(rows=rows), Code(text="\n".join(words), label=words[3])]
    return [View(title=words[4], summary=words[5], marks=facts, table=table, notes=words), *map(everywhere, words[::6])]


def shown(words):
    return "".join(to_html(view, limit_bytes=10**9) for view in together(words))


def test_outputs_of_cells(page, watched, monkeypatch):
    words = everything(watched.canary.origin)
    assert len(words) > 700
    for some in chunks(words):
        page.set_content(f"<!doctype html><body>{shown(some)}")
        page.evaluate(TOUCHED, "body")
        assert page.evaluate(STRANGE, [".mlaas", KNOWN]) == []
    assert watched.settled() == []
    bare(monkeypatch)
    page.set_content(framed(worst(watched.canary.origin)))
    watched.settled(3000)
    print(
        f"as markup {len(set(watched.ran))} of {len(FIRING)} run, {len(watched.canary.leaks())} of {len(HOMEWARD)} call home"
    )
    assert len(set(watched.ran)) >= 0.5 * len(FIRING), "the control: as markup at least half of them run"
    assert len(watched.canary.leaks()) >= 0.5 * len(HOMEWARD), "and call home"


def provenance(word):
    origin = Origin(label=word, facts=[(word, word)], parameters={word: word}, versions={word: word})
    return Provenance(title=word, made_at=0.0, made_with=word, origins=[origin], commands=[word])


def written(words):
    return report.page(together(words), provenance(words[0]))


def test_reports(page, watched, monkeypatch):
    for some in chunks(everything(watched.canary.origin)):
        open_to_all = written(some).replace(report.POLICY, "")
        assert report.POLICY not in open_to_all
        page.set_content(open_to_all)
        page.evaluate(TOUCHED, "body")
        assert page.evaluate(STRANGE, ["body", KNOWN]) == []
    assert watched.settled() == []
    bare(monkeypatch)
    words = [*payloads()[: len(FIRING)], *beacons(watched.canary.origin)]
    page.set_content(framed(report.page([View(title="x", notes=[word])], provenance("x")) for word in words))
    watched.settled(3000)
    assert watched.ran == [], "should escaping ever fail, the policy of the page lets nothing run"
    page.set_content(
        framed(
            report.page([View(title="x", notes=[word])], provenance("x")).replace(report.POLICY, "") for word in words
        )
    )
    watched.settled(3000)
    assert len(set(watched.ran)) >= 0.5 * len(FIRING), "the control: without both at least half of them run"


def exported(outputs):
    cells = [nbformat.v4.new_code_cell("%mlaas jobs", outputs=outputs)]
    exporter = HTMLExporter(embed_images=True)
    # What it would fetch for itself is not ours to judge.
    for name in (
        "mathjax_url",
        "require_js_url",
        "jquery_url",
        "widget_renderer_url",
        "mermaid_js_url",
        "jupyter_widgets_base_url",
    ):
        if hasattr(exporter, name):
            setattr(exporter, name, "")
    return exporter.from_notebook_node(nbformat.v4.new_notebook(cells=cells))[0]


def outputs_of(words):
    """As a view, as text alone, as what a process wrote, as an error."""
    new = nbformat.v4.new_output
    for view in together(words):
        still = f'<div class="mlaas-still">{to_html(view, limit_bytes=10**9)}</div>'
        yield new("display_data", {"text/html": still, "text/plain": to_text(view)})
        yield new("display_data", {"text/plain": to_text(view)})
        yield new("stream", name="stdout", text=f"{to_text(view)}\n")
    for word in words:
        yield new("error", ename="DataError", evalue=word, traceback=DataError(word)._render_traceback_())


def test_exported_notebooks(page, watched):
    safe = ("about:", "data:", "blob:")
    page.route(lambda url: not url.startswith((watched.canary.origin, *safe)), lambda route: route.abort())
    page.set_content(exported([]))
    watched.settled()
    by_itself = set(watched.asked)
    watched.asked.clear()
    assert not [url for url in by_itself if "leak" in url or "evil" in url]
    for some in chunks([word.encode(errors="replace").decode() for word in everything(watched.canary.origin)]):
        page.set_content(exported(list(outputs_of(some))))
        page.evaluate(TOUCHED, ".jp-Notebook, body")
        assert page.evaluate(STRANGE, [".mlaas", KNOWN]) == []
    watched.settled()
    watched.asked[:] = [url for url in watched.asked if url not in by_itself]
    assert watched.settled() == []
    html = nbformat.v4.new_output("display_data", {"text/html": "".join(payloads()[:5])})
    page.set_content(exported([html]))
    watched.settled(2000)
    assert watched.ran, "the control: as markup it runs"
