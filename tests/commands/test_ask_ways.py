"""Where `ask` takes its prompt from and leaves its answers, what stands under each, and how often it is drawn."""

import io
import json
import re
import time
from dataclasses import replace

import pytest
from emulated import emulated, target
from IPython.core.interactiveshell import InteractiveShell
from loopback import Fault, Loopback, cut, rate_limited
from traitlets.config import Config

import mlaas_lab
from mlaas_lab import cli, errors, fronts
from mlaas_lab.commands._answers import Answers, Asked
from mlaas_lab.commands.ask import NEXT, Ask, command
from mlaas_lab.emulators import Answer
from mlaas_lab.errors import AuthFailed, DataError, RateLimited, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import Attempt, Completion, Cost, Usage
from mlaas_lab.spec import read
from mlaas_lab.view import to_text


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def shell(home):
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "mlaas_lab")
    yield shell
    mlaas_lab.unload_ipython_extension(shell)


def run(*words, lab=None):
    return command.run(read(Ask, words), lab or Lab())


def text_of(html):
    return re.sub(r"\s+", " ", re.sub("<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)).replace("\xa0", " ")


# Prompts


def test_a_prompt_from_a_file(tmp_path):
    (tmp_path / "q.txt").write_text("\nWo ist meine Karte? 世界\nzweite Zeile\n", encoding="utf-8")
    answers = run("--file", "q.txt", "--targets", "echo/a")
    assert answers.rows[0].text == "Wo ist meine Karte? 世界\nzweite Zeile"


def test_a_prompt_from_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("piped in\n"))
    assert run("--file", "-", "--targets", "echo/a").rows[0].text == "piped in"


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("--file", "none.txt"), DataError, "none.txt cannot be read: no such file"),
        (("--file", "latin.txt"), DataError, "latin.txt is not UTF-8: byte 2"),
        (("--file", "blank.txt"), UsageError, "blank.txt is empty"),
        (("--file", "."), DataError, "cannot be read: is a directory"),
        (("--file", "-"), UsageError, "standard input is empty"),
        (("hi", "--file", "q.txt"), UsageError, "given twice"),
        ((), UsageError, "the prompt is missing"),
        (("   ",), UsageError, "the prompt is missing"),
    ],
)
def test_no_prompt_is_said_before_anybody_is_asked(tmp_path, monkeypatch, words, kind, said):
    (tmp_path / "latin.txt").write_bytes("Gr\xfc\xdfe".encode("latin-1"))
    (tmp_path / "blank.txt").write_text(" \n")
    (tmp_path / "q.txt").write_text("q")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with Loopback() as server:
        with pytest.raises(kind, match=re.escape(said)):
            run(*words, "--targets", f"openai/m?base_url={server.base_url}")
        assert server.requests == []


# -o


@pytest.mark.parametrize(
    "line",
    [
        "%mlaas ask 'hi there' --targets echo/a,echo/b -o got",
        "%%mlaas ask --targets echo/a,echo/b --output got\nhi there",
    ],
)
def test_in_a_cell_o_names_a_variable(shell, line):
    done = shell.run_cell(line)
    done.raise_error()
    got = shell.user_ns["got"]
    assert [(row.target, row.text, row.completion.usage.output_tokens) for row in got] == [
        ("echo/a", "hi there", 2),
        ("echo/b", "hi there", 2),
    ]
    assert isinstance(done.result, Answers), "and they are shown all the same"


@pytest.mark.parametrize("name", ["a.json", "class", "1x"])
def test_in_a_cell_o_must_be_a_name(shell, name):
    with Loopback() as server:
        with pytest.raises(UsageError, match="no name of a variable"):
            shell.run_cell(f"%mlaas ask hi --targets openai/m?base_url={server.base_url} -o {name}").raise_error()
        assert server.requests == []


def test_in_the_shell_o_names_a_file(tmp_path, capsys):
    assert cli.main(["ask", "hi there", "--targets", "echo/a", "-o", "got.json"]) == 0
    kept = json.loads((tmp_path / "got.json").read_text())
    assert [row["text"] for row in kept["completions"]] == ["hi there"]
    assert "hi there" in capsys.readouterr().out
    assert cli.main(["ask", "again", "--targets", "echo/a", "-o", "got.json", "--json"]) == 0
    assert json.loads((tmp_path / "got.json").read_text()) == json.loads(capsys.readouterr().out)


def test_in_the_shell_o_must_be_writable(tmp_path, capsys):
    for name in ("no/such/folder.json", "."):
        assert cli.main(["ask", "hi", "--targets", "echo/a", "-o", name]) == 2
        assert "is no file that can be written" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_loses_no_answer(tmp_path, capsys):
    (tmp_path / "full.json").symlink_to("/dev/full")
    assert cli.main(["ask", "hi there", "--targets", "echo/a", "-o", "full.json"]) == 0
    out = capsys.readouterr().out
    assert "hi there" in out
    assert "full.json could not be written: no space left on device." in out


