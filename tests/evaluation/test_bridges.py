"""Bridges with a tool made of a few lines: what dies, hangs or reaches out on the other side costs no more than its score."""

import socket
import subprocess
import sys
import threading
from functools import partial

import psutil
import pytest

from mlaas_lab import registry
from mlaas_lab.errors import DataError, MissingExtra, UsageError
from mlaas_lab.evaluation.bridges import MOST_DEATHS, Bridge, Refused, scored, unfit
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.schema import Message, Sample, ScoreStatus

TOY = """
import os
import socket
import subprocess
import time

class Task:
    def __init__(self, refuse="", file=None):
        if refuse:
            raise ValueError(refuse)
        print("a library talks while it loads")

    def samples(self):
        return [{"id": "1", "messages": [{"role": "user", "content": "x"}], "reference": "r"}]

    def score(self, sample, output, reference):
        print("a library talks\\n{}", flush=True)
        if output == "die":
            os.write(2, b"out of memory")
            os._exit(7)
        if output == "hang":
            time.sleep(60)
        if output == "raise":
            raise KeyError("gone")
        return {"value": float(len(output)), "status": "ok", "reason": f"{sample} {reference}"}

    def about(self):
        return {"pid": os.getpid(), "env": dict(os.environ)}

    def connect(self, address):
        with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as one:
            one.settimeout(2)
            one.connect(address if isinstance(address, str) else tuple(address))

    def look_up(self, host):
        socket.getaddrinfo(host, 80)

    def start(self, how):
        return {"popen": lambda: subprocess.run(["true"]), "system": lambda: os.system("true"), "fork": os.fork}[how]()

    def read(self, path):
        with open(path) as file:
            return file.read()
"""


@pytest.fixture
def toy(tmp_path):
    """Starts bridges to it."""
    script = tmp_path / "toy.py"
    script.write_text(TOY)
    return lambda folders=(), alone=False, **opening: Bridge(
        sys.executable, str(script.with_suffix("")), opening, folders=folders, alone=alone
    )


@pytest.fixture
def canary():
    """A listener on this machine, and how often somebody came: `canary(host)`."""
    opened = []

    def listen(host):
        server = socket.create_server((host, 0))
        came = []
        opened.append(server)

        def accept():
            while True:
                try:
                    came.append(server.accept()[1])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        return server.getsockname()[1], came

    yield listen
    for server in opened:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def sample(name="1", reference="r"):
    return Sample(id=name, messages=(Message(role="user", content="x"),), reference=reference)


def test_every_answer_has_its_own_fate(toy):
    outputs = ["abc", "die", "ab", "hang", "raise", "a"]
    scores = scored(toy, outputs, [sample()] * 6, limit_s=1.0)
    assert [score.value for score in scores] == [3, None, 2, None, None, 1]
    ok, error, late = ScoreStatus.OK, ScoreStatus.JUDGE_ERROR, ScoreStatus.TIMEOUT
    assert [score.status for score in scores] == [ok, error, ok, late, error, ok]
    assert scores[0].reason == "1 r"
    assert "status 7: " in scores[1].reason
    assert scores[1].reason.endswith("out of memory")
    assert scores[3].reason == "no answer within 1 s"
    assert scores[4].reason == "KeyError: 'gone'"


def test_what_always_dies_is_given_up(toy):
    started = []

    def start():
        started.append(1)
        return toy()

    scores = scored(start, ["die"] * 10 + ["abc"], [sample()] * 11, limit_s=5.0)
    assert {score.status for score in scores} == {ScoreStatus.JUDGE_ERROR}
    assert len(started) == MOST_DEATHS


def test_what_never_comes_up_is_not_tried_for_every_answer(toy):
    started = []

    def start():
        started.append(1)
        return toy(refuse="not today")

    scores = scored(start, ["abc"] * 10, [sample()] * 10, limit_s=5.0)
    assert {(score.status, score.reason) for score in scores} == {(ScoreStatus.JUDGE_ERROR, "ValueError: not today")}
    assert len(started) == MOST_DEATHS


def test_it_ends_with_its_context(toy):
    with toy() as bridge:
        pid = bridge.ask("about")["pid"]
        assert psutil.pid_exists(pid)
    assert not psutil.pid_exists(pid)


def test_it_sees_no_key_and_no_home_of_ours(toy, monkeypatch, home):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-you")
    with toy() as bridge:
        seen = bridge.ask("about")["env"]
    assert "sk-not-for-you" not in seen.values()
    assert seen["HOME"] != str(home)
    assert seen["HF_HUB_OFFLINE"] == "1"


