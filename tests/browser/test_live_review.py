"""The live review by keyboard alone: judged, taken back, gone on with after a reload; alone in a bare host too."""

import json
import time

import mounted_views
import pytest
from hostile import CORPUS
from made_records import file_of, record

from mlaas_lab.reviewing import Desk
from mlaas_lab.settings import Settings
from mlaas_lab.widgets import flat
from mlaas_lab.widgets.reviewed import Reviewed

pytestmark = pytest.mark.browser
VIEW = ".mlaas-live.l-review"
CELL = "%load_ext mlaas_lab\n%mlaas review records.parquet --between bad,support-lora --blind --by ada"
LONG = "We could not find it, so please ask the bank that issued the card; it keeps the trace of every payment. "


def answers(n=24):
    """Two targets that differ in a word, in a sentence, or not at all."""
    for i in range(n):
        right = f"The refund of order {1000 + i} was sent on Tuesday and is with your bank within {2 + i % 4} days."
        wrong = f"The refund of order {1000 + i} was sent on Friday. {LONG * (1 + i % 2)}"
        asked = f"Where is the refund of my order {1000 + i}? I paid with {('card', 'cash')[i % 2]}."
        yield record("bad", i, right if i % 5 == 0 else wrong, right, prompt=asked, usd="0.0002", latency_s=0.4)
        yield record("support-lora", i, right if i % 3 else wrong, right, prompt=asked, latency_s=0.2)


def until(true, within_s=30):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def live(folder, rows=None, **asked):
    """A review whose kernel's side answers in this process."""
    rows = list(answers()) if rows is None else rows
    desk = Desk(table=file_of(folder / "records.parquet", rows), settings=Settings(data_dir=folder))
    sitting = desk.sit(**{"by": "ada", "blind": True, "between": ("bad", "support-lora"), **asked})
    return Reviewed(desk, sitting, ["review", "records.parquet", "--between", "bad,support-lora", "--blind"])


def shown(page, reviewed, change=lambda script: script):
    """The view on a bare page; each message is answered as a kernel would."""
    sent = json.loads(json.dumps({"content": reviewed.content, "now": reviewed.now()}))
    mounted_views.host(page, change(flat.script("review")), flat.style("review"), **sent)
    page.evaluate("() => { window.mount(); }")


def answered(page, reviewed):
    """Answer what the page asked since."""
    for message in page.evaluate("() => window.sent.splice(0)"):
        answer = reviewed.answer(message)
        if answer["kind"] == "now":
            page.evaluate("(now) => window.change({ now })", {**answer["now"], "said": ""})
        page.evaluate("(message) => window.tell(message)", answer)


def press(page, reviewed, *keys):
    for key in keys:
        page.keyboard.press(key)
        for _ in range(3):
            answered(page, reviewed)


def text(page, selector):
    return page.locator(f"{VIEW} {selector}").first.inner_text()


def test_ten_samples_by_keyboard_alone_one_taken_back_then_reloaded_and_gone_on_with(page, jupyterlab, picture):
    lab = jupyterlab()
    file_of(lab.folder / "records.parquet", answers())
    lab.run(page, CELL)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    page.keyboard.press("Escape")
    for _ in range(60):
        if page.evaluate(f"document.activeElement.matches('{VIEW} *')"):
            break
        page.keyboard.press("Tab")
    until(lambda: text(page, ".l-where") == "1 of 24")
    for turn, key in enumerate(["1", "2", "3", "4", "s", "1", "1", "2", "2", "1"], 1):
        page.keyboard.press(key)
        until(lambda turn=turn: f"{turn} of 24 samples judged" in text(page, ".l-progress"))
    page.keyboard.press("u")
    until(lambda: "9 of 24 samples judged" in text(page, ".l-progress"))
    until(lambda: text(page, ".l-where") == "10 of 24")
    page.keyboard.press("c")
    page.keyboard.type("dd both say the same")
    page.keyboard.press("Enter")
    until(lambda: "Comment kept" in text(page, ".l-status"))
    page.keyboard.press("2")
    until(lambda: "10 of 24 samples judged" in text(page, ".l-progress"))
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells, "no key went to the notebook"
    assert page.locator(f"{VIEW} .l-who").count() == 0, "nobody has said who is who"
    picture("review-lab")
    page.keyboard.press("Control+s")
    time.sleep(2)
    page.reload()
    page.wait_for_selector(VIEW, timeout=60_000)
    until(lambda: "10 of 24 samples judged" in text(page, ".l-progress"))
    assert text(page, ".l-where") == "11 of 24", "where the reviewer was"
    # A kernel that is new knows what was said too.
    lab.stop_kernels()
    lab.run(page, CELL)
    until(lambda: "10 of 24 samples judged" in text(page, ".l-progress"))
    (log,) = (lab.folder / "records.reviews").glob("review-*.jsonl")
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events.count("verdict") == 11
    assert (events.count("undo"), events.count("comment")) == (1, 1)
    assert page.wrong == []


