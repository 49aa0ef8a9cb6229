"""The outbox gives whole lines, once, and stops at nothing."""

import json
import math

from mlaas_lab.store.folder import write_json
from mlaas_lab.tracking.outbox import Delivered, Parked, batches, forget, undelivered


def _line(step, **values):
    return json.dumps({"at": 1.5, "event": "metrics", "step": step, "values": values}) + "\n"


def test_half_a_line_waits_for_its_end(job):
    folder = job()
    whole, half = _line(0, loss=1.0), _line(1, loss=2.0)
    folder.events.write_text(whole + half[:-10])
    (batch,) = batches(folder, 0)
    assert ([point.step for point in batch.points], batch.end) == ([0], len(whole))
    folder.events.write_text(whole + half)
    (rest,) = batches(folder, batch.end)
    assert [point.step for point in rest.points] == [1]


def test_a_line_cut_by_a_power_failure_is_named_and_passed_over(job):
    folder = job()
    folder.events.write_bytes(b'{"at": 1.0, "event": "met\x00\x00{"at"\n5\n' + _line(2, loss=2.0).encode())
    (batch,) = batches(folder, 0)
    assert [point.step for point in batch.points] == [2]
    assert [one.what for one in batch.bad] == ["line", "line"]


def test_values_that_are_no_number(job):
    folder = job()
    folder.events.write_text(_line(3, loss=math.nan, norm=-math.inf, huge=10**400, none=None, word="high", yes=True))
    (batch,) = batches(folder, 0)
    assert {point.key: point.finite for point in batch.points} == {"loss": False, "norm": False, "huge": False}
    assert all(math.isnan(point.value) for point in batch.points)
    assert [one.what for one in batch.bad] == ["word", "yes"]


def test_batches_hold_whole_lines(job, log):
    folder = job()
    log(folder, 0, 100)
    found = list(batches(folder, 0, size=30))
    assert sum(len(batch.points) for batch in found) == 200
    assert max(len(batch.points) for batch in found) == 30
    assert found[-1].end == folder.events.stat().st_size


def test_undelivered_counts_metrics_and_the_end(job, log):
    folder = job()
    assert undelivered(folder) == 0
    log(folder, 0, 10)
    assert undelivered(folder) == 20
    write_json(folder.outcome, {"metrics": {}})
    assert undelivered(folder) == 21
    Delivered(offset=folder.events.stat().st_size, finished=True).write(folder)
    assert undelivered(folder) == 0


def test_counting_stops_where_nobody_reads_on(job, log):
    folder = job()
    log(folder, 0, 3000)
    assert undelivered(folder) == 6000
    assert undelivered(folder, most=1500) == 2000, "whole requests"


def test_damaged_note_is_none(job, log):
    folder = job()
    log(folder, 0, 10)
    for damage in ("", "{", "[1]", '{"offset": 3, "what": 1}', '{"parked": [{"a": 1}]}'):
        folder.delivered.write_text(damage)
        assert Delivered.read(folder) == Delivered()
        assert undelivered(folder) == 20


def test_what_is_written_is_read(job):
    folder = job()
    state = Delivered(run_id="r", offset=7, parked=(Parked(what="a", reason="b", offset=3),), not_finite={"loss": 4})
    state.write(folder)
    assert Delivered.read(folder) == state


def test_forget_keeps_only_the_times_of_the_end(job):
    folder = job()
    Delivered(run_id="r", offset=7, ended_at=3.0, final_at=2.0, finished=True).write(folder)
    forget(folder)
    assert Delivered.read(folder) == Delivered(ended_at=3.0, final_at=2.0)
