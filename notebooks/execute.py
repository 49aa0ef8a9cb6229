"""Runs a notebook top to bottom in a fresh kernel, tells the story in the terminal, keeps the executed copy.

python notebooks/execute.py notebooks/01_quickstart.ipynb --to build
"""

import argparse
import sys
import time
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_LIMIT_S = 600


class Telling(NotebookClient):
    """A client that shows in the terminal how far a cell is."""

    def process_message(self, msg: dict[str, Any], cell: nbformat.NotebookNode, cell_index: int) -> Any:
        """Draw the line with the progress over the one before."""
        if msg["msg_type"] == "update_display_data" and sys.stdout.isatty():
            lines = msg["content"]["data"].get("text/plain", "").splitlines()
            moving = next((line for line in lines if "█" in line or "░" in line), "")
            print(f"\r\x1b[K    {moving[: get_terminal_size().columns - 5]}", end="\r", flush=True)
        return super().process_message(msg, cell, cell_index)


def execute(source: Path, target: Path) -> nbformat.NotebookNode:
    """Run `source`, write what it became to `target`, and print every cell's words and text output.

    Raises:
        CellExecutionError: if a cell fails; what ran until then is written all the same.
    """
    notebook = nbformat.read(source, as_version=4)
    client = Telling(
        notebook,
        timeout=CELL_LIMIT_S,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(source.parent)}},
    )
    started = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with client.setup_kernel():
            for index, cell in enumerate(notebook.cells):
                tell(cell)
                if cell.cell_type == "code":
                    client.execute_cell(cell, index)
                    for output in cell.outputs:
                        show(output)
    finally:
        nbformat.write(notebook, target)
    print(f"\nAll of it took {time.monotonic() - started:.0f} s.")
    return notebook


def tell(cell: nbformat.NotebookNode) -> None:
    """A cell as one reads it before it runs."""
    if cell.cell_type == "markdown":
        print(f"\n{cell.source}\n", flush=True)
    else:
        print("\n".join(f"  > {line}" for line in cell.source.splitlines()), flush=True)


def show(output: nbformat.NotebookNode) -> None:
    """An output as text."""
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    if output.output_type == "error":
        text = "\n".join(output.traceback)
    if text.strip():
        print("\n".join(f"    {line}" for line in text.rstrip().splitlines()), flush=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--to", type=Path, default=Path("build"), help="folder for the executed copy")
    args = parser.parse_args()
    target = (args.to / args.notebook.name).resolve()
    try:
        execute(args.notebook.resolve(), target)
    except CellExecutionError as error:
        print(f"\n{error.ename}: {error.evalue}\nWhat ran until then: {target}", file=sys.stderr)
        return 1
    print(f"Executed notebook: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
