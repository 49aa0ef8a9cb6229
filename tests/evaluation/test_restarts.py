"""An evaluation that is killed at any instant: nothing that was recorded is sent again, and the table is the same."""

import random

import pytest
from loopback import Loopback
from polars.testing import assert_frame_equal
from restarts import IN_FLIGHT, Evaluation, dataset

BUFFERED = """
from mlaas_lab.records import journal

class Buffered(journal.Journal):
    held = []

    def add(self, line):
        self.held.append(line)
        if len(self.held) >= 256:
            self._file.write(b"".join(self.held))
            self._file.flush()
            self.held.clear()

from mlaas_lab.records import writer
writer.Journal = Buffered
"""
"""A journal that keeps rows in memory for a while."""
FORGETFUL = """
from mlaas_lab.evaluation import resuming
resuming.Left.rows = lambda self: iter(())
"""
"""Every attempt begins from nothing."""


@pytest.fixture
def control(tmp_path, settings):
    """The table of a run that nobody disturbed."""

    def control(data):
        with Loopback() as server:
            run = Evaluation(path=tmp_path / "control", settings=settings, server=server, data=data)
            result = run.finished()
        assert (result["asked"], result["kept"], result["cached"]) == (len(run.table()), 0, 0)
        return run.table()

    return control


def same(found, expected):
    """Tables of two servers: a target's name holds the port."""
    assert_frame_equal(found.drop("target"), expected.drop("target"))


def survives(evaluation, *, kills, samples, seed):
    """Kill it so often, spread over the whole run; the last attempt's result."""
    draw = random.Random(seed)
    each = 2 * samples / kills
    for _ in range(kills):
        evaluation.killed(after=draw.randrange(round(each)), pause_s=draw.random() * 0.03)
        assert evaluation.broken_promises() == []
    return evaluation.finished()


def checked(evaluation, result, expected, samples):
    assert evaluation.broken_promises() == []
    same(evaluation.table(), expected)
    assert (result["asked"] + result["kept"], result["cached"]) == (samples, 0)
    assert result["asked"] == len(evaluation.attempts[-1].sent)
    assert result["samples_per_s"] is None or result["samples_per_s"] == pytest.approx(
        result["asked"] / result["wall_s"]
    )
    sent = len(evaluation.server.requests)
    kills = len(evaluation.attempts) - 1
    print(
        f"{kills} kills, {samples} samples, {sent - samples} requests more than in an unbroken run, 0 of them recorded"
    )
    assert samples <= sent <= samples + IN_FLIGHT * kills


def test_ten_kills(tmp_path, settings, control):
    data = dataset(tmp_path / "rows.jsonl", 200)
    with Loopback(delay_s=0.01) as server:
        evaluation = Evaluation(path=tmp_path / "job", settings=settings, server=server, data=data)
        result = survives(evaluation, kills=10, samples=200, seed=1)
        checked(evaluation, result, control(data), 200)
        progress = [line for _, line in evaluation.folder.events_from() if line.get("phase") == "asking"]
        assert progress[-1]["n"] == progress[-1]["total"] == 200


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_kills(tmp_path, settings, control):
    data = dataset(tmp_path / "rows.jsonl", 2000)
    with Loopback(delay_s=0.01) as server:
        evaluation = Evaluation(path=tmp_path / "job", settings=settings, server=server, data=data)
        result = survives(evaluation, kills=200, samples=2000, seed=2)
        checked(evaluation, result, control(data), 2000)


@pytest.mark.parametrize(
    ("sabotage", "caught"),
    [(BUFFERED, "left .* samples to be sent again, with 8 in flight"), (FORGETFUL, "whose answers were recorded")],
    ids=["a journal that buffers", "a restart that forgets"],
)
def test_control_a_spoilt_build_is_caught(tmp_path, settings, sabotage, caught):
    data = dataset(tmp_path / "rows.jsonl", 100)
    with Loopback(delay_s=0.005) as server:
        evaluation = Evaluation(path=tmp_path / "job", settings=settings, server=server, data=data, sabotage=sabotage)
        evaluation.killed(after=60)
        evaluation.finished()
    with pytest.raises(AssertionError, match=caught):
        assert evaluation.broken_promises() == []
