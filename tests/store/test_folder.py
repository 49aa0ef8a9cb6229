"""A job's folder: half-written lines and files are never read."""

import json

import pytest

from mlaas_lab.store.folder import JobFolder, read_json, write_json


def test_half_a_line_waits_for_its_end(tmp_path):
    folder = JobFolder(tmp_path)
    folder.events.write_bytes(b'{"event":"a"}\n{"event":"b"')
    seen = list(folder.events_from())
    assert [line["event"] for _, line in seen] == ["a"]
    with folder.events.open("ab") as file:
        file.write(b"}\n")
    assert [line["event"] for _, line in folder.events_from(seen[-1][0])] == ["b"]


def test_tail_is_bounded(tmp_path):
    folder = JobFolder(tmp_path)
    folder.log.write_text("x" * 10_000_000 + "\nlast\n")
    tail = folder.tail(5)
    assert tail[-1] == "last"
    assert sum(map(len, tail)) < 70_000


def test_write_json_leaves_old_or_new(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    assert read_json(path) is None
    write_json(path, {"n": 1})

    def fails(*_args, **_options):
        raise OSError("disk full")

    monkeypatch.setattr(json, "dump", fails)
    with pytest.raises(OSError, match="disk full"):
        write_json(path, {"n": 2})
    assert read_json(path) == {"n": 1}
