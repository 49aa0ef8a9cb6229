"""With `--auth`, who has not signed in reaches no page, no data, and no module of ours."""

import http.client
import json
import re
import sys
from urllib.parse import urlsplit

import pytest
from made_cases import table

from mlaas_lab.commands import _dispatch
from mlaas_lab.dashboard import door

CLOSED = ("", "?page=cost", "autoload.js?bokeh-autoload-element=x", "metadata")
COMPONENTS = (
    "components/never_imported/X/_css/x",
    "components/mlaas_lab.dashboard.live/Bar/_esm/x",
    "components/x",
    "%63omponents/never_imported/X/_css/x",
)


@pytest.fixture
def opened(lab, tmp_path):
    people = tmp_path / "people.json"
    people.write_text(json.dumps({"ada": "countess"}))
    people.chmod(0o600)
    shown = _dispatch.execute(["dashboard", str(table(tmp_path)), "--auth", f"basic:{people}"], lab)
    yield shown
    shown.stop()


def asked(opened, place, method="GET", body=None, **headers):
    parts = urlsplit(opened.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, f"/{place}", body=body, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(errors="replace"), answer.headers
    connection.close()
    return found


def signed_in(opened):
    form = "username=ada&password=countess"
    _, _, headers = asked(opened, "login", "POST", form, **{"Content-Type": "application/x-www-form-urlencoded"})
    kept = [one.partition(";")[0] for one in headers.get_all("Set-Cookie")]
    return "; ".join(one for one in kept if one.partition("=")[2] not in ("", '""'))


def test_a_stranger_is_led_to_the_login_from_every_page(opened):
    for place in CLOSED:
        status, said, headers = asked(opened, place)
        assert (status, said) == (302, ""), place
        assert "/login?" in headers["Location"]
    assert asked(opened, "ws")[0] == 403
    assert asked(opened, "login")[0] == 200


def test_signing_in_and_out_fetches_nothing_from_elsewhere(opened):
    for place in ("login", "login?error=%3Cscript%3E", "logout"):
        _, page, _ = asked(opened, place, Cookie=signed_in(opened))
        assert not re.search(r"(?:src|href|action)=\"(?!\.|data:)|url\(|@import|<script", page), place
    assert "&lt;script&gt;" in asked(opened, "login?error=%3Cscript%3E")[1]


def test_a_stranger_has_no_module_imported(opened, tmp_path, monkeypatch):
    (tmp_path / "never_imported.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    forged = "user=2|1:0|10:9999999999|4:user|4:YWRh|" + 64 * "0"
    for place in COMPONENTS:
        for method in ("GET", "HEAD", "POST"):
            for headers in ({}, {"Cookie": forged}):
                assert asked(opened, place, method, **headers)[0] in (403, 404), (place, method)
    assert "never_imported" not in sys.modules
    status, said, _ = asked(opened, COMPONENTS[0])
    assert (status, said) == (403, door.UNKNOWN)
    assert asked(opened, COMPONENTS[0], Cookie=signed_in(opened))[0] == 404, "it has no such component"
    assert "never_imported" in sys.modules, "the control: the library imports what is named"
