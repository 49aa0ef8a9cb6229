"""Without a login, who has the printed address comes in and nobody else; what opens it stands nowhere but there."""

import http.client
import logging
import re
from urllib.parse import urlsplit

import pytest
import websocket
from bokeh.util.token import get_token_payload
from made_cases import table

from mlaas_lab.commands import _dispatch
from mlaas_lab.dashboard import door

PLACES = ("", "?page=cost", "?token=", "?token=wrong", "ws", "autoload.js?bokeh-autoload-element=x", "metadata")
SCRIPTS = ("static/js/bokeh.min.js", "components/panel.template.base/BasicTemplate/_css/x", "favicon.ico", "nowhere")


@pytest.fixture
def opened(lab, tmp_path):
    shown = _dispatch.execute(["dashboard", str(table(tmp_path))], lab)
    yield shown
    shown.stop()


def asked(opened, place, method="GET", **headers):
    parts = urlsplit(opened.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, f"/{place}", headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode(errors="replace"), answer.headers
    connection.close()
    return found


def token(opened):
    return urlsplit(opened.url).query.removeprefix("token=")


def cookie(opened):
    """What the first visit leaves."""
    return asked(opened, f"?token={token(opened)}")[2]["Set-Cookie"]


def test_nothing_is_answered_without_the_token(opened):
    for place in (*PLACES, *SCRIPTS):
        for method, answer in (("GET", door.REFUSED), ("POST", door.REFUSED), ("HEAD", "")):
            status, said, headers = asked(opened, place, method)
            assert (status, said, headers["Set-Cookie"]) == (403, answer, None), place


def test_the_first_visit_leaves_a_cookie_and_an_address_without_the_token(opened):
    status, _, headers = asked(opened, f"?page=cost&token={token(opened)}&target=b%26c")
    assert (status, headers["Location"]) == (302, "./?page=cost&target=b%26c")
    kept = headers["Set-Cookie"]
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
    assert "Path" not in kept, "behind a proxy it is for this page's own folder"
    status, page, _ = asked(opened, "?page=cost", Cookie=kept.partition(";")[0])
    assert status == 200
    assert "d-main" in page
    (session,) = re.findall(r'"token":"([^"]+)"', page)
    assert token(opened) not in f"{page} {get_token_payload(session)}", "the library packs headers and cookies into it"
    assert asked(opened, "static/js/bokeh.min.js", Cookie=kept.partition(";")[0])[0] == 200


def test_the_entrance_leads_to_no_other_site(opened):
    for place in ("/evil.example/", "/evil.example", "\\evil.example", "x/../"):
        status, _, headers = asked(opened, f"{place}?token={token(opened)}&x=//evil.example")
        assert status == 302
        assert headers["Location"] == "./?x=%2F%2Fevil.example"


def test_a_program_says_it_in_a_header(opened):
    assert asked(opened, "", Authorization=f"Bearer {token(opened)}")[0] == 200
    assert asked(opened, "", Authorization="Bearer ")[0] == 403
    assert asked(opened, "", Authorization=f"Bearer {token(opened)[:-1]}")[0] == 403
    assert asked(opened, "", Cookie=f"mlaas-review-1={token(opened)}")[0] == 403


def test_the_websocket_wants_it_too(opened):
    place = urlsplit(opened.url)._replace(scheme="ws", path="/ws", query="").geturl()
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(place, subprotocols=["bokeh", "x"], timeout=30)
    kept = cookie(opened).partition(";")[0]
    websocket.create_connection(place, subprotocols=["bokeh", "x"], cookie=kept, timeout=30).close()


def test_no_log_has_it(opened, caplog):
    caplog.set_level(logging.DEBUG)
    asked(opened, f"?token={token(opened)}")
    asked(opened, "?page=cost", Cookie=cookie(opened).partition(";")[0])
    asked(opened, f"?token={token(opened)}x")
    assert "302 GET /" in caplog.text, "it is logged who came"
    assert token(opened) not in caplog.text


def test_it_is_compared_in_constant_time(monkeypatch):
    compared = []
    monkeypatch.setattr(door.hmac, "compare_digest", lambda *both: compared.append(both) or False)
    assert not door.Door("token", 1).is_token("token")
    assert compared == [(b"token", b"token")]


def test_each_start_has_its_own(lab, tmp_path, opened):
    another = _dispatch.execute(["dashboard", str(table(tmp_path))], lab)
    assert token(another) != token(opened)
    assert len(token(another)) >= 43
    another.stop()
