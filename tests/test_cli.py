"""`mlaas` in the shell: exit codes, one JSON object on standard output, one line on standard error."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mlaas_lab.commands import _dispatch, _help

MLAAS = [sys.executable, "-m", "mlaas_lab.cli"]


def mlaas(*words, **options):
    return subprocess.run([*MLAAS, *words], capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["evaluate-typo"], 2, "mlaas: unknown command 'evaluate-typo'."),
        (["finetun"], 2, "mlaas: unknown command 'finetun'. Did you mean 'finetune'?"),
        (["data"], 2, "mlaas: 'data' needs another word. Known: data check, data import."),
        (["jobs", "--stat", "x"], 2, "mlaas: unknown option '--stat'. Did you mean '--state'?"),
        (["wait", "nope"], 2, "mlaas: no job 'nope'."),
        (["toy", "--end", "data"], 1, "rows.jsonl:3: no messages."),
        (["toy", "--wait", "--detach"], 2, "mlaas: --wait and --detach say the opposite."),
        (
            ["--set", "threds=2", "jobs"],
            2,
            "mlaas: unknown setting 'threds' in flag. Did you mean 'threads' or 'traces'?",
        ),
        (["data", "check", "absent.jsonl"], 1, "absent.jsonl"),
    ],
)
def test_exit_codes_and_one_line(words, code, said):
    done = mlaas(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["doctor"], ["jobs"], ["config"], ["version"], ["help"], ["toy", "--steps", "1"]])
def test_json_is_one_object_and_nothing_else(words):
    done = mlaas(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert isinstance(json.loads(done.stdout), dict)


def test_doctor_is_ok_and_names_what_adds_what_is_missing():
    said = json.loads(mlaas("doctor", "--json").stdout)
    assert said["ok"] is True
    assert all({"name", "ok", "detail", "fix"} <= set(check) for check in said["checks"])
    assert all(check["fix"] for check in said["checks"] if not check["ok"] and check["name"] != "GPU")


def test_failure_is_json_too():
    done = mlaas("wait", "nope", "--json")
    assert json.loads(done.stdout) == {
        "error": {"name": "usage_error", "message": "no job 'nope'.", "next": "`jobs` lists them."}
    }


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back():
    shell = subprocess.Popen([*MLAAS, "toy", "--steps", "60", "--pause-s", "0.05"], stderr=subprocess.PIPE, text=True)
    line = shell.stderr.readline()
    assert line.startswith("toy"), line
    time.sleep(0.3)
    shell.send_signal(signal.SIGINT)
    said = shell.stderr.read()
    assert shell.wait(10) == 130
    assert "goes on. `wait " in said
    job = json.loads(mlaas("jobs", "--json").stdout)["jobs"][0]
    assert json.loads(mlaas("wait", job["id"], "--json").stdout)["counted"] == 60


def test_help_says_the_same_everywhere():
    texts = {mlaas(*words).stdout for words in (["help", "wait"], ["wait", "--help"], ["wait", "-h"])}
    assert len(texts) == 1
    assert "mlaas wait JOB [OPTIONS]" in texts.pop()
    assert mlaas().stdout == mlaas("--help").stdout == mlaas("help").stdout


@pytest.mark.parametrize("name", _dispatch.names())
def test_every_command_has_help_that_fits(name):
    text = _help.usage(name)
    assert text.startswith(f"mlaas {name}")
    assert max(map(len, text.splitlines())) <= 140


def test_closed_pipe_is_not_a_crash():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*MLAAS, "help"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert "Traceback" not in done.stderr
