"""`%mlaas` in a real shell and in a real kernel."""

import time

import pytest
from IPython.core.error import UsageError as CellError
from IPython.core.interactiveshell import InteractiveShell
from jupyter_client.manager import start_new_kernel
from traitlets.config import Config

import mlaas_lab
from mlaas_lab import magics
from mlaas_lab.errors import JobError, LabError, UsageError


@pytest.fixture
def shell(home):
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config)
    shell.run_line_magic("load_ext", "mlaas_lab")
    yield shell
    mlaas_lab.unload_ipython_extension(shell)


@pytest.fixture
def kernel(home):
    manager, client = start_new_kernel(kernel_name="python3")
    yield Kernel(manager, client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


class Kernel:
    """Runs code and keeps what came out."""

    def __init__(self, manager, client):
        self.manager, self.client = manager, client

    def run(self, code, timeout=60):
        outputs = []
        reply = self.client.execute_interactive(code, timeout=timeout, output_hook=outputs.append)
        return reply["content"], [(message["msg_type"], message["content"]) for message in outputs]

    def text(self, code):
        content, outputs = self.run(code)
        assert content["status"] == "ok", content
        # A live card may be redrawn meanwhile; that is not this cell's own output.
        own = [o for kind, o in outputs if kind in ("stream", "execute_result", "display_data")]
        return "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in own)

    def complete(self, code):
        self.client.complete(code, len(code))
        return self.client.get_shell_msg(timeout=10)["content"]


def run(shell, code):
    done = shell.run_cell(code)
    done.raise_error()
    return done.result


def test_loading_twice_leaves_one_magic_and_one_matcher(shell):
    shell.run_line_magic("load_ext", "mlaas_lab")
    shell.run_line_magic("reload_ext", "mlaas_lab")
    ours = [m for m in shell.Completer.custom_matchers if getattr(m, "matcher_identifier", "") == magics.COMPLETER]
    assert len(ours) == 1
    shell.run_line_magic("unload_ext", "mlaas_lab")
    assert "mlaas" not in shell.magics_manager.magics["line"]
    assert "mlaas" not in shell.magics_manager.magics["cell"]
    assert not [m for m in shell.Completer.custom_matchers if getattr(m, "matcher_identifier", "") == magics.COMPLETER]


def test_result_is_an_object_and_can_be_assigned(shell):
    run(shell, "job = %mlaas toy --steps 2 --wait")
    assert shell.user_ns["job"].outcome == {"counted": 2}
    assert shell.user_ns["_mlaas"] is shell.user_ns["job"]
    assert run(shell, "%mlaas version --json")["mlaas_lab"] == mlaas_lab.__version__


def test_cell_body_is_yaml_and_words_win(shell):
    run(shell, "%%mlaas toy --steps 4 --wait --as job\nsteps: 2\npause-s: 0.01\n")
    job = shell.user_ns["job"]
    assert job.outcome == {"counted": 4}
    assert job.job.spec["pause_s"] == 0.01


def test_errors_are_one_line_and_stop_run_all(shell):
    with pytest.raises(UsageError, match="unknown command 'toyy'"):
        run(shell, "%mlaas toyy")
    with pytest.raises(JobError):
        run(shell, "%mlaas toy --end data --wait")
    with pytest.raises(CellError, match="names nothing here"):
        run(shell, "%mlaas wait $nowhere")
    with pytest.raises(CellError, match="No closing quotation"):
        run(shell, '%mlaas wait "open')


NAMES = {"job": "j1", "path": "a b.jsonl", "box": {"k": ["x", "y"]}, "n": 3, "thing": object()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("toy --steps 3", ["toy", "--steps", "3"]),
        ("toy --steps 3;", ["toy", "--steps", "3"]),
        ("toy --steps 3 # why", ["toy", "--steps", "3"]),
        ("toy --steps 3 ;", ["toy", "--steps", "3"]),
        ('ask "what is it?" --targets a,b', ["ask", "what is it?", "--targets", "a,b"]),
        ("ask 'it''s' x", ["ask", "its", "x"]),
        ("ask a#b", ["ask", "a#b"]),
        ("""ask '{"a": 1}'""", ["ask", '{"a": 1}']),
        ("ask '{{mustache}}' $job", ["ask", "{{mustache}}", "j1"]),
        ("wait $job", ["wait", "j1"]),
        ("wait {job}", ["wait", "j1"]),
        ("data check {path}", ["data", "check", "a b.jsonl"]),
        ("x {box['k'][1]}", ["x", "y"]),
        ("x run-{n}.jsonl", ["x", "run-3.jsonl"]),
        ("x --raw {nope} $nope", ["x", "{nope}", "$nope"]),
    ],
)
def test_line_is_split_and_expanded_as_one_expects(line, words):
    assert magics.words_of(line, NAMES) == words


def test_object_stays_an_object():
    assert magics.words_of("x $thing", NAMES)[1] is NAMES["thing"]


def test_unknown_name_is_an_error():
    with pytest.raises(ValueError, match=r"\{nope\} names nothing here"):
        magics.words_of("x a{nope}", NAMES)


