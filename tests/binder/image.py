"""The environment that `binder/` asks for, made from its own files in a copy of this repository, as repo2docker does.

`build/binder` keeps it until what it was made from changes; the package itself is installed anew every time.
"""

import hashlib
import os
import shutil
import subprocess
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "binder"
MADE_FROM = ("binder/requirements.txt", "binder/runtime.txt", "pyproject.toml", ".ci/constraints.txt")
BASE = (
    "pip==25.2", "ipywidgets==8.1.7", "jupyter-offlinenotebook==0.3.2", "jupyter-resource-usage==1.2.0",
    "jupyter_server==2.17.0", "jupyterhub==5.4.0", "jupyterlab==4.4.9", "notebook==7.4.7",
)  # fmt: skip
"""What stands in every image for Python 3.11 (repo2docker 2026.4.0, `environment.py-3.11-linux-64.lock`)."""
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "node_modules", "build", "lib", "__pycache__", ".*_cache", ".hypothesis"
)


class Image:
    """An interpreter with what Binder has, and the repository beside it."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets the copy of the repository, and a home."""
        self.venv, self.repo, self.home = PLACE / "venv", folder / "repo", folder / "home"
        shutil.copytree(ROOT, self.repo, ignore=LEFT_OUT)
        shutil.rmtree(self.repo / "mlaas_lab" / "labextension", ignore_errors=True)
        self.built_before = self.repo / "labextension" / "lib" / "index.js"
        self.built_before.parent.mkdir()
        self.built_before.touch()
        self.home.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """What a process on Binder finds: nothing of ours."""
        kept = {name: os.environ[name] for name in ("LANG", "TERM", "TMPDIR") if name in os.environ}
        return {**kept, "HOME": str(self.home), "PATH": f"{self.venv}/bin:/usr/local/bin:/usr/bin:/bin"}

    @property
    def npm(self) -> str | None:
        """Where npm is, which an image has and a bare machine may lack."""
        return shutil.which("npm", path=self.environment["PATH"])

    def build(self) -> None:
        """Install as repo2docker does: its own, the requirements, `postBuild`; without npm all but the sidebar."""
        made = self.venv / "made-from"
        pip = ["python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        given = os.environ.get("PIP_ARGS", "").split()
        if not made.exists() or made.read_text() != _digest():
            venv.create(self.venv, with_pip=True, clear=True)
            self._run(*pip, *given, *BASE)
        self._run(*pip, *given, "--requirement", "binder/requirements.txt")
        self._run("python", "-m", "pip", "check")
        if self.npm:
            self._run("sh", "binder/postBuild")
        else:
            self._run(*pip, "--no-deps", "--force-reinstall", ".")
        made.write_text(_digest())

    def runs(self, *words: str) -> str:
        """What a command says that must succeed."""
        return self._run(*words)

    def _run(self, *words: str) -> str:
        # Where pip and npm find packages is the machine's business, and only while this is built.
        machine = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "npm_", "NPM_"))}
        home = {"HOME": os.path.expanduser("~")}
        done = subprocess.run(
            [shutil.which(words[0], path=self.environment["PATH"]) or words[0], *words[1:]],
            cwd=self.repo, env={**self.environment, **home, **machine}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-4000:]}"
        return done.stdout


def _digest() -> str:
    return hashlib.sha256(repr(BASE).encode() + b"".join((ROOT / name).read_bytes() for name in MADE_FROM)).hexdigest()
