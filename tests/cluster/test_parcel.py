"""What travels to a cluster is all that the entry reads, by the words the user wrote."""

import io
import zipfile

import pytest

from mlaas_lab import data
from mlaas_lab.cluster.parcel import JOB, carried, pack
from mlaas_lab.commands.data_check import DataCheck, command
from mlaas_lab.errors import DataError


@pytest.fixture
def snapshot(lab, tmp_path):
    rows = "".join(f'{{"prompt": "what is {n} ?", "completion": "{n}"}}\n' for n in range(40))
    (tmp_path / "rows.jsonl").write_text(rows)
    command.run(DataCheck(file=tmp_path / "rows.jsonl", out=tmp_path / "snap", test=0.25), lab)
    return tmp_path / "snap"


def unpacked(job, folder):
    files = carried(job)
    parcel = pack(job, files)
    with zipfile.ZipFile(io.BytesIO(parcel.content)) as archive:
        archive.extractall(folder)
    return {source: folder / name for source, name in files.items()}


@pytest.mark.parametrize("part", ["", "test", "test.jsonl", "train"])
def test_a_snapshot_and_each_of_its_parts_arrive(snapshot, tmp_path, part):
    named = snapshot / part if part else snapshot
    job = {"id": "a", "task": "eval", "attempt": 1, "spec": {"data": str(named), "targets": ["echo/x"]}}
    places = unpacked(job, tmp_path / "there")
    there = places[str(named)]
    assert data.resolve(there).read_bytes() == data.resolve(named).read_bytes()
    assert (tmp_path / "there" / JOB).exists()


def test_what_went_away_is_named(snapshot):
    job = {
        "id": "a",
        "task": "eval",
        "attempt": 1,
        "spec": {"data": str(snapshot.parent / "gone" / "x"), "targets": ["echo/x"]},
    }
    with pytest.raises(DataError, match="gone"):
        pack(job, carried(job))
