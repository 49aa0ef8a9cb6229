"""The small part of JupyterLab's sidebar that runs in the Jupyter server: it reads the store, and asks jobs to stop.

It pushes what changed over one websocket, so the page is right while a cell runs and after the kernel died. It knows
the store and the settings and no job by more than its id; it starts nothing. Whatever touches a disk does so in a
thread: the loop belongs to everybody's kernels and terminals.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from mlaas_lab import __version__
from mlaas_lab.errors import LabError, UsageError
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Preferences, Settings
from mlaas_lab.store import Store, one_job
from mlaas_lab.store.overview import Overview, spend

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

NAME = "mlaas_lab"
EVERY_S = 0.2
"""How often the store is looked at while somebody watches."""
WORRIED_EVERY_S = 2.0
"""The same while it cannot be read."""
MOST_LINES = 2000
BUSY, MISSING, WRONG = 503, 404, 400


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Where a Jupyter server finds this."""
    return [{"module": f"{NAME}.server"}]


def _load_jupyter_server_extension(app: "ServerApp") -> None:
    """Add the routes; nothing is read or opened before somebody asks."""
    at, one = partial(url_path_join, app.web_app.settings["base_url"], NAME), r"jobs/([0-9A-Za-z_-]{1,64})"
    given = {"desk": Desk(beside=_beside(app))}
    routes: list[Any] = [
        (at("changes"), Changes, given),
        (at(r"(jobs|endpoints|spend)"), Parts, given),
        (at(one), OneJob, given),
        (at(one, "log"), Log, given),
        (at(one, "cancel"), Cancel, given),
    ]
    # A page that is told so need not try, which browsers call an error where nothing answers.
    app.web_app.settings.setdefault("page_config_data", {})["mlaasLab"] = __version__
    app.web_app.add_handlers(".*$", routes)  # type: ignore[no-untyped-call]
    app.log.info("%s %s watches the store of jobs", NAME, __version__)


class Desk:
    """All that the routes share: the store as it is shown, and who watches it."""

    def __init__(self, *, beside: str | None = None) -> None:
        """Nothing is opened yet; `beside` is where this server itself shows MLflow's pages."""
        self._beside = beside
        self._watchers: dict[Changes, str | None] = {}
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()
        # One thread looks, so that a log that is slow to read never holds up what everybody sees.
        self._looking = ThreadPoolExecutor(1, thread_name_prefix="mlaas-look")
        self._reading = ThreadPoolExecutor(2, thread_name_prefix="mlaas-read")

    @cached_property
    def settings(self) -> Settings:
        """As the server's environment and folder have them."""
        return Preferences().settings()

    @cached_property
    def store(self) -> Store:
        """For single jobs; the overview has its own connection, which notices what this one writes."""
        return Store(self.settings.store_path)

    @cached_property
    def overview(self) -> Overview:
        """What all pages show."""
        return Overview(self.settings.store_path, partial(spend, self.settings))

    async def shown(self, part: str | None = None) -> bytes:
        """Everything, or one part of it."""

        def text() -> bytes:
            self.overview.look()
            everything = self._told(None)
            return _text(everything if part is None else {part: everything[part]})

        return await self._run(self._looking, text)

    async def read(self, work: Callable[[Store], JSON]) -> bytes:
        """The answer of `work`, which may take its time."""
        return await self._run(self._reading, lambda: _text(work(self.store)))

    def join(self, page: "Changes", seen: str | None) -> None:
        """Tell `page` what changed since `seen`, and whatever will."""
        self._watchers[page] = seen
        self._now.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())
            self._task.add_done_callback(self._stopped)

    def leave(self, page: "Changes") -> None:
        """Nobody watches there any more."""
        self._watchers.pop(page, None)

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], bytes]) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def _watch(self) -> None:
        while self._watchers:
            self._now.clear()
            for page, (text, at) in (await self._news()).items():
                # One that left meanwhile is not brought back.
                if page in self._watchers and page.tell(text):
                    self._watchers[page] = at
            worried = any(page.worried for page in self._watchers)
            with suppress(TimeoutError):
                async with asyncio.timeout(WORRIED_EVERY_S if worried else EVERY_S):
                    await self._now.wait()

    async def _news(self) -> dict["Changes", tuple[str, str | None]]:
        """For each page that can take it, what it lacks and where it stands then."""
        waiting = {page: seen for page, seen in self._watchers.items() if page.free}

        def made() -> dict[str | None, tuple[str, str | None]]:
            try:
                self.overview.look()
            except LabError as error:
                return {seen: (_text({"error": error.as_json()}).decode(), None) for seen in waiting.values()}
            now = self.overview.at
            behind = {seen for seen in waiting.values() if seen != now}
            return {seen: (_text(self._told(seen)).decode(), now) for seen in behind}

        told = await asyncio.get_running_loop().run_in_executor(self._looking, made)
        return {page: told[seen] for page, seen in waiting.items() if seen in told}

    def _told(self, seen: str | None) -> dict[str, JSON]:
        news = self.overview.since(seen)
        place = _ui(self.settings) or self._beside
        about = {"version": __version__, "store": str(self.settings.store_path), "mlflow_url": place}
        return {**news, "about": about} if news["full"] else news

    def _stopped(self, task: asyncio.Task[None]) -> None:
        """Nobody watches any more; or it broke, and the pages come back by themselves."""
        if not task.cancelled() and (error := task.exception()) is not None:
            for page in list(self._watchers):
                page.close(1011, "it broke")
            raise error


