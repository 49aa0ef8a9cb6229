"""One reader's session: where they are, what they see there, and the address that says it.

What is worked out belongs to the case and is shared; what a reader types is theirs.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import panel as pn

from mlaas_lab.dashboard import comparison, decision, review
from mlaas_lab.dashboard.case import Case, Cut
from mlaas_lab.dashboard.live import Asking, Bar, Comparing, Reviewing, still
from mlaas_lab.dashboard.news import News
from mlaas_lab.dashboard.pages import Page, drawn, pages
from mlaas_lab.dashboard.said import Form
from mlaas_lab.dashboard.where import FILTERS, Choices, Where
from mlaas_lab.errors import LabError
from mlaas_lab.panels.outputs import NEEDS
from mlaas_lab.view import View
from mlaas_lab.view.formats import count
from mlaas_lab.view.markup import Markup, visible
from mlaas_lab.widgets.kernel import Kernel
from mlaas_lab.widgets.texts import NAME, text

Made = Callable[[], list[Any]]
"""What a page is made of; called on the server's own thread."""
PATIENCE_S = 0.15
"""So long a click is waited for; what takes longer comes when it is there, and the reader sees that it will."""
LOOK_MS = 3_000
"""Between two looks at what is new."""
WORKING = "Working it out …"
ELSEWHERE = (
    "Files would be written on the machine that serves this page; there, `dashboard RUN --export FILE` makes one."
)


@dataclass(kw_only=True)
class Site:
    """What all sessions share; who opens a page sees the case that was read last."""

    case: Case
    again: Callable[[], Case] | None = None
    """Reads it anew; None: it stays as it is."""
    alone: bool = True
    """Served on loopback, to whoever sits at this machine."""
    pages: Mapping[str, Page] = field(default_factory=pages)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(2, "mlaas-dashboard"))

    def __post_init__(self) -> None:
        """What came between the reading and now counts as new."""
        self.news = News(desk.table for desk in self.case.desks.values())
        self.known = self.news.now()

    def refresh(self) -> None:
        """Read the case anew; who is here keeps what they see.

        Raises:
            LabError: if that cannot be done; then all stays as it is.
        """
        if self.again is not None:
            known = self.news.now()
            self.case, self.known = self.again(), known

    def content(self) -> dict[str, Any]:
        """What the head of the page is made of."""
        case = self.case
        filters = [
            {
                "name": name,
                "title": name.capitalize(),
                "values": [text(case.labels.get(one, one), NAME) for one in case.choices[name]],
            }
            for name in FILTERS
            if case.choices[name]
        ]
        runs = len(case.choices["run"]) or 1
        facts = [f"{count(len(case.frame))} records", f"{count(runs)} runs"] if runs > 1 else []
        return {
            "title": text(case.title, NAME),
            "facts": facts or [f"{count(len(case.frame))} records"],
            "pages": [[page.name, page.title] for page in self.pages.values()],
            "filters": filters,
        }


