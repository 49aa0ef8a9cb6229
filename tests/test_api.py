"""The commands in Python: the same Specs, typed."""

import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

import mlaas_lab as ml
from mlaas_lab.errors import UsageError
from mlaas_lab.schema import JobState

REPO = Path(__file__).parents[1]


def stub():
    spec = util.spec_from_file_location("api_stub", Path(__file__).parent / "api_stub.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_types_are_made_from_the_specs():
    made = stub()
    assert made.PATH.read_text() == made.text(), "run: python tests/api_stub.py"


def test_commands_are_functions(home):
    job = ml.toy(steps=2)
    assert job.result(30) == {"counted": 2}
    assert ml.wait(job).state is JobState.SUCCEEDED
    assert ml.jobs().jobs[0].id == job.id
    assert ml.version().rows["mlaas_lab"] == ml.__version__


def test_bad_words_are_errors_of_ours(home):
    with pytest.raises(UsageError, match=r"unknown option 'stpes'\. Did you mean 'steps'"):
        ml.toy(stpes=2)
    with pytest.raises(UsageError, match="takes 1 positional"):
        ml.wait("a", "b")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = ml.nothing


def test_a_users_program_type_checks(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import mlaas_lab as ml\n"
        "job = ml.finetune(base='tiny', data='rows.jsonl', rank=8)\n"
        "state: str = job.state\n"
        "print(job.result(60), ml.doctor().ok)\n"
        "ml.finetune(base=3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={REPO / '.mypy_cache'}", str(program)],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert "program.py:5: error" in done.stdout
    assert done.stdout.count("program.py:") == done.stdout.count("program.py:5:"), done.stdout
