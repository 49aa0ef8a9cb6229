"""The README promises nothing that does not run."""

import re
import shlex
from importlib import util
from pathlib import Path

import pytest

from mlaas_lab import errors
from mlaas_lab.commands import _dispatch
from mlaas_lab.errors import snake
from mlaas_lab.spec import read

README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.findall(r"```[a-z]*\n(.*?)```", README.read_text(), flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line.split("#")[0] for line in LINES if re.match(r"(%%?)?mlaas |\w+ = %mlaas ", line)]


def generator():
    spec = util.spec_from_file_location("readme_generator", Path(__file__).parent / "readme.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_are_made_from_the_code():
    assert generator().filled(README.read_text()) == README.read_text(), "run: python tests/readme.py"


@pytest.mark.parametrize("line", COMMANDS)
def test_command_lines_are_understood(line):
    words = shlex.split(re.sub(r"^(\w+ = )?%{0,2}mlaas ", "", line))
    name, rest = _dispatch.pick(words)
    assert read(_dispatch.command(name).args, rest)


def test_there_are_command_lines():
    assert len(COMMANDS) >= 6


def test_every_error_is_explained():
    classes = [t for t in vars(errors).values() if isinstance(t, type) and issubclass(t, errors.LabError)]
    shown = [c for c in classes if c not in (errors.LabError, errors.CallError)]
    assert [snake(c.__name__) for c in shown if f"`{snake(c.__name__)}`" not in README.read_text()] == []


def test_make_targets_it_names_exist():
    makefile = (README.parent / "Makefile").read_text()
    named = set(
        re.findall(r"\bmake ([a-z-]+)\b", " ".join(re.findall(r"`[^`]*`", README.read_text())) + " ".join(LINES))
    )
    assert {name for name in named if f"\n{name}:" not in makefile} == set()


TESTS = re.findall(r"`make test(?:-long|-ray)?[^`]*`", README.read_text())


@pytest.mark.parametrize("line", sorted({line for line in TESTS if "ARGS" in line}))
def test_tests_it_names_exist(line):
    words = shlex.split(line.strip("`").partition("ARGS=")[2])[0].split()
    files = [README.parent / word for word in words if word.startswith("tests/")]
    assert all(file.exists() for file in files), line
    if "-k" in words:
        word = words[words.index("-k") + 1]
        texts = [file.read_text() for file in files if file.is_file()]
        texts += [one.read_text() for file in files if file.is_dir() for one in file.rglob("test_*.py")]
        assert not texts or any(re.search(rf"def test_\w*{word}|\[\w*{word}", text) for text in texts), line


def test_benchmarks_it_names_exist():
    named = re.findall(r"python (tests/[a-z_/]+\.py)", README.read_text())
    assert named
    assert [name for name in named if not (README.parent / name).is_file()] == []
