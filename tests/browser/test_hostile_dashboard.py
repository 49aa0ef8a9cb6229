"""The review dashboard in a real browser, every text in it hostile: nothing runs and nobody is asked, its policy aside.

The controls are the same pages with escaping taken out, of what Python draws and of what scripts draw.
"""

from urllib.parse import quote, urlencode

import pytest
from canary import DEEP, KNOWN, STRANGE, TOUCHED, WALK, Canary, Watched
from hostile import ALLOWED
from hostile_case import evaluation, firing, said, words

from mlaas_lab.commands import _deciding, _dispatch
from mlaas_lab.commands.dashboard import DashboardArgs, _case
from mlaas_lab.dashboard import export, live
from mlaas_lab.dashboard.pages import NAMES
from mlaas_lab.dashboard.where import FILTERS
from mlaas_lab.view import markup

pytestmark = pytest.mark.browser
OURS = ".mlaas, .mlaas-live"
MADE_OF = sorted({*KNOWN, *ALLOWED})
OUTSIDE = {"html", "head", "meta", "title", "link", "style", "script", "body", "div", "main"}
"""What stands around our views."""
AN_ADDRESS = 40
"""Texts in one address; servers read 64 kB."""
TEXT = f"() => {{ {DEEP} return deep('{OURS}').map((e) => e.textContent).join(' '); }}"
BACK = """(several) => several.forEach((word) => {
  history.pushState({}, "", `?page=${encodeURIComponent(word)}`);
  window.dispatchEvent(new PopStateEvent("popstate"));
})"""
"""Go to places that are none, as if one came back to them."""


@pytest.fixture
def page(chromium):
    """A page that no policy of its document protects."""
    page = chromium.new_page(bypass_csp=True, viewport={"width": 1200, "height": 900})
    yield page
    page.close()


@pytest.fixture
def watched(page):
    with Canary() as canary:
        yield Watched(page, canary)


@pytest.fixture
def serve(lab, page, watched):
    """`serve(table, "--rule", …)` opens a dashboard in this process and comes in."""
    opened = []

    def start(*told):
        opened.append(_dispatch.execute(["dashboard", *map(str, told)], lab))
        place = opened[-1].url.partition("?")[0]
        watched.own += (place, place.replace("http", "ws"))
        page.goto(opened[-1].url)
        return place

    yield start
    for one in opened:
        one.stop()


@pytest.fixture
def table(lab, watched):
    """Every text but names of targets, with reviews and decisions."""
    several = words(watched.canary.origin)
    path = evaluation(lab, several, firing(watched.canary.origin)[3:5])
    said(_deciding.desk(str(path), lab), several)
    return path


def show(page, url, name):
    page.goto(f"{url}?page={name}")
    page.wait_for_selector(f"nav a[data-page={name}][aria-current]")
    page.wait_for_selector(".d-main :is(.mlaas, .mlaas-live)")


def looked(page):
    page.evaluate(TOUCHED, OURS)
    assert page.evaluate(STRANGE, [OURS, MADE_OF]) == []
    assert set(page.evaluate("[...document.querySelectorAll('*')].map((e) => e.localName)")) <= OUTSIDE


def ruled(folder, names):
    """Rules about targets of these names, one of which there is not."""
    path = folder / "release.rules"
    path.write_text("\n".join(f"{name} | n >= 1" for name in (*names, "<img src=x onerror=ran(0)>")))
    return path


def test_every_page(page, watched, serve, table, monkeypatch):
    monkeypatch.setattr(live.Comparing, "_esm", live.Comparing._esm.replace("const PAGE = 10;", "const PAGE = 50;"))
    url, told = serve(table), ""
    for name in NAMES:
        show(page, url, name)
        if name == "comparison":
            page.click("[role=tab]:has-text('Answers')")
            page.select_option("[data-field=only]", "all")
            page.wait_for_selector(f".l-where:has-text('1–50 of {len(words(watched.canary.origin))}')")
            walked = page.evaluate(WALK, [".l-compared", MADE_OF])
            assert walked["found"] == []
            assert walked["seen"] >= len(words(watched.canary.origin)) - 1
        looked(page)
        told += page.evaluate(TEXT)
    known = [" ".join(word.split()) for word in words(watched.canary.origin) if word.isprintable()]
    flat = " ".join(told.split())
    assert len([word for word in known if word in flat]) >= 0.95 * len(known) > 500, "they are there as text"
    assert watched.settled() == []


