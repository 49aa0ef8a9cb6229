"""Refusals for too many requests, by provider and region, from what really went over the wire."""

from dataclasses import replace

import pytest
from made_records import frame_of, record

from mlaas_lab import panels
from mlaas_lab.panels import rate_limits
from mlaas_lab.schema import Attempt
from mlaas_lab.view import to_text


def call(i, provider, region, *errors, emulated=False):
    made = record(f"{provider}/m", i, "a", "a")
    attempts = tuple(Attempt(started_at=i, ended_at=i + 1, status=429 if e else 200, error=e) for e in errors)
    done = replace(made.completion, attempts=attempts)
    return replace(made, completion=done, provider=provider, region=region, emulated=emulated)


@pytest.fixture
def frame(tmp_path):
    rows = [
        call(0, "v", "eu-1", "rate_limited", "rate_limited", None),
        call(1, "v", "eu-1", None),
        call(2, "v", "us-1", None),
        call(3, "w", None, "overloaded", None),
    ]
    return frame_of(tmp_path / "records.parquet", rows)


def test_every_request_counts_once(frame):
    assert list(rate_limits.panel.build(frame).table.rows) == [
        ("v", "eu-1", 4, 2, 0.5),
        ("v", "us-1", 1, 0, 0.0),
        ("w", "–", 2, 0, 0.0),
    ]


def test_where_nobody_was_refused_there_is_nothing_to_say(tmp_path):
    assert rate_limits.panel.build(frame_of(tmp_path / "r.parquet", [call(0, "v", "eu-1", None)])) is None


def test_every_panel_says_that_an_emulator_answered(tmp_path, frame):
    emulated = frame_of(
        tmp_path / "r.parquet", [call(i, "v", "eu-1", "rate_limited", None, emulated=True) for i in range(9)]
    )
    views = panels.draw(emulated)
    assert len(views) > 3
    for view in views:
        assert "Emulated: v/m was answered on this machine" in to_text(view)
    # The control: of a vendor's own answers nobody says so.
    assert not any("Emulated" in to_text(view) for view in panels.draw(frame))
