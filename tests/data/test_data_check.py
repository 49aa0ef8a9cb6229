"""The command: what it prints, when it fails, what it writes."""

import json
from pathlib import Path

import pytest

from mlaas_lab.commands.data_check import command
from mlaas_lab.data import load, sha256
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.spec import read

ROWS = [{"question": f"What is thing number {n}?", "intent": f"i{n % 4}"} for n in range(40)]
MAP = ["--map", "question=user,intent=assistant"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def run(*words: object) -> dict[str, object]:
    shown = command.run(read(command.args, [str(word) for word in words]), Lab())
    return {**shown.as_json(), "exit_code": shown.exit_code}


def test_it_prints_what_the_design_says(rows: Path) -> None:
    found = run(rows, *MAP)
    assert (found["rows"], found["errors"], found["exit_code"]) == (40, [], 0)
    assert found["sha256"] == sha256(rows)
    assert found["tokens"] is None, "nothing is built for a check"
    assert "mlaas tiny" in str(found["tokens_unknown"])


def test_out_writes_a_stratified_snapshot(rows: Path, tmp_path: Path) -> None:
    found = run(rows, *MAP, "--out", tmp_path / "snap", "--test", "0.25", "--seed", "3", "--by", "reference")
    assert found["snapshot"]["rows"] == {"train": 30, "test": 10}  # type: ignore[index]
    assert found["snapshot"]["sha256"] == sha256(tmp_path / "snap")  # type: ignore[index]
    manifest = json.loads((tmp_path / "snap" / "manifest.json").read_text())
    assert manifest["split"] == {"by": "reference", "seed": 3, "test": 0.25}
    assert manifest["source"]["sha256"] == sha256(rows)
    assert len({chat.answer for chat in load(tmp_path / "snap" / "test")}) == 4
    assert run(tmp_path / "snap")["exit_code"] == 0


def test_bad_rows_are_printed_and_nothing_is_written(rows: Path, tmp_path: Path) -> None:
    rows.write_text(rows.read_text() + "{\n")
    found = run(rows, *MAP, "--out", tmp_path / "snap")
    assert found["exit_code"] == 1
    assert [error["line"] for error in found["errors"]] == [41]  # type: ignore[attr-defined]
    assert found["snapshot"] is None
    assert not (tmp_path / "snap").exists()


def test_tokens_under_a_base_that_is_here(rows: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    base = tmp_path / "base"
    base.mkdir()
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(base / "tokenizer.json"))
    (base / "config.json").write_text("{}")
    (base / "model.safetensors").write_bytes(b"")
    (base / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }} {% endfor %}")
    found = run(rows, *MAP, "--base", base, "--max-length", 5)
    assert found["tokens"]["p50"] == 6  # type: ignore[index]
    assert found["truncated"]["count"] == 40  # type: ignore[index]
    (base / "chat_template.jinja").unlink()
    assert "no chat template" in str(run(rows, *MAP, "--base", base)["tokens_unknown"])


def test_wrong_words(rows: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown model 'tynny'\. .*tiny"):
        run(rows, *MAP, "--base", "tynny")
    with pytest.raises(UsageError, match="--test"):
        run(rows, *MAP, "--test", "1.5")
    with pytest.raises(UsageError, match="no field 'usr'"):
        run(rows, "--map", "question=usr")
    with pytest.raises(DataError, match=r"Did you mean 'rows\.jsonl'"):
        run(rows.with_name("row.jsonl"))
