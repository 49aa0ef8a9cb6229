"""`data check FILE`: a dataset looked over before anything is paid for; `--out` freezes a split of it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from mlaas_lab import data, registry
from mlaas_lab.commands import Command
from mlaas_lab.commands._counting import counting
from mlaas_lab.lab import Lab
from mlaas_lab.spec import Arg, DataFile, ModelName, Spec


class DataCheck(Spec):
    """Check a dataset: bad rows, lengths, repeats, leakage, personal data; write a split of it."""

    file: DataFile = Arg()
    """Chat JSONL, prompt and completion, Alpaca, CSV, Parquet, or a snapshot."""
    map: dict[str, str] = Field(default_factory=dict)
    """Columns by name: `question=user,answer=assistant`; also system, id, group, contexts."""
    base: ModelName = "tiny"
    """Whose tokenizer counts the tokens."""
    max_length: int | None = Field(None, ge=1)
    """Tokens of a chat that training keeps; by default what `finetune` uses."""
    against: DataFile | None = None
    """Another file, whose questions should not be asked in this one."""
    out: Path | None = None
    """New folder for a snapshot: train and test part, read-only, with SHA-256."""
    test: float = Field(0.2, gt=0, lt=1)
    """Share of the rows in the test part."""
    seed: int = 0
    """Another seed, another split."""
    by: Literal["group", "reference"] | None = None
    """Keep the shares of each group, or of each reference answer, alike in both parts."""


def _run(args: DataCheck, lab: Lab) -> data.Report:
    count, unknown = counting(args.base, lab)
    report = data.check(
        args.file,
        mapping=args.map,
        count_tokens=count,
        max_length=args.max_length or _trained_length(),
        against=args.against,
    )
    report = replace(report, base=args.base, tokens_unknown=unknown, wanted=args.out)
    return _frozen(report, args) if args.out and report.ok else report


def _trained_length() -> int | None:
    default: object = registry.load("task", "finetune").spec.model_fields["max_length"].default
    return default if isinstance(default, int) else None


def _frozen(report: data.Report, args: DataCheck) -> data.Report:
    chats = data.load(args.file, mapping=args.map)
    split = data.split(chats, test=args.test, seed=args.seed, by=args.by)
    mapping: Mapping[str, str] = args.map
    made = data.snapshot(split, args.out or Path(), source=args.file, mapping=dict(mapping))
    return replace(report, snapshot=made)


command = Command(
    args=DataCheck,
    run=_run,
    examples=(
        "data check rows.jsonl",
        "data check faq.csv --map question=user,answer=assistant --against test.jsonl",
        "data check rows.jsonl --out rows-v1 --test 0.2 --seed 0 --by group",
    ),
)
