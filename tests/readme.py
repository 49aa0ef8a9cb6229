"""Fills the README's tables from the code: commands, columns of the records.

python tests/readme.py
"""

import re
import sys
from pathlib import Path

from mlaas_lab import records
from mlaas_lab.commands import _dispatch, _help

PATH = Path(__file__).parents[1] / "README.md"


def commands() -> str:
    """One row a command."""
    rows = [f"| `{name}` | {_help.summary(name)} |" for name in _dispatch.names() if not name.startswith("toy")]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def columns() -> str:
    """One row a column."""
    rows = [f"| `{name}` | {dtype} | {meaning} |" for name, (dtype, meaning) in records.COLUMNS.items()]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])


def filled(text: str) -> str:
    """`text` with what stands between the marks made anew."""
    for name, made in (("commands", commands()), ("records", columns())):
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m, made=made: m[1] + made + "\n" + m[2],
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    PATH.write_text(filled(PATH.read_text()))
    sys.stdout.write(f"{PATH}\n")
