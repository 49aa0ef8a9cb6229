"""With `--auth oauth:PROVIDER`, those of the provider's users come in whom `--people` names; a provider of our own asks."""

import os
import re
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlencode, urlsplit
from urllib.request import HTTPCookieProcessor, build_opener

import orjson
import pytest
from made_cases import table
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.web import create_signed_value

from mlaas_lab.dashboard import door, served
from mlaas_lab.errors import UsageError

KEY, SECRET = "client-7", "s3cret-of-the-client"


class Provider(BaseHTTPRequestHandler):
    """OAuth 2.0's authorization code grant (RFC 6749, section 4.1) for whoever `server.somebody` is."""

    def do_GET(self):
        said = {name: one for name, (one, *_) in parse_qs(urlsplit(self.path).query).items()}
        if self.path.startswith("/authorize"):
            assert said["client_id"] == KEY
            back = urlencode({"code": urlsafe_b64encode(self.server.somebody.encode()), "state": said["state"]})
            self.send_response(302)
            self.send_header("Location", f"{said['redirect_uri']}?{back}")
            self.end_headers()
        elif self.headers.get("Authorization") == "Bearer token-of-somebody":
            self.answer({"email": self.server.somebody})

    def do_POST(self):
        said = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        known = said["client_secret"] == [SECRET] and said["code"] == [
            urlsafe_b64encode(self.server.somebody.encode()).decode()
        ]
        self.answer({"access_token": "token-of-somebody"} if known else {"error": "invalid_grant"})

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(orjson.dumps(body))

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def place(provider, tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("oauth")
    at = f"http://127.0.0.1:{provider.server_port}"
    urls = {f"PANEL_OAUTH_{name.upper()}_URL": f"{at}/{name}" for name in ("authorize", "token", "user")}
    known = {"HOME": str(folder), "PANEL_OAUTH_KEY": KEY, "PANEL_OAUTH_SECRET": SECRET, **urls}
    words = ["dashboard", str(table(folder)), "--auth", "oauth:generic", "--people", "Ada@example.com,@lab.example"]
    command = [sys.executable, "-m", "mlaas_lab.cli", *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **known}) as process:
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stderr.read()
        yield found[0]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


class Browser:
    """Follows redirects and keeps cookies."""

    def __init__(self):
        self.jar = CookieJar()
        self._opener = build_opener(HTTPCookieProcessor(self.jar))

    def open(self, url):
        try:
            with self._opener.open(url, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refused:
            return refused.code, refused.read().decode()


@pytest.mark.parametrize("somebody", ["ada@example.com", "anybody@lab.example"])
def test_who_is_expected_comes_in(place, provider, somebody):
    provider.somebody = somebody
    status, page = Browser().open(place)
    assert status == 200
    assert "d-main" in page
    assert "token" not in urlsplit(place).query, "an address alone opens nothing"


@pytest.mark.parametrize(
    "somebody", ["mallory@example.com", "ada@example.com.evil.example", "lab.example", "x@sub.lab.example"]
)
def test_whoever_else_has_an_account_there_does_not(place, provider, somebody):
    provider.somebody = somebody
    browser = Browser()
    for path in ("", "?page=cost", "autoload.js?bokeh-autoload-element=x", "metadata", "components/x/y/_esm/logout"):
        status, said = browser.open(f"{place}{path}")
        assert (status, said.partition(" ")[0]) == (403, somebody), path
        assert "d-main" not in said
    provider.somebody = "ada@example.com"
    assert "Signed out" in browser.open(f"{place}logout")[1]
    assert browser.open(place)[0] == 200, "and comes in as who is expected"


@pytest.mark.parametrize("days", [1, 60])
def test_who_is_not_expected_stays_out_for_as_long_as_the_library_knows_them(days):
    guests = door.Guests(SECRET, ("ada",), days=days)
    for age_days, turned in ((0.9 * days, True), (1.1 * days, False)):
        signed_at = time.time() - age_days * 86_400
        kept = create_signed_value(SECRET, door.USER, "mallory", clock=lambda at=signed_at: at).decode()
        asked = RequestStartLine("GET", "/", "HTTP/1.1")
        headers = HTTPHeaders({"Host": "127.0.0.1", "Cookie": f"{door.USER}={kept}"})
        request = HTTPServerRequest(start_line=asked, headers=headers)
        assert (guests.match(request) is not None) == turned, "afterwards the library asks again"


def test_an_answer_to_another_browser_s_question_opens_nothing(place, provider):
    provider.somebody = "ada@example.com"
    code = urlencode({"code": urlsafe_b64encode(b"ada@example.com"), "state": "made-up"})
    browser = Browser()
    status, said = browser.open(f"{place}login?{code}")
    assert (status, "state mismatch" in said) == (401, True)
    assert "user" not in {cookie.name for cookie in browser.jar}


@pytest.mark.parametrize(
    ("missing", "words", "hint"),
    [
        ((), ("oauth:github", ()), "everybody who has an account"),
        (("PANEL_OAUTH_SECRET",), ("oauth:github", ("ada",)), "needs PANEL_OAUTH_SECRET in the environment"),
        ((), ("basic:people.json", ("ada",)), "--people says whom"),
        ((), (None, ("ada",)), "--people says whom"),
    ],
)
def test_what_would_let_in_everybody_or_nobody_is_refused(monkeypatch, missing, words, hint):
    for name in served.OAUTH:
        monkeypatch.setenv(name, "x")
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match=re.escape(hint)):
        served.login(*words)


@pytest.mark.parametrize("provider", ["gitbub", "pam", "password"])
def test_a_provider_that_is_none_is_named_with_those_there_are(monkeypatch, provider):
    for name in served.OAUTH:
        monkeypatch.setenv(name, "x")
    with pytest.raises(UsageError, match="is no provider") as told:
        served.check("127.0.0.1", 0, served.login(f"oauth:{provider}", ("ada",)))
    assert "github" in told.value.next
