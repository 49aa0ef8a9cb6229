"""A server that listens on a Unix socket: who may open it, what is refused, and that nothing is left of it."""

import stat
from pathlib import Path

import psutil
import pytest
from stubbed import lines, serve_until, started, stub, use

from mlaas_lab import unix_socket
from mlaas_lab.context import Context
from mlaas_lab.errors import UsageError
from mlaas_lab.serving import _plan, _run
from mlaas_lab.serving._health import one_token
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.serve import Serve


def context_in(folder: Path, settings) -> Context:
    folder.mkdir(parents=True)
    return Context(JobFolder(folder), settings, job_id="j1", name="serve")


def test_nobody_else_can_open_it_and_no_port_is_used(tmp_path, settings, toys, monkeypatch):
    context, seen = context_in(tmp_path / "job", settings), []
    monkeypatch.setattr(_run, "_stay", lambda service: seen.append((look(service), rights(service))))
    use(monkeypatch, stub())
    _run.serve(Serve(models=(str(toys / "base"),), socket=True), context)
    assert seen == [([], 0o700)]
    path = context.folder.path / _plan.SOCKET
    assert {line["base_url"] for line in lines(context, "endpoint")} == {unix_socket.address(str(path)) + "/v1"}
    assert not path.exists()
    assert started() == []


def look(service) -> list[str]:
    """The ports of the server, which gives a token."""
    one_token(service.place.base_url, "m", timeout_s=10)
    return [found for one in started() for found in one.net_connections("inet") if found.status == psutil.CONN_LISTEN]


def rights(service) -> int:
    path = unix_socket.socket_of(service.place.base_url)
    return stat.S_IMODE(Path(str(path)).parent.stat().st_mode)


def test_what_a_killed_server_left_is_in_nobodys_way(tmp_path, settings, toys, monkeypatch):
    context = context_in(tmp_path / "job", settings)
    left = context.folder.path / _plan.SOCKET
    left.parent.mkdir()
    left.touch()
    use(monkeypatch, stub())
    serve_until(context, Serve(models=(str(toys / "base"),), socket=True))
    assert lines(context, "endpoint")[-1]["ready"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"port": 8000}, "--port and --socket: a server listens on one of them"),
        ({"socket": False, "sleep_level": 1}, "--sleep-level needs --socket"),
    ],
)
def test_words_that_do_not_go_together(tmp_path, settings, toys, words, said):
    with pytest.raises(UsageError, match=said):
        _run.serve(
            Serve(models=(str(toys / "base"),), **{"socket": True, **words}), context_in(tmp_path / "j", settings)
        )


def test_a_path_that_the_system_does_not_take(tmp_path, settings, toys, monkeypatch):
    context = context_in(tmp_path / ("long" * 40), settings)
    use(monkeypatch, stub())
    with pytest.raises(UsageError, match=r"bytes, and a socket's path at most \d+\. Leave out --socket"):
        _run.serve(Serve(models=(str(toys / "base"),), socket=True), context)
    assert started() == []