def test_keys_move_reveal_and_show_results(page, tmp_path):
    reviewed = live(tmp_path)
    shown(page, reviewed)
    page.locator(f"{VIEW} .l-card").focus()
    press(page, reviewed, "j", "ArrowRight")
    assert text(page, ".l-where") == "3 of 24"
    press(page, reviewed, "k", "ArrowLeft", "ArrowLeft")
    assert text(page, ".l-where") == "1 of 24"
    press(page, reviewed, "End", "1", "n")
    assert text(page, ".l-where") == "2 of 24", "the next that nothing was said of"
    press(page, reviewed, "?")
    assert page.locator(f"{VIEW} .l-keys").is_visible()
    press(page, reviewed, "Escape", "r")
    assert not page.locator(f"{VIEW} .l-keys").is_visible()
    assert "Preferences" not in text(page, ".l-results")
    press(page, reviewed, "b")
    assert "Preferences" in text(page, ".l-results")
    assert sorted(page.locator(f"{VIEW} .l-who").all_inner_texts()) == ["bad", "support-lora"]
    press(page, reviewed, "b", "r")
    assert page.locator(f"{VIEW} .l-who").count() == 0
    assert text(page, ".l-status") == "Names are hidden."
    press(page, reviewed, "Home")
    page.keyboard.press("c")
    page.keyboard.type("1 2 u b")
    page.locator(f"{VIEW} [data-act=left]").click()
    for _ in range(3):
        answered(page, reviewed)
    assert reviewed.sitting.comment_on(0) == "1 2 u b", "what is typed is no key, and leaving it keeps it"
    assert reviewed.sitting.said(0) == "left"
    ring = "e => getComputedStyle(e).outlineStyle"
    page.keyboard.press("Tab")
    assert page.evaluate(f"({ring})(document.activeElement)") == "solid"
    assert page.wrong == []


def test_what_was_said_twice_in_a_hurry_is_of_the_sample_that_was_seen(page, tmp_path):
    reviewed = live(tmp_path)
    shown(page, reviewed)
    page.locator(f"{VIEW} .l-card").focus()
    for key in "12":
        page.keyboard.press(key)
    for _ in range(3):
        answered(page, reviewed)
    assert [reviewed.sitting.said(at) for at in range(2)] == ["right", None]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(page, tmp_path, picture, scheme):
    page.emulate_media(color_scheme=scheme)
    reviewed = live(tmp_path)
    shown(page, reviewed)
    page.locator(f"{VIEW} .l-card").focus()
    for width in (1200, 700, 400):
        page.set_viewport_size({"width": width, "height": 900})
        picture(f"review-{scheme}-{width}")
        assert page.locator(VIEW).evaluate("e => e.scrollWidth - e.clientWidth") <= 0, "nothing sticks out"
    page.set_viewport_size({"width": 1200, "height": 1300})
    press(page, reviewed, *"1121132242", "?", "r", "b", "Home")
    picture(f"review-{scheme}-named")
    assert page.wrong == []


def test_axe_finds_nothing(page, tmp_path):
    reviewed = live(tmp_path)
    axe = mounted_axe()
    for keys in ((), ("1", "1", "Home", "?"), ("b", "r")):
        shown(page, reviewed)
        page.locator(f"{VIEW} .l-card").focus()
        press(page, reviewed, *keys)
        page.evaluate(axe)
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]}
        found = page.evaluate("([at, rules]) => window.axe.run(at, rules)", [VIEW, rules])
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def mounted_axe():
    from jupyter_pages import REPO

    return (REPO / "node_modules" / "axe-core" / "axe.min.js").read_text()


def test_hostile_texts_and_names_stay_text(page, tmp_path):
    names = ("<img src=x onerror=document.title='owned'>", '"><script>document.title="owned"</script>')
    words = [word.encode(errors="replace").decode() for word in CORPUS]
    rows = [record(t, i, f"{w} {t}", w, prompt=w) for i, w in enumerate(words) for t in names]
    reviewed = live(tmp_path, rows, between=names, by="<b onclick=alert(1)>eve</b>")
    shown(page, reviewed)
    page.locator(f"{VIEW} .l-card").focus()
    press(page, reviewed, "b", "r")
    strange = (
        "e => [...e.querySelectorAll('script, img, iframe, a, form, b, style, base, object')].map((x) => x.outerHTML)"
    )
    for _ in range(len(words)):
        assert page.locator(VIEW).evaluate(strange) == []
        reviewed.sitting.comment(reviewed.sitting.at, words[reviewed.sitting.at])
        press(page, reviewed, "1")
    assert reviewed.sitting.ended
    assert page.locator(VIEW).evaluate(strange) == []
    assert page.title() == ""
    assert page.wrong == []
    # The control: the same texts as markup do act.
    shown(
        page,
        reviewed,
        lambda script: script.replace(
            "element.append(...children",
            "element.innerHTML += children.flat().filter((x) => typeof x === 'string').join(''); element.append(...children",
            1,
        ),
    )
    until(lambda: page.title() == "owned" or page.locator(f"{VIEW} img").count() > 0)


def test_a_hundred_mounts_leave_nothing(page, tmp_path):
    shown(page, live(tmp_path))
    many, nodes, heard = mounted_views.left(page)
    assert (many, heard) == (0, 2), "the one that is mounted listens to messages and to changes"
    assert nodes <= 20

    def spoilt(script):
        stays = 'addEventListener("keydown", () => this.now);'
        return script.replace("  listen() {", f"  listen() {{\n    {stays}", 1)

    shown(page, live(tmp_path), spoilt)
    assert mounted_views.left(page)[0] >= 100, "the control: a listener that stays is seen"