class Session:
    """One open page."""

    def __init__(self, site: Site, location: Any, user: str = "") -> None:
        """It begins where the address says.

        Args:
            site: what it shows.
            location: the host's object for the address; its `search` is read and written.
            user: who signed in; empty where nobody has to.
        """
        self.site = site
        self.case = site.case
        self.known = site.known
        self.user = user
        self.own = {user or site.case.somebody}
        """Names under which this reader speaks: their own words are no news to them."""
        self.location = location
        self.where = Where.read(location.search if location is not None else "", self.choices)
        self.document = pn.state.curdoc
        """Of a browser; without one, pages are waited for."""
        self.took_s = 0.0
        """The last change of page or filter, until something was shown."""
        self.bar = Bar(self._asked, content=site.content())
        self.body = pn.Column(sizing_mode="stretch_width", margin=0)
        if location is not None:
            location.param.watch(self._moved, "search")
        self.go(self.where)

    @property
    def choices(self) -> Choices:
        """What an address can say."""
        return {**self.case.choices, "page": [*self.site.pages]}

    def look(self) -> None:
        """Say what came since, beside the filters; nothing that is read or typed moves."""
        with suppress(LabError):
            said = self.site.news.now().since(self.known, self.own)
            if said != self.bar.news.get("said", ""):
                self.bar.news = {"said": said}

    def go(self, where: Where) -> None:
        """Show a page: at once, or that it is being worked out, and then itself."""
        began = time.perf_counter()
        self.where = where
        cut = self.case.cut(where)
        work = self.site.threads.submit(self._worked, self.site.pages[where.page], cut)
        try:
            made = work.result(PATIENCE_S if self.document is not None else None)
            self.body.objects = made()
        except TimeoutError:
            self.body.objects = [still(drawn([View(title="", summary=WORKING)]))]
            work.add_done_callback(
                lambda done: self.document.add_next_tick_callback(lambda: self._arrived(where, done))
            )
        self.bar.where = self._told(cut)
        if self.location is not None and self.location.search != where.query:
            self.location.search = where.query
        self.took_s = time.perf_counter() - began

    def _asked(self, message: object) -> None:
        """A click: page by name, filters by the places of what was chosen; or the address that one went back to.

        Or what came since is asked for: it is read, and the page loads itself anew where it is.
        """
        if not isinstance(message, Mapping):
            return
        if message.get("fresh") is True:
            self.site.threads.submit(self.site.refresh).add_done_callback(self._read)
            return
        choices = self.choices
        if isinstance(search := message.get("search"), str):
            self.go(Where.read(search, choices))
            return
        said = {name: _named(message.get(name), choices[name]) for name in FILTERS}
        self.go(Where.chosen({**said, "page": message.get("page")}, choices))

    def _moved(self, event: Any) -> None:
        """The reader went back, or wrote an address."""
        if event.new != self.where.query:
            self.go(Where.read(event.new, self.choices))

    def _read(self, done: "Future[None]") -> None:
        error = done.exception()
        news = {"reload": True} if error is None else {"said": visible(str(error))}
        if self.document is None:
            self.bar.news = news
        else:
            self.document.add_next_tick_callback(lambda: setattr(self.bar, "news", news))

    def _told(self, cut: Cut) -> dict[str, Any]:
        """Where the reader is, as the head of the page has it."""
        known = self.choices
        places = {name: [known[name].index(one) for one in getattr(self.where, name)] for name in FILTERS}
        n, of = len(cut.frame), len(self.case.frame)
        said = "" if n == of else f"{count(n)} of {count(of)} records"
        return {**places, "page": self.where.page, "query": self.where.query, "said": said}

    def _arrived(self, where: Where, done: "Future[Made]") -> None:
        """What was worked out, if the reader still waits for it."""
        if self.where == where:
            self.body.objects = done.result()()

    def _worked(self, page: Page, cut: Cut) -> Made:
        """Work out what a page needs, on a thread; then what it is made of, on the server's own."""
        live = {"comparison": self._comparison, "review": self._review, "decision": self._decision}
        try:
            if page.name in live and len(cut.frame):
                return live[page.name](page, cut)
            markup = page.drawn(cut)
        except LabError as error:
            markup = drawn([View(title="", summary=str(error))])
        return lambda: [still(markup)]

    def _comparison(self, page: Page, cut: Cut) -> Made:
        if not set(cut.frame.columns) >= NEEDS:
            markup = page.drawn(cut)
            return lambda: [still(markup)]
        kernel = comparison.kernel(cut)
        answer = kernel.answer if self.site.alone else _unwritten(kernel)
        first, opening = kernel.first, kernel.opening
        return lambda: [Comparing(answer, content=first, opening=opening)]

    def _review(self, page: Page, cut: Cut) -> Made:
        asked = review.form(cut, self.user or self.case.somebody, fixed=bool(self.user))
        markup = page.drawn(cut) if asked is None else drawn(review.begun(cut))
        return lambda: [still(markup)] if asked is None else self._reviewed(asked, markup, cut)

    def _reviewed(self, asked: Form, markup: Markup, cut: Cut) -> list[Any]:
        place = pn.Column(still(markup), sizing_mode="stretch_width", margin=0)

        def begin(said: Mapping[str, Any]) -> str:
            reviewed = review.begin(cut, said)
            self.own.add(reviewed.sitting.by)
            place.objects = [Reviewing(reviewed.answer, **review.state(reviewed))]
            return ""

        return [_form(asked, begin), place]

    def _decision(self, page: Page, cut: Cut) -> Made:
        asked = decision.form(cut, self.user or self.case.somebody, fixed=bool(self.user))
        markup = page.drawn(cut)
        return lambda: [still(markup)] if asked is None else self._decided(asked, markup, page, cut)

    def _decided(self, asked: Form, markup: Markup, page: Page, cut: Cut) -> list[Any]:
        place = pn.Column(still(markup), sizing_mode="stretch_width", margin=0)

        def sign(said: Mapping[str, Any]) -> str:
            signed = decision.sign(cut, said)
            self.own.add(str(signed.entry["by"]))
            place.objects = [still(page.drawn(cut))]
            return " ".join([signed.summary, *signed.notes])

        return [_form(asked, sign), place]


def _form(asked: Form, act: Callable[[Mapping[str, Any]], str]) -> Any:
    def answer(message: object) -> dict[str, Any] | None:
        said = asked.read(message)
        if said is None:
            return None
        try:
            return {"told": visible(act(said)), "wrong": False}
        except LabError as error:
            return {"told": visible(str(error)), "wrong": True}

    return Asking(answer, content=asked.as_json())


def _named(places: object, names: Sequence[str]) -> list[str]:
    """What stands at these places."""
    if not isinstance(places, (list, tuple)):
        return []
    return [names[at] for at in places if isinstance(at, int) and not isinstance(at, bool) and 0 <= at < len(names)]


def _unwritten(kernel: Kernel) -> Callable[[object], Any]:
    """A kernel that writes no file for who is elsewhere."""

    def answer(message: object) -> Any:
        if isinstance(message, Mapping) and message.get("kind") == "export":
            return {"kind": "error", "id": message.get("id"), "message": ELSEWHERE}
        return kernel.answer(message)

    return answer


def sessions(site: Site) -> Callable[[], Any]:
    """What makes the page of a new session, for the server, which knows it by being a plain function."""

    def page() -> Any:
        return _page(site)

    # Who comes first need not wait for all of it.
    for one in site.pages.values():
        if not one.alive:
            site.threads.submit(one.drawn, site.case.cut(Where()))
    return page


def _page(site: Site) -> Any:
    session = Session(site, pn.state.location, pn.state.user or "")
    page = pn.Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"), location=True)
    page.add_variable("style", Path(__file__).with_name("page.css").read_text(encoding="utf-8"))
    if site.again is not None:
        pn.state.add_periodic_callback(session.look, period=LOOK_MS)
    page.add_panel("bar", session.bar)
    page.add_panel("body", session.body)
    return page
