"""What jobs and errors say is shown by a terminal, never obeyed: in the shell, in the line one waits at, in a cell."""

import io
import re

import pytest
from payloads import beacons, payloads

from mlaas_lab import cli, errors, fronts
from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import JobError
from mlaas_lab.fronts import Terminal

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
WORDS = [*payloads(), *beacons("http://127.0.0.1:9")]


class Screen(io.StringIO):
    """Takes for granted that somebody looks at it."""

    def isatty(self):
        return True


class Waited:
    """What says where it stands."""

    def __init__(self, word):
        self.word = word

    def line(self):
        return f"toy {self.word}: 1/2 steps"


def drawn(word):
    screen = Screen()
    Terminal(screen).live(Waited(word))
    return screen.getvalue().removeprefix("\r\x1b[K")


def said(word, monkeypatch, capsys):
    def fail(*_words, **_named):
        raise JobError(f"job 1 failed: {word}\n  | {word}\n", next="logs 1")

    monkeypatch.setattr(_dispatch, "execute", fail)
    assert cli.main(["jobs"]) == 1
    return capsys.readouterr().err


def test_errors_in_a_cell():
    shown = [JobError(word)._render_traceback_()[0] for word in WORDS]
    assert [text for text in shown if OBEYED.search(text)] == []
    assert all(word in text for word, text in zip(WORDS, shown, strict=True) if word.isprintable())


def test_the_line_one_waits_at():
    assert [word for word in WORDS if OBEYED.search(drawn(word)) or "\n" in drawn(word)] == []


def test_errors_in_the_shell(monkeypatch, capsys):
    assert [word for word in WORDS[::7] if OBEYED.search(said(word, monkeypatch, capsys))] == []


@pytest.mark.parametrize("shown", ["cell", "line", "shell"])
def test_control_what_is_not_replaced_is_seen(monkeypatch, capsys, shown):
    monkeypatch.setattr(errors, "OBEYED", {})
    monkeypatch.setattr(fronts, "visible", str)
    monkeypatch.setattr(cli, "visible", str)
    word = "\x1b]0;owned\x07"
    texts = {
        "cell": lambda: JobError(word)._render_traceback_()[0],
        "line": lambda: drawn(word),
        "shell": lambda: said(word, monkeypatch, capsys),
    }
    assert OBEYED.search(texts[shown]())
