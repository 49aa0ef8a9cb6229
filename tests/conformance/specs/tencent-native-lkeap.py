# requires: tccli==3.1.189.1
"""The knowledge engine's chat: the version in a request says which description it must pass."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("tencent-native.py")), run_name="__main__")