def test_names_of_targets_runs_metrics_and_rules(page, watched, serve, lab, tmp_path):
    origin = watched.canary.origin
    names = firing(origin)[::4]
    one = evaluation(lab, words(origin)[::19], names)
    other = evaluation(lab, words(origin)[::29], names[:2], "&lt;img src=x onerror=ran(1)&gt;")
    url = serve(one, other, "--rule", ruled(tmp_path, names[:9]))
    for name in NAMES:
        show(page, url, name)
        looked(page)
        page.goto(f"{url}?{urlencode({'page': name, 'run': 'hostile', 'target': names[1]})}")
        page.wait_for_selector("summary:has-text('Target')")
        looked(page)
    assert watched.settled() == []


def test_who_reviews_and_signs_and_why(page, watched, serve, table):
    url = serve(table)
    several = firing(watched.canary.origin)
    show(page, url, "review")
    page.fill("input[type=text]", f"{several[4]} 0")
    page.click("text=Begin, or go on")
    page.wait_for_selector(".l-review .l-card")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    looked(page)
    show(page, url, "decision")
    for word in several[:3]:
        page.fill("input[type=text]", word)
        page.fill("textarea", "\n".join(several))
        page.click("button:has-text('Sign')")
        page.wait_for_selector(".l-status:has-text('signed for')")
        looked(page)
    assert watched.settled() == []


def test_addresses(page, watched, serve, table):
    url = serve(table)
    several = words(watched.canary.origin)
    for i in range(0, len(several), AN_ADDRESS):
        some = several[i : i + AN_ADDRESS]
        told = urlencode([(name, word) for word in some for name in ("page", *FILTERS, word)])
        page.goto(f"{url}?{told}#{some[0]}")
        page.wait_for_selector("nav a[data-page=overview][aria-current]")
        looked(page)
    page.evaluate(BACK, several)
    page.goto(f"{url}?page={several[0]}&target={several[4]}")
    page.wait_for_selector("nav a[data-page=overview][aria-current]")
    for word in several:
        answer = page.request.get(f"{url}{quote(word, safe='')}")
        assert word not in answer.text() or word.isalnum(), word
    assert watched.settled() == []


def test_the_export(page, watched, lab, table):
    watched.own += (table.parent.as_uri(),)
    page.goto(exported(lab, table).as_uri())
    page.evaluate(TOUCHED, "body")
    assert page.evaluate(STRANGE, ["body", [*MADE_OF, "body", "main"]]) == []
    assert watched.settled() == []


def exported(lab, table):
    case = _case(DashboardArgs(runs=(str(table),)), lab)
    return export.write(case, table.with_name("review.html"))


@pytest.fixture
def few(lab, watched):
    """What runs or asks by itself."""
    several = firing(watched.canary.origin)
    return evaluation(lab, several, several[4:6])


def fired(page, watched, then=lambda: None, within_s=20):
    """Wait until something ran."""
    for _ in range(within_s * 10):
        if watched.ran:
            break
        then()
        page.wait_for_timeout(100)
    assert watched.settled(1000)[0].startswith("ran: ")


@pytest.fixture
def bare(monkeypatch):
    """Escaping taken out of what Python draws."""
    monkeypatch.setattr(markup, "escape", lambda value, quote: value)
    monkeypatch.setattr(markup, "visible", lambda value: value)


def test_the_control_an_export_that_takes_text_for_markup(page, watched, lab, few, bare):
    page.goto(exported(lab, few).as_uri(), wait_until="commit")
    fired(page, watched)


def test_the_control_pages_that_take_text_for_markup(page, watched, serve, few, bare):
    page.goto(f"{serve(few)}?page=slices", wait_until="commit")
    fired(page, watched)
    print(f"as markup {len(set(watched.ran))} run, {len(watched.canary.leaks())} call home")


def spoilt(script):
    """A view's script that puts text in as markup."""
    escaping = "element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));"
    assert escaping in script
    put_in = "children.flat().filter((c) => c || c === 0).forEach((c) => c instanceof Node ? element.append(c) : element.insertAdjacentHTML('beforeend', c));"
    return script.replace(escaping, put_in)


@pytest.mark.parametrize(
    ("view", "name"), [("Bar", "cost"), ("Comparing", "comparison"), ("Asking", "decision"), ("Reviewing", "review")]
)
def test_the_control_scripts_that_take_text_for_markup(page, watched, serve, few, monkeypatch, view, name):
    kind = getattr(live, view)
    monkeypatch.setattr(kind, "_esm", spoilt(kind._esm))
    page.goto(f"{serve(few)}?page={name}")
    if view == "Reviewing":
        page.fill("input[type=text]", "ada")
        page.click("text=Begin, or go on")
        page.locator(".l-review .l-card").focus()
    fired(page, watched, then=lambda: page.keyboard.press("ArrowRight"))