def test_in_python_the_result_is_what_is_returned():
    with pytest.raises(UsageError, match="the result is what the function returns"):
        mlaas_lab.ask("hi", targets="echo/a", output="x")


# Under each answer


def test_what_each_answer_took_stands_under_it():
    def mind(question):
        return Answer(pieces=("a ", "b"), input_tokens=1240, output_tokens=64, cached_tokens=1024, reasoning_tokens=18)

    with emulated("openai", mind=mind) as server:
        answers = run("hi", "--targets", f"{target(server, 'openai', model='gpt-4o')},echo/b")
    (row, echo) = answers.rows
    shown = text_of(answers._repr_html_())
    for said in (
        "openai/gpt-4o ○ emulated",
        "1,240 tokens in (1,024 cached), 64 out (18 reasoning)",
        "first token ",
        "latency ",
        f"(emulated: {row.cost.source.removeprefix('emulated: ')}, {row.cost.date})",
        "1 token in, 1 out",
        "$0 (free)",
    ):
        assert said in shown
    assert row.cost.usd > 0
    assert "attempts" not in shown.lower()
    assert (row.emulated, echo.emulated) == (True, False)
    text = str(answers)
    assert "openai/gpt-4o (emulated): a b" in text
    assert "1,024" in text
    assert f"Prices: {row.cost.source}, {row.cost.date}; free" in text


def row(**more):
    usage = more.pop("usage", Usage(input_tokens=1, output_tokens=2, cached_tokens=0, reasoning_tokens=0))
    model, n = more.pop("model", "m"), more.pop("n", 1)
    attempt = Attempt(started_at=1.0, first_token_at=more.pop("first", 1.25), ended_at=2.0, status=200)
    done = Completion(text="x", usage=usage, finish_reason="stop", model=model, attempts=(attempt,) * n)
    return Asked(target="openai/m", repeat=0, model="m", completion=done, **more)


@pytest.mark.parametrize(
    ("one", "facts"),
    [
        (row(), "1 token in, 2 out first token 250 ms latency 1 s unpriced"),
        (row(usage=Usage()), "tokens not counted first token 250 ms latency 1 s unpriced"),
        (row(usage=Usage(output_tokens=3)), "– tokens in, 3 out first token 250 ms latency 1 s unpriced"),
        (row(n=3), "1 token in, 2 out first token 250 ms latency 1 s unpriced 3 attempts"),
        (row(model="m-2026"), "1 token in, 2 out first token 250 ms latency 1 s unpriced answered by m-2026"),
        (row(model=None), "1 token in, 2 out first token 250 ms latency 1 s unpriced"),
        (row(first=None), "1 token in, 2 out latency 1 s unpriced"),
        (
            row(cost=Cost(usd=1, source="list", date="2026-11-22")),
            "1 token in, 2 out first token 250 ms latency 1 s $1.00 (list, 2026-11-22)",
        ),
    ],
)
def test_facts(one, facts):
    shown = text_of(Answers("q", [one])._repr_html_())
    assert f"openai/m x {facts} The numbers" in shown


def test_billed_without_an_answer():
    error = RateLimited("openai/m: slow down")
    error.usage = Usage(input_tokens=5, output_tokens=1)
    one = replace(row(), completion=None, error=error, cost=Cost(usd=1, source="list", date="2026-11-22"))
    shown = text_of(Answers("q", [one])._repr_html_())
    assert "✗ rate_limited 5 tokens in, 1 out $1.00 (list, 2026-11-22)" in shown


def test_attempts_of_a_retried_call_are_counted():
    with Loopback(faults=[rate_limited(retry_after="0")]) as server:
        answers = run("hi", "--targets", f"openai/m?base_url={server.base_url}")
    assert "2 attempts" in text_of(answers._repr_html_())


def test_names_are_short_while_they_differ():
    with Loopback() as one, Loopback() as two:
        words = [
            f"openai/m?base_url={one.base_url}",
            f"openai/m?base_url={two.base_url}",
            f"openai/n?base_url={two.base_url}&seed=1",
        ]
        shown = to_text(run("hi", "--targets", ",".join(words)).view(), width=200)
    assert f"  {words[0]}: hi" in shown
    assert f"  {words[1]}: hi" in shown
    assert "  openai/n?seed=1: hi" in shown


def test_differences_are_marked_where_there_is_something_in_common():
    alike = [
        replace(row(), completion=replace(row().completion, text=text))
        for text in ("the card is here", "the card is there")
    ]
    apart = [
        replace(row(), completion=replace(row().completion, text=text)) for text in ("the card is here", "nobody knows")
    ]
    assert "<mark>" in Answers("q", alike)._repr_html_()
    assert "<mark>" not in Answers("q", apart)._repr_html_()
    growing = [alike[0], replace(alike[1], completion=None, pieces=["the card was"])]
    assert "<mark>" not in Answers("q", growing)._repr_html_()


# Others


