"""The wheel that users get: small, with the sidebar in it once, and no Node needed."""

import json
import os
import subprocess
import sys
from zipfile import ZipFile

import pytest
from jupyter_pages import REPO

pytestmark = pytest.mark.browser
PLACE = "share/jupyter/labextensions/mlaas_lab/"
MOST_BYTES = 3_000_000


def test_the_sidebar_is_in_it_once_and_it_is_small(tmp_path):
    tools = os.pathsep.join([str(REPO / ".venv-browser"), os.environ.get("PYTHONPATH", "")])
    words = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(tmp_path),
        str(REPO),
    ]
    without_node = {**os.environ, "PYTHONPATH": tools, "PATH": "/nowhere"}
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, env=without_node)
    (wheel,) = tmp_path.glob("*.whl")
    names = ZipFile(wheel).namelist()
    manifests = [name for name in names if name.endswith("labextensions/mlaas_lab/package.json")]
    assert len(manifests) == 1
    built = json.loads(ZipFile(wheel).read(manifests[0]))
    remote = f"{PLACE}{built['jupyterlab']['_build']['load']}"
    assert [name for name in names if name.endswith(remote)], "what it says is loaded is there"
    assert not [name for name in names if name.startswith("mlaas_lab/labextension/")], (
        "not a second time in the package"
    )
    assert [name for name in names if name.endswith("jupyter_server_config.d/mlaas_lab.json")]
    size = wheel.stat().st_size
    print(f"wheel: {size / 1e6:.2f} MB")
    assert size <= MOST_BYTES
