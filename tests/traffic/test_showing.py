"""The line of a load that runs: it names no percentile that its answers cannot bound."""

import pytest

from mlaas_lab.traffic.plan import Step
from mlaas_lab.traffic.showing import Showing


class Heard:
    """A context and a budget that keep what they are told."""

    def progress(self, *_, phase="", **_more):
        self.phase = phase
        return {}


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (0, "too few answers for a percentile"),
        (5, "too few answers for a percentile"),
        (6, "p50 so far 1 s"),
        (71, "p50 so far 1 s"),
        (72, "p95 so far 1 s"),
        (367, "p95 so far 1 s"),
        (368, "p99 so far 1 s"),
    ],
)
def test_as_many_answers_as_a_percentile_needs(answers, said):
    heard = Heard()
    showing = Showing(context=heard, budget=heard, step=Step(duration_s=9.0, rate=4.0), total=None)
    showing._latencies.extend([1.0] * answers)
    showing.show()
    assert heard.phase.replace("\u00a0", " ") == f"4/s · 0 failed · {said}"
