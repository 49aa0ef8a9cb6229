"""Every place of JupyterLab where jobs are met, and every thing they can do there, as somebody at the mouse has it.

Launcher, palette, menu, status bar, Running panel, notifications, settings, and the layout after a reload.
"""

import re
from contextlib import closing, contextmanager

import pytest
from made_jobs import made

from mlaas_lab.schema import JobState, Progress
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.ledger import Ledger
from mlaas_lab.store.spending import Charge, Hold, Kind, Payer, Wish

pytestmark = pytest.mark.browser
SIDE = "#mlaas-lab"
STATUS = ".mlaas-Status button"
TOAST = ".Toastify__toast"
ENTRY = ".jp-RunningSessions-item:has-text('· toy')"
SETTINGS = "mlaas_lab:plugin"
LABELS = (
    "Jobs, endpoints and spend",
    "Cancel a job",
    "Show the log of a job",
    "Open a job in MLflow",
    "Copy a job as code",
)


@pytest.fixture
def store(lab):
    """Empty of living jobs at the end, since pickers offer all that live."""
    with lab.store() as store:
        yield store
        for job in store.jobs(limit=1000):
            if not job.state.ended:
                store.move(job.id, JobState.CANCELLED, attempt=job.attempt)


def look_up(page, word):
    """The command palette, with what it finds for `word`; it is emptied as it opens."""
    page.keyboard.press("Control+Shift+C")
    page.locator(".lm-CommandPalette-item:visible").first.wait_for()
    page.locator(".lm-CommandPalette-input").fill(word)


def run(store, job_id, /, **values):
    """A job that runs, as its supervisor would have it."""
    store.add(made(job_id, handle={"pid": 1}, **values))
    store.move(job_id, JobState.RUNNING, attempt=1)


def row(page, name):
    return page.locator(f"{SIDE} li[data-job='{name}']").first


def closed(page):
    """The sidebar put away, so that whatever shows it is seen to."""
    page.click('[data-id="filebrowser"]')
    page.wait_for_selector(SIDE, state="hidden")


def of_menu(page, label):
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Jobs$")).click()
    page.locator(".lm-Menu-item", has_text=label).click()


def chosen(page, label, name, but_not="nobody"):
    """A command of the menu, and in its question the job that is meant."""
    of_menu(page, label)
    offered = page.locator(".jp-Dialog option").all_inner_texts()
    assert not any(but_not in one for one in offered), offered
    (job,) = (one for one in offered if name in one)
    page.locator(".jp-Dialog select").select_option(label=job)
    page.locator(".jp-Dialog .jp-mod-accept").click()


@contextmanager
def setting(page, name):
    """The field of a setting, in JupyterLab's own editor."""
    page.keyboard.press("Control+Comma")
    page.locator(".jp-PluginList-entry[data-id='mlaas_lab:plugin']").click()
    field = page.locator(f"[id='jp-SettingsEditor-{SETTINGS}_{name}']")
    field.wait_for()
    yield field


def test_launcher_card_shows_the_sidebar(page, lab):
    lab.show(page)
    closed(page)
    page.locator(".jp-LauncherCard", has_text=LABELS[0]).click()
    page.wait_for_selector(f"{SIDE}:visible")
    assert page.wrong == []


def test_every_action_is_in_the_palette_and_in_the_menu(page, lab, store):
    run(store, "p1")
    lab.show(page)
    row(page, "p1").wait_for()
    page.locator(".lm-MenuBar-item", has_text=re.compile("^Jobs$")).click()
    assert set(page.locator(".lm-Menu-itemLabel:visible").all_inner_texts()) - {""} == set(LABELS)
    page.keyboard.press("Escape")
    closed(page)
    look_up(page, "mlaas_lab")
    page.locator(".lm-CommandPalette-item", has_text=LABELS[-1]).wait_for()
    assert set(LABELS) <= set(page.locator(".lm-CommandPalette-itemLabel").all_inner_texts())
    page.locator(".lm-CommandPalette-item", has_text=LABELS[0]).click()
    page.wait_for_selector(f"{SIDE}:visible")


def test_each_item_of_the_menu_does_what_it_says(page, lab, store, until):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.context.route("http://mlflow.test/**", lambda asked: asked.fulfill(body="its page"))
    for name in ("i1", "i2"):
        run(store, name, task="finetune", spec={"base": name})
        store.update(name, attempt=1, run_id=f"run-{name}")
    lab.show(page)
    row(page, "i2").wait_for()
    closed(page)
    of_menu(page, LABELS[0])
    page.wait_for_selector(f"{SIDE}:visible")
    closed(page)
    chosen(page, LABELS[2], "i1")
    until(lambda: row(page, "i1").locator(".mlaas-head").get_attribute("aria-expanded") == "true")
    assert row(page, "i2").locator(".mlaas-head").get_attribute("aria-expanded") == "false"
    with page.context.expect_page() as opened:
        chosen(page, LABELS[3], "i1")
    opened.value.wait_for_url("**/#/runs/run-i1")
    chosen(page, LABELS[4], "i1")
    until(lambda: page.evaluate("navigator.clipboard.readText()") == '%%mlaas finetune\nbase: "i1"')
    chosen(page, LABELS[1], "i1")
    row(page, "i1").locator(".mlaas-line:text-is('stopping')").wait_for()
    assert not store.job("i2").cancel_requested
    chosen(page, LABELS[1], "i2", but_not="i1")
    row(page, "i2").locator(".mlaas-line:text-is('stopping')").wait_for()
    assert store.job("i2").cancel_requested
    of_menu(page, LABELS[1])
    page.locator(TOAST, has_text="There is no such job").wait_for()


