"""A snapshot appears whole, is never overwritten, and an edit is noticed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mlaas_lab.data import load, sha256, snapshot, split
from mlaas_lab.data import snapshots as module
from mlaas_lab.data.splits import Split
from mlaas_lab.errors import DataError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"Grüße {n}\u2028", "completion": f"a{n}", "group": "g", "contexts": ["c"]} for n in range(10)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


@pytest.fixture
def parts(source: Path) -> Split:
    return split(load(source), test=0.3, seed=1)


def test_what_was_split_is_read_back(source: Path, parts: Split, tmp_path: Path) -> None:
    made = snapshot(parts, tmp_path / "a" / "snap", source=source)
    assert load(made.path) == list(parts.train)
    assert load(made.path / "test") == load(made.path / "test.jsonl") == list(parts.test)
    assert (made.train_rows, made.test_rows) == (7, 3)
    assert sorted(path.name for path in made.path.iterdir()) == ["manifest.json", "test.jsonl", "train.jsonl"]


def test_the_hash_names_the_content(source: Path, parts: Split, tmp_path: Path) -> None:
    one, two = (snapshot(parts, tmp_path / name, source=source) for name in ("one", "two"))
    assert one.sha256 == two.sha256 == sha256(one.path)
    other = snapshot(split(load(source), test=0.3, seed=2), tmp_path / "other", source=source)
    assert other.sha256 != one.sha256
    assert sha256(one.path / "test") == sha256(one.path / "test.jsonl") != sha256(one.path)


def test_it_is_immutable(source: Path, parts: Split, tmp_path: Path) -> None:
    made = snapshot(parts, tmp_path / "snap", source=source)
    assert snapshot(parts, tmp_path / "snap", source=source) == made, "the same again is found"
    assert {path.stat().st_mode & 0o777 for path in made.path.iterdir()} == {0o444}
    with pytest.raises(DataError, match="never overwritten"):
        snapshot(replace(parts, seed=9), tmp_path / "snap", source=source)


def test_an_edit_is_noticed(source: Path, parts: Split, tmp_path: Path) -> None:
    made = snapshot(parts, tmp_path / "snap", source=source)
    train = made.path / "train.jsonl"
    train.chmod(0o644)
    train.write_text(train.read_text().replace("a0", "a9").replace("a1", "a8").replace("a2", "a7"))
    for action in (load, sha256):
        with pytest.raises(DataError, match=r"train\.jsonl was edited"):
            action(made.path)
    assert load(made.path / "test") == list(parts.test), "the other part is intact"


def test_a_part_that_is_not_there(source: Path, parts: Split, tmp_path: Path) -> None:
    made = snapshot(parts, tmp_path / "snap", source=source)
    with pytest.raises(DataError, match=r"no part 'tst\.jsonl'. Did you mean 'test\.jsonl'"):
        load(made.path / "tst")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "mlaas-snapshot-1"}', '{"format": 1, "files": {}}', "[" * 10_000]
)
def test_a_manifest_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="no manifest of a snapshot"):
        load(tmp_path)


def test_a_manifest_cannot_name_files_outside(source: Path, parts: Split, tmp_path: Path) -> None:
    made = snapshot(parts, tmp_path / "snap", source=source)
    with pytest.raises(DataError):
        load(made.path / ".." / "nothing")


@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_a_full_disk_leaves_nothing(
    fails: str, source: Path, parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os if fails == "fsync" else Path, fails, full)
    folder = tmp_path / "place"
    with pytest.raises(DataError, match="No space left"):
        snapshot(parts, folder / "snap", source=source)
    assert list(folder.iterdir()) == []
