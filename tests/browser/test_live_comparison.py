"""The live comparison by keyboard alone, in both themes, with hostile answers, without a kernel."""

import re
import time

import polars as pl
import pytest
from hostile import CORPUS
from made_records import file_of, frame_of, record

pytestmark = pytest.mark.browser
CELL = "%load_ext mlaas_lab\n%mlaas compare records.parquet"
FOCUS = "document.activeElement"


def several(n=60):
    """Three targets: `good` is right twice as often as `bad`, `dear` never answers the tenth."""
    for i in range(n):
        right = f"The refund of order {i} was sent on day {i % 7}."
        wrong = f"The refund of order {i} was lost on day {i % 5}."
        yield record(
            "echo/bad", i, right if i % 3 == 0 else wrong, right, prompt=f"Where is refund {i}?", latency_s=0.2 + i / 90
        )
        yield record(
            "support-lora", i, right if i % 3 else wrong, right, prompt=f"Where is refund {i}?", latency_s=0.1 + i / 200
        )
        failed = "timeout" if i % 10 == 0 else None
        yield record(
            "vendor/dear",
            i,
            right if i % 2 else wrong,
            right,
            usd="0.0004",
            error=failed,
            prompt=f"Where is refund {i}?",
        )


def table(folder):
    frame = frame_of(folder / "records.parquet", several())
    frame.with_columns(
        group=pl.Series([("card", "cash", "bank")[i // 3 % 3] for i in range(len(frame))])
    ).write_parquet(folder / "records.parquet")


def focused(page, script="e => e.innerText"):
    return page.evaluate(f"({script})({FOCUS})")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, selector, most=60):
    """Tab until something of that kind has the focus."""
    for _ in range(most):
        if page.evaluate(f"{FOCUS}.matches({selector!r})"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never came to {selector}: {focused(page, 'e => e.outerHTML.slice(0, 200)')}")


def until(true, within_s=30):
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def into_the_view(page):
    """From the cell that ran, without a mouse."""
    press(page, "Escape")
    tab_to(page, ".mlaas-live [role=tab]")


def said(page):
    return page.locator(".mlaas-live .l-said").inner_text()


def test_everything_by_keyboard_alone(page, jupyterlab, picture):
    lab = jupyterlab()
    table(lab.folder)
    lab.run(page, CELL)
    assert not page.locator(".mlaas-still").is_visible(), "the static one hides while the live one works"
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    into_the_view(page)
    assert focused(page) == "Scores"
    # Down into the table, along to the share without a score, and open it.
    press(page, "ArrowDown")
    assert focused(page) == "exact_match"
    press(page, "ArrowDown", "ArrowDown", "End")
    assert focused(page) == "6"
    ring = "e => getComputedStyle(e).outlineStyle + ' ' + getComputedStyle(e).outlineWidth"
    assert focused(page, ring) == "solid 2px", "who has the focus is seen"
    press(page, "Enter")
    until(lambda: said(page) == "6 of 60 samples: not scored by exact_match")
    until(lambda: page.evaluate(f"{FOCUS}.matches('.l-card')"))
    assert "timeout" in focused(page)
    assert page.locator(".mlaas-live .l-card").count() == 6
    picture("keyboard-behind-a-number")
    press(page, "Escape")
    assert focused(page) == "6", "back on the number"
    # The verdict's table comes next by Tab; its number opens the pair.
    tab_to(page, "td:not([aria-label*='Scores'])")
    press(page, "Tab")
    assert page.evaluate(f"{FOCUS}.closest('table').getAttribute('aria-label')").startswith("Verdicts")
    press(page, "ArrowRight", "ArrowRight", "ArrowRight", "Enter")
    until(lambda: re.fullmatch(r"60 of 60 samples: disagreements by exact_match", said(page)))
    assert page.locator(".mlaas-live .l-chip").inner_text().startswith("echo/bad and support-lora")
    # Pages turn from within the list; the first answer keeps the focus.
    until(lambda: page.evaluate(f"{FOCUS}.matches('.l-card')"))
    press(page, "PageDown")
    until(lambda: page.locator(".mlaas-live .l-where").inner_text().startswith("11–20 of 60"))
    until(lambda: page.evaluate(f"{FOCUS}.matches('.l-card')"))
    press(page, "ArrowDown", "End", "ArrowUp")
    assert page.evaluate(f"[...{FOCUS}.parentElement.children].indexOf({FOCUS})") == 8
    # Words are looked for, in all that was asked for before.
    press(page, "/")
    page.keyboard.type("order 42")
    press(page, "Enter")
    until(lambda: said(page).startswith("1 of 60 samples"))
    press(page, "Escape")
    assert "Sample s42" in focused(page)
    # Keys that a notebook would take stay here.
    press(page, "d", "d", "a", "b", "x", "Enter")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    press(page, "?")
    assert page.locator(".mlaas-live .l-keys").is_visible()
    press(page, "Escape")
    assert not page.locator(".mlaas-live .l-keys").is_visible()
    # Export: the menu, its second entry, and the file is there.
    page.locator(".mlaas-live [aria-haspopup=menu]").focus()
    press(page, "Enter", "ArrowDown")
    assert focused(page) == "Parquet"
    press(page, "Enter")
    until(lambda: list(lab.folder.glob("compare-*.parquet")))
    (written,) = lab.folder.glob("compare-*.parquet")
    until(lambda: str(written) in page.locator(".mlaas-live .l-status").inner_text())
    assert pl.read_parquet(written)["sample_id"].unique().to_list() == ["s42"]
    assert page.wrong == []


def test_code_that_was_copied_gives_the_same_rows(page, jupyterlab):
    lab = jupyterlab()
    table(lab.folder)
    lab.run(page, f"{CELL} --show 'target=vendor/dear&metric=exact_match&only=errors'")
    until(lambda: said(page).startswith("6 of 60 samples: errors"))
    page.locator(".mlaas-live button", has_text="Copy as code").focus()
    press(page, "Enter")
    until(lambda: "%mlaas compare records.parquet --show" in page.locator(".mlaas-live .l-status").inner_text())


def contrast(page, selector):
    """The WCAG contrast of an element's text against what lies behind it."""
    script = """e => {
      const paint = (colour) => {
        const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
        canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
      };
      const ground = paint(getComputedStyle(e.closest(".mlaas-live")).backgroundColor);
      const ink = paint(getComputedStyle(e).color);
      const mixed = ink.slice(0, 3).map((v, i) => v * ink[3] / 255 + ground[i] * (1 - ink[3] / 255));
      const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
      const [a, b] = [light(mixed), light(ground)].sort((x, y) => y - x);
      return [(a + 0.05) / (b + 0.05), light(ground)];
    }"""
    return page.locator(selector).first.evaluate(script)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_can_be_read(page, jupyterlab, picture, theme):
    # The system says the opposite: JupyterLab's theme decides.
    page.emulate_media(color_scheme="light" if theme == "dark" else "dark")
    lab = jupyterlab(theme)
    table(lab.folder)
    lab.run(page, CELL)
    for selector in (".l-summary", "h3", "td", ".l-note", "[role=tab][aria-selected=false]", ".l-badge"):
        ratio, ground = contrast(page, f".mlaas-live {selector}")
        assert ratio >= 4.5, f"{selector}: {ratio:.1f}"
        assert (ground < 0.2) == (theme == "dark")
    press(page, "Control+b")
    for width in (1200, 700):
        page.set_viewport_size({"width": width, "height": 1000})
        tabs = page.locator(".mlaas-live [role=tab]")
        for i in range(tabs.count()):
            tabs.nth(i).click()
            time.sleep(0.4)
            picture(f"{theme}-{width}-{tabs.nth(i).inner_text().lower().replace(', ', '-').replace(' ', '-')}")
            wide = page.locator(".mlaas-live").evaluate("e => e.scrollWidth - e.clientWidth")
            assert wide <= 0, "nothing sticks out"
    assert page.wrong == []


def test_what_models_said_is_text_wherever_it_is_shown(page, jupyterlab):
    lab = jupyterlab()
    words = [word.encode(errors="replace").decode() for word in CORPUS]
    names = ["<img src=x onerror=document.title='owned'>", '"><script>document.title="owned"</script>']
    rows = [record(t, i, f"{w} {t}", w, prompt=w) for i, w in enumerate(words) for t in names]
    rows.append(record(names[0], 999, "", "x", error="<b onclick=alert(1)>"))
    file_of(lab.folder / "records.parquet", rows)
    lab.run(page, f"{CELL} --show only=all")
    title = page.title()
    seen = 0
    while True:
        cards = page.locator(".mlaas-live .l-card")
        cards.first.wait_for()
        seen += cards.count()
        strange = "e => [...e.querySelectorAll('script, img, iframe, a, form, b, style, base, object')].map((x) => x.outerHTML)"
        assert page.locator(".mlaas-live .l-list").evaluate(strange) == []
        more = page.locator(".mlaas-live [aria-label='Next page']")
        if more.get_attribute("aria-disabled") == "true":
            break
        before = page.locator(".mlaas-live .l-where").inner_text()
        more.click()
        until(lambda before=before: page.locator(".mlaas-live .l-where").inner_text() != before)
    assert seen == len(set(words)) + 1
    for i in range(page.locator(".mlaas-live [role=tab]").count()):
        page.locator(".mlaas-live [role=tab]").nth(i).click()
    assert page.title() == title
    assert page.wrong == []
    elsewhere = [
        url
        for url in page.asked
        if not url.startswith((lab.origin, lab.origin.replace("http", "ws"), "data:", "blob:"))
    ]
    assert elsewhere == []


def test_numbers_stay_without_a_kernel(page, jupyterlab, picture):
    lab = jupyterlab()
    table(lab.folder)
    lab.run(page, CELL)
    page.wait_for_selector(".jp-InputPrompt:text-is('[1]:')")  # the file's copy comes last
    page.keyboard.press("Control+s")
    until(lambda: "mlaas-still" in (lab.folder / "book.ipynb").read_text())
    lab.stop_kernels()
    page.locator(".mlaas-live [role=tab]", has_text="Cost").first.click()
    assert page.locator(".mlaas-live table").first.is_visible(), "what was there is still shown"
    into = page.locator(".mlaas-live [role=tab]", has_text="Answers")
    into.click()
    assert page.locator(".mlaas-live .l-card").count() >= 5
    until(lambda: page.locator(".mlaas-still").is_visible(), within_s=40)
    picture("without-a-kernel")
    page.goto("about:blank")
    page.goto(f"{lab.origin}/doc/tree/book.ipynb?token=t")
    page.wait_for_selector(".mlaas-still", timeout=60_000)
    assert re.search(r"support-lora .*better than echo/bad", page.locator(".mlaas-still").inner_text())
    picture("opened-again")
