"""Lines come home once and in order, whatever dies: every cut of the output, every crash while it is written down."""

import json
from pathlib import Path

import pytest

from mlaas_lab.cluster import lines
from mlaas_lab.cluster.lines import Arrivals, Departures, last_steps, lines_file, turn_file
from mlaas_lab.store.folder import JobFolder

TOKEN = "t0ken"


def event(n: int) -> bytes:
    return json.dumps({"event": "metrics", "step": n, "values": {"loss": 1 / (n + 1)}}).encode() + b"\n"


def output(n: int) -> bytes:
    """A log of `n` events between other lines, one of which is cut by an event."""
    parts = [b"Ray says hello\n"]
    for at in range(n):
        parts += [f"note {at} \N{LATIN SMALL LETTER U WITH DIAERESIS}".encode(), lines.mark(TOKEN)]
        parts += [str(at).encode(), b" ", event(at), b"and on\n"]
    return b"".join(parts)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


def came(folder: JobFolder) -> list[int]:
    return [line["step"] for _, line in folder.events_from() if line["event"] == "metrics"]


def test_output_is_taken_apart_at_every_cut(tmp_path):
    whole = output(2)
    for cut in range(len(whole) + 1):
        folder = JobFolder(tmp_path / str(cut))
        folder.path.mkdir()
        arrivals = Arrivals(folder, attempt=1, token=TOKEN)
        taken = arrivals.take(whole[:cut])
        # A new supervisor goes on where this one was.
        Arrivals(folder, attempt=1, token=TOKEN).take(whole[taken:])
        assert came(folder) == [0, 1]
        assert folder.log.read_bytes().count(b"note") == 2
        assert TOKEN.encode() not in folder.log.read_bytes()


@pytest.mark.parametrize("kept", [True, False])
def test_a_crash_while_lines_are_written_doubles_none(folder, monkeypatch, kept):
    """The sabotaged twin forgets how long our files were."""
    arrivals = Arrivals(folder, attempt=1, token=TOKEN)
    arrivals.take(output(2))
    written = lines.write_json

    def crash(path, value):
        if "before" not in value:
            raise KeyboardInterrupt
        written(path, value if kept else {key: value[key] for key in ("read", "events")})

    monkeypatch.setattr(lines, "write_json", crash)
    with pytest.raises(KeyboardInterrupt):
        arrivals.take(output(4)[len(output(2)) :])
    monkeypatch.undo()
    again = Arrivals(folder, attempt=1, token=TOKEN)
    again.take(output(4)[again.read :])
    assert (came(folder) == [0, 1, 2, 3]) is kept


def test_what_the_output_did_not_bring_is_in_the_storage(folder):
    arrivals = Arrivals(folder, attempt=1, token=TOKEN)
    arrivals.take(output(2))
    lines_file(folder.path, 1).write_bytes(b"".join(event(n) for n in range(5)) + b'{"event": "met')
    arrivals.complete(lines_file(folder.path, 1))
    assert came(folder) == [0, 1, 2, 3, 4]
    arrivals.complete(lines_file(folder.path, 1))
    assert came(folder) == [0, 1, 2, 3, 4]
    assert last_steps(folder) == {"loss": 4}


@pytest.mark.parametrize("token", ["0lder", ""])
def test_nobody_else_passes_for_an_event(folder, token):
    """An older attempt, or a model that says what an event looks like."""
    Arrivals(folder, attempt=2, token=TOKEN).take(output(3).replace(TOKEN.encode(), token.encode()))
    assert not folder.events.exists()
    assert b"loss" in folder.log.read_bytes()


def test_a_line_without_an_end_does_not_fill_the_memory(folder):
    arrivals = Arrivals(folder, attempt=1, token=TOKEN)
    assert arrivals.take(b"x" * 100) == 0
    assert arrivals.take(b"x" * (lines.LONGEST_BYTES + 1)) == lines.LONGEST_BYTES + 1


def test_departures_are_marked_and_numbered(tmp_path, folder):
    file = tmp_path / "lines"
    departures = Departures(file, TOKEN)
    assert list(departures) == []
    file.write_bytes(event(0) + event(1) + event(2)[:10])
    first = b"".join(departures)
    file.write_bytes(event(0) + event(1) + event(2))
    Arrivals(folder, attempt=1, token=TOKEN).take(first + b"between\n" + b"".join(departures))
    assert came(folder) == [0, 1, 2]
    assert turn_file(tmp_path).name == "turn.json"