def test_a_target_that_does_not_stream_shows_its_answer_whole(monkeypatch):
    from mlaas_lab.providers import openai

    monkeypatch.setattr(openai, "provider", replace(openai.provider, streams=False))
    seen = set()
    with Loopback(delay_s=0.3) as server:
        lab = Lab(live=lambda shown: seen.add((shown.rows[0].text, shown.rows[0].over)))
        answers = run("one two", "--targets", f"openai/m?base_url={server.base_url}", lab=lab)
    assert seen == {("", False), ("one two", True)}
    assert server.requests[0].body.get("stream") is not True
    assert "first token" not in text_of(answers._repr_html_()).lower().replace("first token latency", "")


def test_a_missing_key_stops_no_other(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    answers = run("hi", "--targets", "openai/gpt-4o,echo/a")
    assert [(one.text, one.failure) for one in answers.rows] == [("", "auth_failed"), ("hi", "")]
    assert "target 'openai/gpt-4o': OPENAI_API_KEY is not set." in str(answers)
    assert answers.exit_code == 1
    with pytest.raises(AuthFailed, match=r"target 'openai/gpt-4o': OPENAI_API_KEY is not set\. Put"):
        run("hi", "--targets", "openai/gpt-4o")


BROKEN = {
    "rate_limited": "rate_limited", "overloaded": "overloaded", "auth": "auth_failed", "not_found": "not_found",
    "invalid": "invalid_request", "filtered": "content_filtered", "garbage": "provider_bug", "cut": "truncated",
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_what_goes_wrong_is_one_line_that_names_the_target(fault):
    with emulated("openai") as server:
        server.next.extend([fault] * 4)
        answers = run("hi there you", "--targets", f"{target(server, 'openai')},echo/a", "--timeout-s", "20")
    bad, good = answers.rows
    assert (bad.failure, good.text) == (BROKEN[fault], "hi there you")
    (note,) = answers.view().notes
    assert note.startswith(f"{bad.target}: ")
    assert bad.error.next
    assert note.endswith(bad.error.next)
    assert "\n" not in note
    assert "emulated-OPENAI_API_KEY" not in str(answers) + answers._repr_html_() + json.dumps(answers.as_json())


def test_time_and_connections_that_run_out_say_what_to_do():
    with emulated("openai") as server:
        server.next.append("stall")
        slow = target(server, "openai")
        answers = run("hi", "--targets", f"{slow},openai/m?base_url=http://127.0.0.1:9/v1", "--timeout-s", "1")
    slow_note, away_note = answers.view().notes
    assert slow_note == f"{slow}: no answer within 1 s. Give it more time: --timeout-s."
    assert away_note.startswith("openai/m?base_url=http://127.0.0.1:9/v1: no connection to 127.0.0.1:9: ")
    assert away_note.endswith("Check the address and the network.")


def test_every_error_of_a_call_has_a_next_step():
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CallError)}
    # Of a wrong key the client says where the right one goes.
    assert kinds - set(NEXT) == {errors.CallError, errors.AuthFailed}


def test_undelivered_telemetry_is_one_note(monkeypatch):
    monkeypatch.setenv("MLAAS_TELEMETRY", "http://127.0.0.1:9")
    answers = run("hi", "--targets", "echo/a,echo/b")
    assert [note for note in answers.view().notes if "Telemetry" in note] == [
        "Telemetry: 2 spans could not be delivered to http://127.0.0.1:9 (no answer)."
    ]
    assert answers.as_json()["notes"] == answers.notes


# Pace


class Displayed:
    """What IPython would have sent to the browser."""

    def __init__(self):
        self.at = []

    def __call__(self, *_, **__):
        self.update()
        return self

    def update(self, *_, **__):
        self.at.append(time.monotonic())


@pytest.mark.parametrize("front", ["notebook", "command"])
def test_ten_drawings_a_second_are_the_most(monkeypatch, front):
    """1,000 words, a millisecond apart: the count has a ceiling by the time it took, however long that was."""
    displayed = Displayed()
    monkeypatch.setattr("IPython.display.display", displayed)
    live = fronts.Notebook().live if front == "notebook" else displayed
    words = " ".join(f"w{n}" for n in range(1000))
    pieces = 0

    def counted(shown):
        nonlocal pieces
        pieces = len(shown.rows[0].pieces)
        live(shown)

    with Loopback(reply=lambda _body: words, faults=[Fault(drip_s=0.001)] * 2) as server:
        began = time.monotonic()
        asked = f"openai/m?base_url={server.base_url}"
        answers = run("hi", "--targets", f"{asked},{asked}&seed=1", "--max-tokens", "1000", lab=Lab(live=counted))
        took_s = time.monotonic() - began
    assert answers.rows[0].text == words
    assert pieces > 10 * took_s, "there was more to draw than may be drawn"
    assert len(displayed.at) <= 10 * took_s + 1
    gaps = [after - before for before, after in zip(displayed.at, displayed.at[1:-1], strict=False)]
    assert all(gap >= 0.095 for gap in gaps)


def test_a_broken_stream_keeps_what_came():
    with Loopback(faults=[cut(3)]) as server:
        answers = run("one two three", "--targets", f"openai/m?base_url={server.base_url},echo/a")
    assert "one two" in text_of(answers._repr_html_())
