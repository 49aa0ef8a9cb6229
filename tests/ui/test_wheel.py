"""The wheel that users get: small, with the sidebar in it once, and no Node needed."""

import json
from zipfile import ZipFile

import pytest
from built_wheel import wheel

pytestmark = pytest.mark.browser
PLACE = "share/jupyter/labextensions/mlaas_lab/"
MOST_BYTES = 3_000_000


def test_the_sidebar_is_in_it_once_and_it_is_small(tmp_path):
    made = wheel(tmp_path)
    names = ZipFile(made).namelist()
    manifests = [name for name in names if name.endswith("labextensions/mlaas_lab/package.json")]
    assert len(manifests) == 1
    built = json.loads(ZipFile(made).read(manifests[0]))
    remote = f"{PLACE}{built['jupyterlab']['_build']['load']}"
    assert [name for name in names if name.endswith(remote)], "what it says is loaded is there"
    assert not [name for name in names if name.startswith("mlaas_lab/labextension/")], (
        "not a second time in the package"
    )
    assert [name for name in names if name.endswith("jupyter_server_config.d/mlaas_lab.json")]
    size = made.stat().st_size
    print(f"wheel: {size / 1e6:.2f} MB")
    assert size <= MOST_BYTES
