"""The wheel that users get, made from this repository without Node and network."""

import os
import subprocess
import sys
from pathlib import Path

from jupyter_pages import REPO


def wheel(folder: Path) -> Path:
    """Made in `folder`."""
    tools = os.pathsep.join([str(REPO / ".venv-browser"), os.environ.get("PYTHONPATH", "")])
    without_node = {**os.environ, "PYTHONPATH": tools, "PATH": "/nowhere"}
    words = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(REPO)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *words], check=True, env=without_node)
    (made,) = folder.glob("*.whl")
    return made
