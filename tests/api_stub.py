"""Writes `mlaas_lab/api.pyi`: the commands as typed functions, from the same Specs as everything else.

python tests/api_stub.py
"""

import sys
import typing
from pathlib import Path

import mlaas_lab
from mlaas_lab.commands import _dispatch
from mlaas_lab.spec import Option, options
from mlaas_lab.tasks.eval import MARGIN

PATH = Path(mlaas_lab.__file__).parent / "api.pyi"
HEAD = '''"""Made by `python tests/api_stub.py`; do not edit."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

'''


def text() -> str:
    """The whole file."""
    functions, imports = [], {"from mlaas_lab.job import JobHandle"}
    for name in _dispatch.names():
        if name.startswith("toy"):
            continue
        command = _dispatch.command(name)
        result = typing.get_type_hints(command.run).get("return", typing.Any)
        if result in (typing.Any, None):
            shown = "JobHandle"
        else:
            shown = result.__name__
            imports.add(f"from {result.__module__} import {shown}")
        functions.append(function(name.replace(" ", "_"), options(command.args), shown))
    functions.append("def scorer(name: str) -> Any: ...\n")
    return HEAD + "\n".join(sorted(imports)) + "\n\n" + "\n".join(functions)


def function(name: str, every: tuple[Option, ...], result: str) -> str:
    """One command as a function; positional fields may be given by place."""
    loose = [parameter(option) for option in every if option.positional]
    named = [parameter(option) for option in every if not option.positional]
    inside = [*loose, *(["*"] if named else []), *named]
    lines = "".join(f"    {one},\n" for one in inside)
    return f"def {name}(\n{lines}) -> {result}: ...\n" if inside else f"def {name}() -> {result}: ...\n"


def parameter(option: Option) -> str:
    """A name with the widest type that is understood."""
    kinds = {"flag": "bool", "list": "str | Sequence[str]", "map": "str | Mapping[str, str]"}
    texts = {"N": "int", "X": "float", "PATH": "str | PathLike[str]", MARGIN: "float | str | Mapping[str, float]"}
    kind = kinds.get(option.kind) or texts.get(option.metavar, "str")
    if option.refers == "data":
        kind = "Any"
    if option.refers == "job":
        kind = "str | JobHandle"
    if option.required:
        return f"{option.name}: {kind}"
    return f"{option.name}: {kind}{' | None' if option.default is None and kind != 'Any' else ''} = ..."


if __name__ == "__main__":
    PATH.write_text(text())
    sys.stdout.write(f"{PATH}\n")
