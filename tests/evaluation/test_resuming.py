"""What a further attempt reads back: answers and lasting failures stay, the rest is asked again, and no half row is."""

import json
import subprocess
import sys
import threading
from dataclasses import replace

import polars as pl
import pytest
from loopback import Loopback, broken, failing, hang
from polars.testing import assert_frame_equal
from restarts import TIMING, dataset

from mlaas_lab import records
from mlaas_lab.context import Stopped
from mlaas_lab.evaluation.plan import prepare
from mlaas_lab.evaluation.resuming import LASTING, Left, digest
from mlaas_lab.evaluation.run import answers, run
from mlaas_lab.records import journal as journal_module
from mlaas_lab.records import writer as writer_module
from mlaas_lab.store.folder import JobFolder


def target(server):
    return f"openai/m?base_url={server.base_url}"


def prompts(server, first=0):
    return [seen.body["messages"][-1]["content"] for seen in server.requests[first:]]


def test_errors_that_may_pass_are_asked_again_and_lasting_ones_stay(tmp_path, context, again, spec):
    data = dataset(tmp_path / "rows.jsonl", 20)
    faults = [broken(), failing(400), failing(404), broken(), failing(400, code="content_filter")]
    with Loopback(faults=faults) as server:
        wanted = spec(data=data, targets=(target(server),), retries=0, concurrency=1)
        first = run(wanted, context).result
        assert (first["asked"], first["kept"]) == (20, 0)
        passing = [prompts(server)[n] for n in (0, 2, 3)]
        second = run(wanted, again()).result
    assert sorted(prompts(server, 20)) == sorted(passing)
    assert (second["asked"], second["kept"], second["cached"]) == (3, 17, 0)
    assert second["errors"] == {"content_filtered": 1, "invalid_request": 1}
    assert second["samples_per_s"] == pytest.approx(3 / second["wall_s"])


def test_a_job_that_was_stopped_goes_on_from_its_table(tmp_path, context, again, spec):
    data = dataset(tmp_path / "rows.jsonl", 30)
    with Loopback(faults=[None] * 10 + [hang()] * 20) as server:
        wanted = spec(data=data, targets=(target(server),), concurrency=2)
        threading.Timer(0.5, lambda: setattr(context, "stopping", True)).start()
        with pytest.raises(Stopped):
            run(wanted, context)
        stopped = records.read(context.folder.records)
        answered = stopped.filter(stopped["error"].is_null())
        assert (len(answered), len(stopped)) == (10, 30)
        server.faults.clear()
        sent = len(server.requests)
        found = run(wanted, again()).result
    assert (found["asked"], found["kept"]) == (20, 10)
    frame = records.read(context.folder.records)
    assert_frame_equal(frame.join(answered.select("sample_id"), on="sample_id", how="semi"), answered)
    assert set(prompts(server, sent)).isdisjoint({json.loads(m)[-1]["content"] for m in answered["messages"]})
    assert (len(frame), frame["error"].null_count()) == (30, 30)


def test_nothing_left_to_ask(tmp_path, context, again, spec):
    wanted = spec(data=dataset(tmp_path / "rows.jsonl", 5), targets=("echo/a",))
    run(wanted, context)
    before = records.read(context.folder.records)
    found = run(wanted, again())
    assert (found.result["asked"], found.result["kept"], found.result["samples_per_s"]) == (0, 5, None)
    assert_frame_equal(records.read(context.folder.records), before)


def test_progress_begins_at_what_is_there(tmp_path, context, again, spec):
    data = dataset(tmp_path / "rows.jsonl", 20)
    with Loopback(faults=[broken()] * 5) as server:
        wanted = spec(data=data, targets=(target(server),), retries=0)
        run(wanted, context)
        lines = len(list(context.folder.events_from()))
        run(wanted, again())
    shown = [line for _, line in list(context.folder.events_from())[lines:] if line.get("phase") == "asking"]
    assert (shown[0]["n"], shown[-1]["n"], shown[-1]["total"]) == (15, 20, 20)


