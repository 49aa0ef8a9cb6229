"""The house rules that a machine can hold: sizes, names, seams, imports, generated files. No waivers."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import mlaas_lab
from mlaas_lab import registry

ROOT = Path(mlaas_lab.__file__).parent
REPO = ROOT.parent
FILES = sorted(path for path in ROOT.rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
HEAVY = ("torch", "vllm", "ray", "mlflow", "ragas", "panel", "polars", "transformers", "pydantic", "numpy", "pandas")
SEAMS = {
    "mlflow": ("tracking/", "evaluation/metrics/mlflow.py"),
    "sqlite3": ("store/", "commands/doctor.py"),
    "opentelemetry": ("telemetry/",),
    "nest_asyncio": (),
    "litellm": (),
}
"""Library → where it may be imported."""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def length(node: ast.AST) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_file_is_short(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_functions_are_short_and_take_few_parameters(path):
    for node in functions(path):
        assert length(node) <= 60, node.name
        taken = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        assert len([name for name in taken if name not in ("self", "cls")]) <= 6, node.name


def test_nine_of_ten_functions_are_at_most_35_lines():
    lengths = sorted(length(node) for path in FILES for node in functions(path))
    assert lengths[int(0.9 * len(lengths))] <= 35


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_file_says_what_it_is(path):
    assert (ast.get_docstring(tree(path)) or "").strip()


def test_no_dumping_grounds():
    banned = {"utils", "util", "helpers", "helper", "common", "base", "core", "misc", "manager"}
    assert [name for name in NAMES if banned & {part.removesuffix(".py") for part in Path(name).parts}] == []


@pytest.mark.parametrize("library", SEAMS)
def test_library_is_imported_at_its_seam_only(library):
    for path, name in zip(FILES, NAMES, strict=True):
        if any(module.partition(".")[0] == library for module in imports(path)):
            assert name.startswith(SEAMS[library]) if SEAMS[library] else False, name


def test_environment_is_read_in_one_file():
    pattern = re.compile(r"os\.(environ|getenv)")
    found = {name for path, name in zip(FILES, NAMES, strict=True) if pattern.search(path.read_text())}
    # The entry's process sets its threads before libraries count the cores.
    assert found <= {"environment.py", "context.py"}


def test_loops_run_in_one_place():
    found = {name for path, name in zip(FILES, NAMES, strict=True) if "asyncio.run(" in path.read_text()}
    # A bridge's worker is another program: it runs under other tools' interpreters and knows nothing of ours.
    assert found - {"evaluation/bridges/_runner.py"} <= {name for name in NAMES if name.startswith("inference")}


def test_no_vendor_is_named_outside_its_files():
    vendors = re.compile(r"\b(anthropic|bedrock|vertex|watsonx|replicate|dashscope|qianfan|sagemaker)\b", re.IGNORECASE)
    home = ("providers/", "wires/", "signing/", "emulators/", "pricing/")
    found = [n for p, n in zip(FILES, NAMES, strict=True) if not n.startswith(home) and vendors.search(p.read_text())]
    assert found == []


def test_unfinished_work_is_not_shipped():
    pattern = re.compile("TO" + "DO|FIX" + "ME|XX" + "X|NotImplemented" + "Error")
    assert [n for p, n in zip(FILES, NAMES, strict=True) if pattern.search(p.read_text())] == []


def test_loading_the_extension_imports_nothing_heavy():
    script = (
        "import sys, IPython, ipywidgets\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "before = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'mlaas_lab')\n"
        f"print([name for name in {HEAVY!r} if name in set(sys.modules) - before])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", "and nothing is printed\n" + done.stderr


def test_commands_in_the_kernel_import_no_torch():
    script = (
        "import sys\n"
        "from mlaas_lab.commands import _dispatch, _help\n"
        "[_help.usage(name) for name in _dispatch.names()]\n"
        "print([name for name in ('torch', 'transformers', 'mlflow', 'peft') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_versions_agree():
    assert json.loads((REPO / "package.json").read_text())["version"] == mlaas_lab.__version__
    assert f"## {mlaas_lab.__version__}" in (REPO / "CHANGELOG.md").read_text()


def test_no_module_hides_a_command():
    commands = {name.replace(" ", "_") for kind in ("command", "task") for name in registry.names(kind)}
    modules = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    for name in commands & modules:
        assert callable(getattr(mlaas_lab, name)), f"`ml.{name}` would be the module, not the command"


def test_default_install_is_light():
    import tomllib

    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[\[<>=!~ ]", need)[0] for need in project["dependencies"]}
    assert names.isdisjoint({"torch", "transformers", "ragas", "litellm", "panel", "ray", "vllm", "peft"})


def test_the_extension_of_jupyterlab_is_small_and_strict():
    import json

    extension = REPO / "labextension"
    assert sum(len(path.read_text().splitlines()) for path in (extension / "src").glob("*.ts")) <= 900
    assert json.loads((extension / "tsconfig.json").read_text())["compilerOptions"]["strict"]
    needs = json.loads((REPO / "package.json").read_text())["dependencies"]
    assert [name for name in needs if not name.startswith(("@jupyterlab/", "@lumino/"))] == [], "no framework"


def test_top_level_holds_what_the_design_says():
    tracked = subprocess.run(["git", "ls-files"], cwd=REPO, capture_output=True, text=True).stdout.split("\n")
    allowed = {
        "pyproject.toml", "README.md", "package.json", "package-lock.json", "mlaas_lab", "labextension", "notebooks",
        "tests", "binder", "Makefile", "LICENSE", "CHANGELOG.md", ".ci", ".gitignore",
    }  # fmt: skip
    assert {name.split("/")[0] for name in tracked if name} <= allowed
