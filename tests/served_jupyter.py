"""A real Jupyter server with the sidebar's part in it, behind a prefix as a Hub has it, and a client of it.

Run as a program it is the server, which writes down on which thread the store was touched and how long the loop's own
thread was busy with one thing. `SABOTAGE=loop` has it read on the loop.
"""

import asyncio
import atexit
import http.cookiejar
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path

import psutil
import websocket

REPO = Path(__file__).parents[1]
BASE, TOKEN = "/user/ada/", "t0ken"
ROUTES = f"{BASE}mlaas_lab/"


class JupyterServer:
    """One server on a port of its own; `close` ends it and says what it wrote down."""

    def __init__(self, folder: Path, data: Path, **environment: str) -> None:
        config = folder / "config" / "jupyter_server_config.d"
        config.mkdir(parents=True)
        shipped = REPO / "labextension" / "jupyter-config" / "mlaas_lab.json"
        (config / shipped.name).write_text(shipped.read_text())
        others = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim", "notebook", "panel")
        alone = {"ServerApp": {"jpserver_extensions": dict.fromkeys(others, False)}}
        (config / "others.json").write_text(json.dumps(alone))
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.origin, self.notes = f"http://127.0.0.1:{self.port}", folder / "notes.json"
        own = {
            "HOME": str(folder), "JUPYTER_CONFIG_DIR": str(folder / "config"), "MLAAS_DATA_DIR": str(data),
            "PYTHONPATH": str(REPO), "NOTES": str(self.notes), **environment,
        }  # fmt: skip
        words = [
            f"--port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1", "--no-browser",
            "--allow-root", f"--ServerApp.base_url={BASE}", f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.root_dir={folder}",
        ]  # fmt: skip
        self.log = folder / "server.log"
        with self.log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, *words], env={**os.environ, **own}, stdout=log, stderr=log, cwd=folder
            )
        for _ in range(1200):
            if self._process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.origin}{BASE}api", timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        assert self._process.poll() is None, self.log.read_text()

    def children(self) -> list[psutil.Process]:
        """What it has started."""
        return psutil.Process(self._process.pid).children()

    def close(self) -> dict:
        """End it; what it wrote down."""
        self._process.terminate()
        self._process.wait(30)
        return json.loads(self.notes.read_text()) if self.notes.exists() else {}

    def get(self, path: str, *, token: str | None = TOKEN, method: str = "GET"):
        """Status and JSON of a route."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return self._asked(urllib.request.build_opener(), path, headers, method)

    def browser(self) -> "Browser":
        """Somebody who logged in with a cookie, as a page does."""
        return Browser(self)

    def watch(self, since: str | None = None, *, token: str | None = TOKEN, cookie: str = "", origin: str = ""):
        """The websocket, open."""
        words = {name: value for name, value in (("token", token), ("since", since)) if value is not None}
        return websocket.create_connection(
            f"ws://127.0.0.1:{self.port}{ROUTES}changes?{urllib.parse.urlencode(words)}",
            origin=origin or self.origin,
            cookie=cookie,
            timeout=30,
        )

    def _asked(self, opener, path, headers, method):
        place = path if path.startswith("/") else ROUTES + path
        data = b"" if method == "POST" else None
        request = urllib.request.Request(self.origin + place, data=data, headers=headers, method=method)
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text.decode()


class Browser:
    """A cookie, and what a page sends with it."""

    def __init__(self, server: JupyterServer) -> None:
        self._server, self._cookies = server, http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))
        self._opener.open(f"{server.origin}{BASE}login?token={TOKEN}").close()

    @property
    def cookie(self) -> str:
        """As a header has it."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def get(self, path: str, *, origin: str):
        """From a page of that origin."""
        return self._server._asked(self._opener, path, {"Origin": origin}, "GET")

    def post(self, path: str, *, xsrf: bool):
        """With the cookie, and with what proves that a page of ours sends it."""
        known = {cookie.name: cookie.value for cookie in self._cookies}
        headers = {"X-XSRFToken": known["_xsrf"]} if xsrf else {}
        return self._server._asked(self._opener, path, headers, "POST")


def _watched() -> None:
    """Write down which threads touch the store, and the longest that the loop's thread worked on one thing."""
    from mlaas_lab import server
    from mlaas_lab.store import connection, folder

    loop_thread, touched, longest = threading.get_ident(), set(), [0.0]
    run, read, write = asyncio.Handle._run, connection.Database._run, folder.JobFolder.tail

    def timed(handle):
        before = time.thread_time()
        run(handle)
        # Starting up is everybody's.
        if touched and threading.get_ident() == loop_thread:
            longest[0] = max(longest[0], time.thread_time() - before)

    def noted(what):
        def call(*words, **named):
            touched.add("loop" if threading.get_ident() == loop_thread else "thread")
            return what(*words, **named)

        return call

    asyncio.Handle._run = timed
    connection.Database._run, folder.JobFolder.tail = noted(read), noted(write)
    if os.environ.get("SABOTAGE") == "loop":

        async def here(_desk, _pool, work):
            return work()

        server.Desk._run = here
    atexit.register(
        lambda: Path(os.environ["NOTES"]).write_text(json.dumps({"touched": sorted(touched), "longest_s": longest[0]}))
    )


if __name__ == "__main__":
    # Its grammar takes seconds to build at every start, for a format that nothing here checks.
    sys.modules["rfc3987_syntax"] = None
    from jupyter_server.serverapp import main

    _watched()
    main()