@pytest.mark.parametrize(
    "changes",
    [
        {"metrics": ("exact_match",)},
        {"repeats": 2},
        {"max_tokens": 9},
        {"temperature": 0.5},
        {"system": "Be brief."},
        {"limit": 7},
        {"stream": True},
        {"targets": ("echo/a", "echo/b")},
    ],
    ids=str,
)
def test_another_plan_starts_anew(tmp_path, context, again, spec, capsys, changes):
    data = dataset(tmp_path / "rows.jsonl", 10)
    run(spec(data=data, targets=("echo/a",)), context)
    found = run(spec(**{"data": data, "targets": ("echo/a",), **changes}), again()).result
    assert found["kept"] == 0
    assert found["asked"] == len(records.read(context.folder.records))
    assert "starting anew" in capsys.readouterr().out


def test_data_that_changed_starts_anew(tmp_path, context, again, spec):
    data = dataset(tmp_path / "rows.jsonl", 10)
    wanted = spec(data=data, targets=("echo/a",))
    run(wanted, context)
    data.write_text(data.read_text().replace('"other"', '"another"'))
    assert run(wanted, again()).result["kept"] == 0


def test_weights_that_changed_are_another_plan(tmp_path, context, spec):
    plan = prepare(spec(data=dataset(tmp_path / "rows.jsonl", 3), targets=("echo/a",)), context.settings)
    assert digest(plan) == digest(replace(plan, seed=5)), "the order of questions changes no answer"
    assert digest(replace(plan, contents={"echo/a": "v1"})) != digest(replace(plan, contents={"echo/a": "v2"}))


def test_a_table_that_cannot_be_read_starts_anew(tmp_path, context, again, spec, capsys):
    wanted = spec(data=dataset(tmp_path / "rows.jsonl", 5), targets=("echo/a",))
    run(wanted, context)
    context.folder.records.write_bytes(b"PAR1 torn")
    assert run(wanted, again()).result["asked"] == 5
    assert "Starting anew" in capsys.readouterr().out


def test_errors_are_told_apart():
    assert {"content_filtered", "invalid_request"} == LASTING


class TestPowerFailure:
    """A journal cut at every byte of its last rows, as it is or with zeros behind, where a disk had not written yet."""

    @pytest.fixture
    def left(self, tmp_path, context, again, spec, monkeypatch):
        """The plan, the journal an attempt would have left, and its next attempt."""
        plan = prepare(spec(data=dataset(tmp_path / "rows.jsonl", 5), targets=("echo/a",)), context.settings)
        monkeypatch.setattr(writer_module.Writer, "close", lambda self, frame=None: self._journal.close())
        answers(plan, context)
        monkeypatch.undo()
        path = context.folder.records.with_suffix(".jsonl")
        return plan, path, path.read_bytes(), again()

    def lines(self, data):
        return [line for line in data.split(b"\n") if line]

    @pytest.mark.parametrize("tail", [b"", b"\0" * 400], ids=["cut", "zeros"])
    def test_every_byte(self, left, tail):
        plan, path, whole, context = left
        *_, before_last, last = self.lines(whole)
        every = [json.loads(line) for line in self.lines(whole)]
        for cut in range(len(whole) - len(before_last) - len(last) - 2, len(whole) + 1):
            path.write_bytes(whole[:cut] + tail)
            kept = Left(plan, context)
            found = list(kept.rows())
            assert found == every[: len(found)], "whole rows, each once, none made up"
            assert len(kept.done) == len(found) >= whole[:cut].count(b"\n")

    def test_the_table_is_the_same(self, left):
        assert self.broken(left) == []

    def test_control_appending_to_a_torn_line_is_caught(self, left, monkeypatch):
        def append(self, path, first=()):
            self.path = path
            list(first)
            self._file = path.open("ab")
            self._new, self._failed = False, None
            self._over = journal_module.threading.Event()
            self._syncing = journal_module.threading.Thread(target=self._sync, daemon=True)
            self._syncing.start()

        monkeypatch.setattr(journal_module.Journal, "__init__", append)
        assert self.broken(left)

    def broken(self, left):
        """Cuts after which the next attempt does not end with the table of an unbroken run."""
        plan, path, whole, context = left
        path.write_bytes(whole)
        expected = answers(plan, context).records.drop(TIMING)
        found = []
        start = len(whole) - len(self.lines(whole)[-1]) - 2
        for cut in (*range(start, len(whole), 61), len(whole) - 2, len(whole) - 1):
            path.write_bytes(whole[:cut])
            try:
                table = answers(plan, context).records.drop(TIMING)
            except pl.exceptions.PolarsError:
                found.append(cut)
                continue
            if not table.equals(expected):
                found.append(cut)
        return found


