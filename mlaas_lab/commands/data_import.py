"""`data import TASK`: the questions of another tool's task as a dataset of ours, as that tool would ask them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mlaas_lab.commands import Command
from mlaas_lab.errors import DataError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Spec
from mlaas_lab.view import Shown, Table, View


class DataImport(Spec):
    """Write the questions of another tool's task as a dataset, each as that tool would ask it."""

    task: str = Arg()
    """Of Inspect AI, `FILE.py@name`, or of lm-evaluation-harness, `FILE.yaml`."""
    out: Path
    """New JSONL file."""
    python: str = ""
    """Interpreter that has the tool; by default what `inspect_python` or `lm_eval_python` says in the settings."""


@dataclass(frozen=True, kw_only=True)
class Imported(Shown):
    """What was written."""

    path: Path
    rows: int
    metric: str
    """Which scores answers as the task does."""

    def as_json(self) -> JSON:
        """`{path, rows, metric}`."""
        return {"path": str(self.path), "rows": self.rows, "metric": self.metric}

    def view(self) -> View:
        """The dataset, and how it is asked."""
        told = f"Ask it: mlaas eval --data {self.path} --metrics '{self.metric}' --targets A,B"
        table = Table(columns=["Dataset", "Rows"], rows=[(str(self.path), str(self.rows))])
        return View(title="Imported", table=table, notes=[told])


def _run(args: DataImport, lab: Lab) -> Imported:
    from mlaas_lab.evaluation.bridges import Died, Refused
    from mlaas_lab.evaluation.bridges.tools import by_task

    tool, (file, at, name) = by_task(args.task), args.task.partition("@")
    path = Path(file).expanduser().resolve()
    task = f"{path}{at}{name}"
    if not path.is_file():
        raise DataError(f"{path} does not exist; expected {tool.example}.")
    try:
        with tool.bridge(args.python or tool.python(lab.settings), task=task) as bridge:
            rows = bridge.ask("samples")
    except (Refused, Died, TimeoutError) as error:
        raise DataError(f"{args.task} cannot be used: {error}.") from None
    written = _written(args.out, [_row(row) for row in rows])
    return Imported(path=written, rows=len(rows), metric=f"{tool.metric}?task={task}")


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A question with what is hoped for as the assistant's turn."""
    turns = [*row["messages"], *([{"role": "assistant", "content": row["reference"]}] if row["reference"] else [])]
    return {"id": row["id"], "messages": turns}


def _written(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A new file of `rows`, one JSON object a line."""
    path = path.expanduser().resolve()
    try:
        with path.open("xb") as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.", next="Name a new file with --out.") from None
    return path


command = Command(
    args=DataImport,
    run=_run,
    examples=(
        "data import capitals.py@capitals --out capitals.jsonl",
        "data import quiz.yaml --out quiz.jsonl --python ~/venvs/lm-eval/bin/python",
    ),
)