def test_loading_is_quick_and_silent_in_a_kernel(kernel):
    assert kernel.text("%load_ext mlaas_lab") == ""


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("%mlaas fin", "finetune"),
        ("%%mlaas fin", "finetune"),
        ("x = %mlaas fin", "finetune"),
        ("1\n%mlaas fin", "finetune"),
        ("%mlaas data ch", "data check"),
        ("%mlaas jobs --sta", "--state"),
        ("%mlaas jobs --state run", "running"),
        ("%mlaas eval --metrics exact_match,tok", "exact_match,token_f1"),
        ("%mlaas serve ti", "tiny"),
    ],
)
def test_completion(shell, code, wanted):
    began = time.monotonic()
    found = [completion.text for completion in shell.Completer.completions(code, len(code))]
    assert any(wanted in word for word in found), found
    assert time.monotonic() - began < 10


def test_completion_through_the_kernels_protocol(kernel):
    kernel.run("%load_ext mlaas_lab")
    for code in ("%mlaas jobs --sta", "x = %mlaas jobs --sta", "1\n%mlaas jobs --sta"):
        found = kernel.complete(code)
        assert found["matches"] == ["--state"], code
        assert code[found["cursor_start"] :] == "--sta"


def test_help_is_for_reading(kernel):
    kernel.run("%load_ext mlaas_lab")
    assert "%mlaas finetune" in kernel.text("%mlaas")
    assert kernel.text("%mlaas wait --help") == kernel.text("%mlaas wait -h")
    content, _ = kernel.run("%mlaas?")
    assert "`%mlaas help`" in content["payload"][0]["data"]["text/plain"]


def test_error_in_a_kernel_is_one_line(kernel):
    kernel.run("%load_ext mlaas_lab")
    content, outputs = kernel.run("%mlaas wait nope")
    assert content["status"] == "error"
    shown = next(o for kind, o in outputs if kind == "error")
    assert shown["traceback"] == ["UsageError: no job 'nope'. `jobs` lists them."]


def test_job_in_a_kernel_is_shown_live_and_the_kernel_stays_free(kernel):
    kernel.run("%load_ext mlaas_lab")
    _, outputs = kernel.run("job = %mlaas toy --steps 2000 --pause-s 0.05\njob")
    assert kernel.text("str(job.state)") in ("'queued'", "'running'"), "nobody waited for it"
    shown = [o for kind, o in outputs if kind == "display_data"]
    live, still = (one["data"] for one in shown)
    assert "application/vnd.jupyter.widget-view+json" in live
    assert "text/html" in still
    assert kernel.text("1 + 1") == "2"
    kernel.text("%mlaas cancel toy")


def test_waiting_draws_once_and_updates_in_place(kernel):
    kernel.run("%load_ext mlaas_lab")
    _, outputs = kernel.run("%mlaas toy --steps 30 --pause-s 0.05 --wait")
    kinds = [kind for kind, _ in outputs if kind in ("display_data", "update_display_data", "execute_result")]
    assert kinds[0] == "display_data"
    assert kinds.count("display_data") == 1
    last = [o for kind, o in outputs if kind == "update_display_data"][-1]
    assert "succeeded" in last["data"]["text/plain"]


def test_interrupt_returns_and_the_job_goes_on(kernel):
    kernel.run("%load_ext mlaas_lab")
    kernel.run("job = %mlaas toy --steps 200 --pause-s 0.05")
    message = kernel.client.execute("%mlaas wait $job")
    time.sleep(1.5)
    kernel.manager.interrupt_kernel()
    began = time.monotonic()
    while kernel.client.get_shell_msg(timeout=20)["parent_header"].get("msg_id") != message:
        pass
    assert time.monotonic() - began < 6, "the job takes 10 s"
    assert "200" in kernel.text("job.result(30)")


def test_killed_kernel_and_attach_in_a_new_one(kernel):
    kernel.run("%load_ext mlaas_lab")
    kernel.run("%mlaas toy --steps 60 --pause-s 0.05 --name long")
    kernel.manager.shutdown_kernel(now=True)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        again = Kernel(manager, client)
        again.run("%load_ext mlaas_lab")
        again.run("job = %mlaas attach")
        assert again.text("job.job.name, str(job.state)") == "('long', 'running')"
        assert "60" in again.text("job.result(30)")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_labs_errors_have_no_traceback():
    assert LabError("a", next="b")._render_traceback_() == ["LabError: a b"]


class TestKeys:
    """A key in a cell: one line says so, the value is said nowhere."""

    KEY = "sk-proj-canary0123456789"

    @pytest.mark.parametrize(
        ("line", "cell"),
        [("ask hi --targets echo/any?stop={key}", None), ("ask --targets echo/any", "my key is {key}\n")],
    )
    def test_it_is_warned_of_once(self, shell, capsys, line, cell):
        line, cell = line.replace("{key}", self.KEY), cell and cell.replace("{key}", self.KEY)
        shell.run_cell_magic("mlaas", line, cell) if cell else shell.run_line_magic("mlaas", line)
        said = capsys.readouterr().err
        assert said.count("looks like a key") == 1
        assert "--set-key" in said
        assert "canary" not in said

    def test_nothing_is_said_without_one(self, shell, capsys):
        shell.run_line_magic("mlaas", "ask hi --targets echo/any")
        assert "key" not in capsys.readouterr().err

    @pytest.mark.parametrize("words", ["--targets openai/m?api_key=KEY", "--targets echo/m KEY", "--max-tokens KEY"])
    def test_an_error_does_not_repeat_it(self, shell, words):
        with pytest.raises(LabError) as caught:
            shell.run_line_magic("mlaas", f"ask hi {words.replace('KEY', self.KEY)}")
        assert "canary" not in str(caught.value) + repr(caught.value)