SWEEP = """
import os, signal, sys
from mlaas_lab import context, registry
from mlaas_lab.evaluation import run

for kind, name in (("task", "eval"), ("provider", "echo"), ("metric", "exact_match"), ("metric", "token_f1")):
    registry.load(kind, name)

CHANGES = ("open", "os.rename", "os.remove", "os.mkdir")

def attempt(folder, number, fatal):
    pid = os.fork()
    if not pid:
        job = open(folder + "/job.json").read()
        open(folder + "/job.json", "w").write(job.replace('"attempt": 0', f'"attempt": {number}'))
        seen = 0
        def watch(event, args):
            nonlocal seen
            if event in CHANGES and str(args[0]).startswith(folder):
                seen += 1
                whole = fatal == "asked" and event == "os.rename" and str(args[1]).endswith("records.parquet")
                if seen == fatal or whole:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(watch)
        os._exit(context.main(folder))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    job = open(folder + "/job.json").read()
    open(folder + "/job.json", "w").write(job.replace(f'"attempt": {number}', '"attempt": 0'))
    return code

killed_once = sys.argv[1] == "restart"
for n, folder in enumerate(sys.argv[2:], 1):
    if killed_once:
        assert attempt(folder, 1, "asked") == -signal.SIGKILL
    code = attempt(folder, 1 + killed_once, n)
    if code:
        assert attempt(folder, 2 + killed_once, None) == 0
    print(n, code, flush=True)
    if code == 0:
        break
"""
"""Imports once and forks for each attempt; prints how the n-th one ended."""


@pytest.mark.parametrize("which", ["first", "restart"])
def test_a_kill_before_every_change_of_the_folder(tmp_path, settings, spec, which):
    """The n-th open, rename or removal, n = 1, 2, … until an attempt gets through: the next attempt ends the same."""
    wanted = spec(data=dataset(tmp_path / "rows.jsonl", 20), targets=("echo/a",)).model_dump(mode="json")
    kept = {"id": "j", "task": "eval", "name": "rows", "spec": wanted, "attempt": 0}
    folders = [JobFolder(tmp_path / f"job{n}") for n in range(1, 60)]
    for folder in folders:
        folder.path.mkdir()
        folder.job.write_text(json.dumps({**kept, "settings": settings.model_dump(mode="json")}))
    words = [sys.executable, "-c", SWEEP, which, *(str(folder.path) for folder in folders)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.count(" ") == 1]
    assert codes == [*[-9] * (len(codes) - 1), 0]
    assert len(codes) >= 10, "points at which it was killed"
    tables = [records.read(folder.records).drop(TIMING) for folder in folders[: len(codes)]]
    assert len(tables[-1]) == 20
    assert all(table.equals(tables[-1]) for table in tables)
    results = [json.loads(folder.outcome.read_text())["result"] for folder in folders[: len(codes)]]
    if which == "restart":
        assert {result["asked"] for result in results} == {0}, "all was answered before the first kill"
    assert {result["asked"] + result["kept"] for result in results} == {20}