def test_it_reaches_this_machine_alone(toy, canary):
    (near, visits), (far, strange) = canary("127.0.0.1"), canary("127.0.0.2")
    with toy() as bridge:
        bridge.ask("connect", address=["127.0.0.1", near])
        for address in (["127.0.0.2", far], "/tmp/any.sock"):
            with pytest.raises(Refused, match="PermissionError: a bridge reaches no other machine"):
                bridge.ask("connect", address=address)
        with pytest.raises(Refused, match=r"looks nobody up: 'example.com'"):
            bridge.ask("look_up", host="example.com")
        bridge.ask("look_up", host="localhost")
    assert (len(visits), len(strange)) == (1, 0)


def test_without_the_guard_it_would(tmp_path, canary):
    """The control of the test above."""
    port, came = canary("127.0.0.2")
    script = TOY + f"\nTask().connect(['127.0.0.2', {port}])\n"
    subprocess.run([sys.executable, "-I", "-c", script], check=True, stdout=subprocess.DEVNULL)
    assert len(came) == 1


@pytest.mark.parametrize("how", ["popen", "system", "fork"])
def test_it_starts_nobody(toy, how):
    with toy() as bridge, pytest.raises(Refused, match="starts no other process"):
        bridge.ask("start", how=how)


def test_it_opens_files_of_named_folders_alone(toy, tmp_path):
    for place in ("mine", "yours"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "file").write_text(place)
    (tmp_path / "mine" / "link").symlink_to(tmp_path / "yours" / "file")
    with toy(folders=[str(tmp_path / "mine"), str(tmp_path / "toy.py")]) as bridge:
        assert bridge.ask("read", path=str(tmp_path / "mine" / "file")) == "mine"
        for path in ("yours/file", "mine/link", "mine/../yours/file"):
            with pytest.raises(Refused, match="opens no file here"):
                bridge.ask("read", path=str(tmp_path / path))
    with toy() as bridge:
        assert bridge.ask("read", path=str(tmp_path / "yours" / "file")) == "yours"


def test_who_is_alone_reaches_nobody_and_reads_its_own_files_only(toy, tmp_path, canary):
    port, came = canary("127.0.0.1")
    (tmp_path / "secret").write_text("mine")
    # Itself must be read at least.
    with toy(folders=[str(tmp_path / "toy.py")], alone=True) as bridge:
        with pytest.raises(Refused, match="a bridge reaches no other machine"):
            bridge.ask("connect", address=["127.0.0.1", port])
        with pytest.raises(Refused, match="looks nobody up: 'localhost'"):
            bridge.ask("look_up", host="localhost")
        for path in (tmp_path / "secret", "/etc/passwd", "/proc/self/environ"):
            with pytest.raises(Refused, match="opens no file here"):
                bridge.ask("read", path=str(path))
    assert came == []
    with toy() as bridge:
        bridge.ask("connect", address=["127.0.0.1", port])
        assert bridge.ask("read", path=str(tmp_path / "secret")) == "mine"
    assert len(came) == 1, "the control: others may"


def test_what_cannot_start_is_one_line(toy, tmp_path):
    with (
        pytest.raises(MissingExtra, match=r"/no/python cannot be started: No such file"),
        Bridge("/no/python", "x", {}),
    ):
        pass
    with pytest.raises(Refused, match="ValueError: not today"), toy(refuse="not today"):
        pass
    with pytest.raises(Refused, match="FileNotFoundError"), Bridge(sys.executable, str(tmp_path / "missing"), {"x": 1}):
        pass


def test_samples_must_be_the_tasks_own(toy):
    assert unfit(toy, [sample()]) == ""
    assert (
        unfit(toy, [sample(), sample(reference="other"), sample("2")]) == "2 of 3 are not of the task, the first is '1'"
    )
    assert "not today" in unfit(partial(toy, refuse="not today"), [sample()])


@pytest.mark.parametrize(
    ("metric", "setting"),
    [
        ("inspect_ai?task={}@some", "inspect_python"),
        ("lm_eval?task={}", "lm_eval_python"),
        ("fi?name=Nothing", "fi_python"),
    ],
)
def test_a_tool_that_is_not_there_is_said_before_anybody_is_asked(rows, spec, settings, tmp_path, metric, setting):
    task = tmp_path / ("task.py" if setting == "inspect_python" else "task.yaml")
    task.write_text("")
    wanted = spec(data=rows([("a", "a")]), targets="echo/m", metrics=[metric.format(task)])
    with pytest.raises(MissingExtra, match="No module named"):
        prepare(wanted, settings)
    with pytest.raises(MissingExtra, match="/no/python cannot be started"):
        prepare(wanted, settings.model_copy(update={setting: "/no/python"}))


@pytest.mark.parametrize("name", ["inspect_ai", "lm_eval", "fi"])
def test_a_task_must_be_named(rows, spec, settings, name):
    with pytest.raises(DataError, match=r"no (task|evaluation) is named"):
        prepare(spec(data=rows([("a", "a")]), targets="echo/m", metrics=[name]), settings)
    with pytest.raises(UsageError, match=f"metric '{name}': .*expected"):
        registry.configured("metric", f"{name}?limit_s=-1" if name == "fi" else f"{name}?task=nowhere")
