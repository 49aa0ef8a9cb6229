# requires: ibm-watsonx-ai==1.8.1
"""Text generation, held against the same types as the chat."""

import runpy
from pathlib import Path

runpy.run_path(str(Path(__file__).with_name("watsonx.py")))
