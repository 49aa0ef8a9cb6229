"""`dashboard`: what keeps it from starting is one line, and so is where it is."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from made_cases import table

from mlaas_lab import registry
from mlaas_lab.commands import _dispatch
from mlaas_lab.dashboard import served
from mlaas_lab.errors import DataError, MissingExtra, UsageError


def dashboard(lab, *words):
    return _dispatch.execute(["dashboard", *map(str, words)], lab)


def read(url):
    """The page, as a browser opens it: the first visit leaves a cookie."""
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with visitor.open(url, timeout=60) as answer:
        return answer.read().decode()


def test_an_unknown_run_is_one_line(lab):
    with pytest.raises(UsageError, match="nothing-of-the-sort"):
        dashboard(lab, "nothing-of-the-sort")


def test_without_a_run_the_newest_is_shown_or_it_says_that_there_is_none(lab):
    with pytest.raises(UsageError, match="no evaluation here yet"):
        dashboard(lab)


def test_a_table_without_records_is_one_line(lab, tmp_path):
    import polars as pl

    path = table(tmp_path)
    pl.read_parquet(path).head(0).write_parquet(path)
    with pytest.raises(DataError, match="no records yet"):
        dashboard(lab, path)


def test_a_taken_port_is_one_line(lab, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(DataError, match="cannot be had") as told:
            dashboard(lab, table(tmp_path), "--port", taken.getsockname()[1])
    assert "--port" in str(told.value)


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.7", "::", "example.org"])
def test_nobody_else_reaches_it_without_a_login(lab, tmp_path, address):
    with pytest.raises(UsageError, match="--auth basic:FILE"):
        dashboard(lab, table(tmp_path), "--address", address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_what_is_this_machine_s_own(address):
    assert served.is_loopback(address)


def test_logins_are_read_or_refused(tmp_path):
    known = tmp_path / "people.json"
    for words in ("{}", "[]", '{"ada": ""}', "no json", '{"ada": 3}'):
        known.write_text(words)
        with pytest.raises(UsageError, match="--auth basic"):
            served.login(f"basic:{known}")
    known.write_text('{"ada": "countess"}')
    known.chmod(0o644)
    with pytest.raises(UsageError, match="others can read") as told:
        served.login(f"basic:{known}")
    assert "countess" not in str(told.value)
    assert "chmod 600" in str(told.value)
    known.chmod(0o600)
    assert served.login(f"basic:{known}").asked
    for words in ("basic", "basic:", "oauth:", "ldap:x", "basic:/no/such/file"):
        with pytest.raises(UsageError):
            served.login(words)


def test_without_its_library_it_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "panel", None)
    with pytest.raises(MissingExtra) as told:
        registry.resolve("panel")
    assert "mlaas_lab[dashboard]" in str(told.value)


def test_the_shell_serves_until_it_is_interrupted(home, tmp_path):
    path = table(tmp_path)
    words = [sys.executable, "-m", "mlaas_lab.cli", "dashboard", str(path), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = process.stderr.readline()
        assert "ctrl-C ends it" in line, line + process.stderr.read()
        url = line.split(": ", 1)[1].split(" ")[0]
        page = read(url)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert "d-main" in page
    assert "Content-Security-Policy" in page
    assert "googleapis" not in page
    assert "cdn." not in page
    assert "jsdelivr" not in page
    assert "unpkg" not in page
    assert process.returncode == 0
    assert json.loads(out) == {"title": "bad against good", "url": url, "open": False}


def test_a_notebook_serves_beside_its_cells_until_it_is_stopped(lab, tmp_path):
    shown = dashboard(lab, table(tmp_path))
    assert shown.as_json()["open"]
    assert "d-main" in read(shown.url)
    shown.stop()
    assert not shown.as_json()["open"]
    assert "has ended" in str(shown)


def test_a_port_that_went_meanwhile_is_one_line(lab, tmp_path, monkeypatch):
    def taken(begin):
        raise OSError(98, "Address already in use")

    monkeypatch.setattr(served, "on_own_loop", taken)
    with pytest.raises(DataError, match="the dashboard cannot listen: address already in use"):
        dashboard(lab, table(tmp_path))