class Changes(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """The websocket of one page: what changed, at most five times a second, and never faster than it is read."""

    auth_resource = NAME

    def initialize(self, desk: Desk) -> None:
        """`desk` is shared by all."""
        self.desk = desk
        self.free, self.worried = True, False
        self._said: str | None = None

    @ws_authenticated
    @authorized
    async def get(self, *words: str, **named: str) -> None:
        """Become a websocket."""
        await WebSocketHandler.get(self, *words, **named)

    def open(self, *_words: str, **_named: str) -> None:
        """Begin to watch: `?since=AT` says what the page saw last."""
        super().open()
        self.desk.join(self, self.get_query_argument("since", None))

    def on_message(self, _message: str | bytes) -> None:
        """Pages have nothing to say."""

    def on_close(self) -> None:
        """Stop watching."""
        self.desk.leave(self)
        super().on_close()

    def tell(self, text: str) -> bool:
        """Send, unless it is the complaint that was sent just now; False if it did not go."""
        self.worried = text.startswith('{"error"')
        if self.worried and text == self._said:
            return True
        self._said = text
        try:
            sent = asyncio.ensure_future(self.write_message(text))
        except WebSocketClosedError:
            return False
        self.free = False
        sent.add_done_callback(self._went)
        return True

    def _went(self, sent: asyncio.Future[None]) -> None:
        # A page that closed while it was being told is no error.
        self.free = sent.cancelled() or sent.exception() is None


class _Route(APIHandler):
    auth_resource = NAME

    def initialize(self, desk: Desk) -> None:
        """`desk` is shared by all."""
        self.desk = desk

    async def reply(self, work: Callable[[Store], JSON]) -> None:
        """What `work` makes of the store."""
        await self.send(self.desk.read(work))

    async def send(self, answer: Any) -> None:
        """The answer, or in its place what a user can mend."""
        try:
            text = await answer
        except LabError as error:
            self.set_status(MISSING if isinstance(error, UsageError) else BUSY)
            text = _text({"error": error.as_json()})
        self.set_header("Cache-Control", "no-store")
        self.finish(text)


class Parts(_Route):
    """`jobs`, `endpoints` or `spend`, as they are now."""

    @web.authenticated
    @authorized
    async def get(self, part: str) -> None:
        """One part."""
        await self.send(self.desk.shown(None if part == "jobs" else part))


class OneJob(_Route):
    """One job with what its page shows beside its row."""

    @web.authenticated
    @authorized
    async def get(self, job_id: str) -> None:
        """`{id, spec, code, history, summary, verdicts}`."""
        await self.reply(lambda store: one_job.details(store, job_id))


class Log(_Route):
    """The end of a job's log."""

    @web.authenticated
    @authorized
    async def get(self, job_id: str) -> None:
        """`{id, lines}`, at most `?lines=`."""
        wanted = self.get_query_argument("lines", "200")
        if not wanted.isdecimal() or not 0 < int(wanted) <= MOST_LINES:
            raise web.HTTPError(WRONG, f"lines is a number from 1 to {MOST_LINES}")
        await self.reply(lambda store: one_job.log(store, job_id, int(wanted)))


class Cancel(_Route):
    """Asking a job to stop."""

    @web.authenticated
    @authorized
    async def post(self, job_id: str) -> None:
        """`{id, state, cancel_requested}`; the row is all that is written."""
        await self.reply(lambda store: one_job.stop(store, job_id))


def _beside(app: "ServerApp") -> str | None:
    """Where jupyter-server-proxy shows MLflow's pages, if this server has it; see `proxied`."""
    proxy = app.extension_manager.extensions.get("jupyter_server_proxy")
    return url_path_join(app.base_url, "mlflow/") if proxy and proxy.enabled else None


def _ui(settings: Settings) -> str | None:
    """Where a browser finds MLflow, without a password; None if nothing says so, or it is no address of a page."""
    parts = urlsplit(settings.mlflow_ui_url or settings.mlflow_uri)
    local = not parts.scheme and parts.path.startswith("/") and not parts.netloc
    if not local and parts.scheme not in ("http", "https"):
        return None
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/") + "/")
    return urlunsplit(place._replace(query="", fragment=""))


def _text(value: JSON) -> bytes:
    """As JSON that a browser takes: what is no number there is null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(json.loads(json.dumps(value), parse_constant=lambda _: None))
    return text.encode(errors="replace")