def test_the_palette_cancels_the_job_that_is_picked(page, lab, store, until):
    run(store, "p2", name="stays")
    run(store, "p3", name="goes")
    lab.show(page)
    row(page, "p3").wait_for()
    look_up(page, LABELS[1])
    page.locator(".lm-CommandPalette-item", has_text=LABELS[1]).click()
    page.locator(".jp-Dialog select").select_option(
        label=page.locator(".jp-Dialog option", has_text="goes").inner_text()
    )
    page.locator(".jp-Dialog .jp-mod-accept").click()
    until(lambda: store.job("p3").cancel_requested)
    assert not store.job("p2").cancel_requested


def test_the_menu_shows_a_log(page, lab, store, until):
    folder = JobFolder(lab.data / "jobs" / "l1")
    folder.path.mkdir(parents=True)
    folder.log.write_text("first line\nlast line\n")
    run(store, "l1", folder=str(folder.path))
    lab.show(page)
    row(page, "l1").wait_for()
    closed(page)
    chosen(page, LABELS[2], "l1")
    until(lambda: row(page, "l1").locator(".mlaas-log").inner_text() == "first line\nlast line")
    folder.log.write_text("first line\nlast line\nand one more\n")
    until(lambda: "and one more" in row(page, "l1").locator(".mlaas-log").inner_text())


def test_a_job_opens_in_mlflow(page, lab, store):
    run(store, "m1")
    store.update("m1", attempt=1, run_id="r1/x")
    lab.show(page)
    row(page, "m1").hover()
    page.context.route("http://mlflow.test/**", lambda asked: asked.fulfill(body="its page"))
    with page.context.expect_page() as opened:
        row(page, "m1").locator("button[title='Open in MLflow']").click()
    opened.value.wait_for_url("http://mlflow.test/mlflow/**")
    assert opened.value.url == "http://mlflow.test/mlflow/#/runs/r1%2Fx"


def test_a_job_is_copied_as_the_cell_that_makes_it(page, lab, store, until):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    run(store, "c1", task="finetune", spec={"base": "tiny", "rank": 8})
    lab.show(page)
    row(page, "c1").hover()
    row(page, "c1").locator("button[title='Copy as code']").click()
    page.locator(TOAST, has_text="Copied: %%mlaas finetune").wait_for()
    read = "navigator.clipboard.readText()"
    assert page.evaluate(read) == '%%mlaas finetune\nbase: "tiny"\nrank: 8'


def test_running_panel_has_what_runs_opens_it_and_cancels_it(page, lab, store, until):
    for name in ("n1", "n2", "n3"):
        run(store, name)
    lab.show(page)
    page.click('[data-id="jp-running-sessions"]')
    entries = page.locator(ENTRY)
    until(lambda: entries.count() == 3)
    store.move("n3", JobState.SUCCEEDED, attempt=1)
    until(lambda: entries.count() == 2)
    entry = entries.filter(has_text="n1")
    entry.hover()
    entry.locator(".jp-RunningSessions-itemShutdown").click()
    until(lambda: store.job("n1").cancel_requested)
    assert not store.job("n2").cancel_requested
    heading = page.locator(".jp-RunningSessions-section-title, .jp-AccordionPanel-title", has_text="Jobs and Endpoints")
    heading.locator(".jp-RunningSessions-shutdownAll").click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    until(lambda: store.job("n2").cancel_requested)
    entries.filter(has_text="n2").locator(".jp-RunningSessions-itemLabel").click()
    page.wait_for_selector(f"{SIDE}:visible")
    assert row(page, "n2").locator(".mlaas-head").get_attribute("aria-expanded") == "true"


def test_status_bar_counts_and_shows_the_sidebar(page, lab, store, until):
    lab.show(page)
    until(lambda: page.locator(STATUS).inner_text() == "0 · $0.00 / $2.50")
    run(store, "s1")
    until(lambda: page.locator(STATUS).inner_text().startswith("1 · "))
    closed(page)
    page.click(STATUS)
    page.wait_for_selector(f"{SIDE}:visible")


