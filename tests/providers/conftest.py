"""Asking emulators through the real client."""

import pytest

from mlaas_lab.inference import Client, Limits, on_loop, resolve
from mlaas_lab.schema import Message

ASK = (Message(role="system", content="Be brief."), Message(role="user", content="Grüße an die 世界 🙂 heute"))
PATIENT = Limits(timeout_s=10, retries=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between attempts last milliseconds, unless the vendor asks for more."""
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def ask(settings):
    """One call to a target."""

    def ask(target, *, limits=PATIENT, messages=ASK, params=None, **more):
        route = resolve(target, settings)

        async def one():
            async with Client(limits, keep_exchanges=True) as client:
                return await client.complete(route, messages, params, **more)

        return on_loop(one())

    return ask


_MATRIX: dict[str, dict[str, bool]] = {}
"""Way → what was tried → whether it went as it must."""
COLUMNS = {
    "plain": ("answer_and_bill", "plain"),
    "stream": ("answer_and_bill", "stream"),
    "pieces": ("in_small_pieces", ""),
    "429": ("goes_wrong", "rate_limited"),
    "5xx": ("goes_wrong", "overloaded"),
    "cut": ("goes_wrong", "cut"),
    "drop": ("goes_wrong", "drop"),
    "html": ("goes_wrong", "garbage"),
    "filter": ("filtered", ""),
    "wrong key": ("wrong_key", ""),
    "retry": ("tried_again", ""),
}
"""Column of the printed table → words of the tests behind it."""


def pytest_runtest_logreport(report):
    """Keep how each cell of the matrix went."""
    way = dict(report.user_properties).get("way")
    if way is None or (report.when != "call" and report.passed):
        return
    rest = report.nodeid.replace(way, "", 1)
    for column, (test, word) in COLUMNS.items():
        if test in rest and word in rest:
            row = _MATRIX.setdefault(way, {})
            row[column] = row.get(column, True) and report.passed


def pytest_terminal_summary(terminalreporter):
    """Print the matrix: one row a way in."""
    if not _MATRIX:
        return
    terminalreporter.section("providers × what may happen")
    width = max(map(len, _MATRIX))
    terminalreporter.line(f"{'':{width}}  {'  '.join(COLUMNS)}")
    for way, row in sorted(_MATRIX.items()):
        marks = ("–" if column not in row else "✓" if row[column] else "✗" for column in COLUMNS)
        cells = (f"{mark:<{len(column)}}" for mark, column in zip(marks, COLUMNS, strict=True))
        terminalreporter.line(f"{way:{width}}  {'  '.join(cells)}")
