"""Real JupyterLab in a real Chromium, used as somebody without a mouse uses it.

`make test-browser` installs Playwright into a folder of its own; the browser is the machine's. Screenshots lie in
`build/browser`.
"""

import pytest
from jupyter_pages import REPO, Lab

PICTURES = REPO / "build" / "browser"


@pytest.fixture
def page(chromium):
    """A page that keeps what went wrong and what it asked for."""
    page = chromium.new_page(viewport={"width": 1200, "height": 1000})
    page.wrong, page.asked = [], []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("dialog", lambda dialog: (page.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    page.close()


@pytest.fixture
def jupyterlab(home):
    """`jupyterlab("dark")` starts one, with flags of its own; all are stopped at the end."""
    started = []

    def start(theme: str = "light", *flags: str) -> Lab:
        folder = home / f"lab-{len(started)}"
        folder.mkdir()
        started.append(Lab(folder, theme=theme, flags=flags))
        return started[-1]

    yield start
    for lab in started:
        lab.close()


@pytest.fixture
def picture(page):
    """Keeps what is seen, under a name."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    return lambda name: page.screenshot(path=PICTURES / f"{name}.png")