def test_the_end_of_a_job_is_told_with_its_log(page, lab, store):
    for name in ("e1", "e2"):
        run(store, name)
    lab.show(page)
    row(page, "e2").wait_for()
    closed(page)
    store.move("e1", JobState.FAILED, attempt=1, why="no such file\nat line 3")
    page.locator(TOAST, has_text="e1 failed: no such file").wait_for()
    store.move("e2", JobState.SUCCEEDED, attempt=1)
    page.locator(TOAST, has_text="e2 succeeded").get_by_text("Log").click()
    page.wait_for_selector(f"{SIDE}:visible")
    assert row(page, "e2").locator(".mlaas-head").get_attribute("aria-expanded") == "true"


@pytest.fixture
def settings(lab):
    """Those that somebody has changed are as they were again."""
    yield
    (lab.folder / "settings" / "mlaas_lab" / "plugin.jupyterlab-settings").unlink(missing_ok=True)


@pytest.mark.usefixtures("settings")
def test_settings_say_what_is_told_and_shown(page, lab, store, until):
    for n in range(7):
        run(store, f"g{n}")
    lab.show(page)
    row(page, "g6").wait_for()
    with setting(page, "notifications") as field:
        field.select_option(label="failures")
    with setting(page, "jobsShown") as field:
        field.fill("5")
    with setting(page, "statusBar") as field:
        field.uncheck()
    page.wait_for_selector(STATUS, state="hidden")
    page.click('[data-id="mlaas-lab"]')
    until(lambda: page.locator(f"{SIDE} .mlaas-Section").first.locator("li").count() == 5)
    store.move("g6", JobState.SUCCEEDED, attempt=1)
    store.move("g5", JobState.FAILED, attempt=1, why="broken")
    page.locator(TOAST, has_text="g5 failed").wait_for()
    assert page.locator(TOAST, has_text="g6 succeeded").count() == 0


@pytest.mark.usefixtures("settings")
def test_settings_written_as_json_act_at_once(page, lab, store, until):
    for n in range(7):
        run(store, f"h{n}")
    lab.show(page)
    row(page, "h6").wait_for()
    assert page.locator(STATUS).is_visible()
    page.keyboard.press("Control+Comma")
    page.locator("[data-command='settingeditor:open-json']").click()
    page.locator(".jp-PluginList-entry[data-id='mlaas_lab:plugin']:visible").click()
    written = page.locator(".jp-SettingsRawEditor-user .cm-content")
    written.fill('{"jobsShown": 5, "statusBar": false, "notifications": "none"}')
    page.keyboard.press("Control+s")
    page.wait_for_selector(STATUS, state="hidden")
    until(lambda: page.locator(f"{SIDE} .mlaas-Section").first.locator("li").count() == 5)
    store.move("h6", JobState.FAILED, attempt=1, why="broken")
    until(lambda: row(page, "h6").get_attribute("data-state") == "failed")
    assert page.locator(TOAST, has_text="h6 failed").count() == 0
    written.fill("{}")
    written.press("Control+s")
    page.wait_for_selector(STATUS)
    store.move("h5", JobState.FAILED, attempt=1, why="broken")
    page.locator(TOAST, has_text="h5 failed").wait_for()


def test_the_layout_comes_back(page, lab, until):
    lab.show(page)
    page.locator(f"{SIDE} h3 button", has_text="Endpoints").click()
    layout = f"fetch('{lab.origin}/lab/api/workspaces/default?token=t').then(answer => answer.text())"
    kept = ('"current":"mlaas-lab"', '"closed":["Endpoints"]')
    until(lambda: all(one in page.evaluate(layout).replace(": ", ":") for one in kept))
    page.goto(f"{lab.origin}/lab?token=t")
    page.wait_for_selector(f"{SIDE}:visible", timeout=120_000)
    until(lambda: page.locator(f"{SIDE} h3 button", has_text="Endpoints").get_attribute("aria-expanded") == "false")
    page.goto(f"{lab.origin}/lab?token=t&reset")
    page.wait_for_selector('[data-id="mlaas-lab"]', timeout=120_000)
    page.wait_for_selector(".jp-Launcher")
    assert not page.locator(SIDE).is_visible(), "the control: where nothing is kept, it is closed"


def test_a_budget_that_is_spent_is_told(page, lab, store):
    """The last one here: the day's money is gone then."""
    run(store, "b1")
    store.update("b1", attempt=1, progress=Progress(n=3, total=9, at=1.0, spent_usd=0.5, cap_usd=1.0))
    lab.show(page)
    row(page, "b1").wait_for()
    store.update("b1", attempt=1, progress=Progress(n=6, total=9, at=2.0, spent_usd=1.0, cap_usd=1.0))
    page.locator(TOAST, has_text="b1: the budget is spent").wait_for()
    assert page.locator(TOAST, has_text="All jobs of today").count() == 0
    with closing(Ledger(lab.data / "ledger.sqlite3")) as ledger:
        hold = Hold(id=0, payer=Payer(job="b1", project="p"), kind=Kind.API, target="t", amount=0, at=0)
        ledger.draw(hold, [Charge(kind=Kind.API, target="t", spent=2_500_000)], Wish(over=True))
    page.locator(TOAST, has_text="All jobs of today: the budget is spent").wait_for()
