"""`prune` shows what uses the disk and deletes what a rule allows; what anything still needs stays."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from mlaas_lab import disk, holds, registry
from mlaas_lab.cli import main
from mlaas_lab.commands import prune
from mlaas_lab.commands.prune import command
from mlaas_lab.errors import StoreError, TrackingError, UsageError
from mlaas_lab.models import CARD
from mlaas_lab.schema import Endpoint, Job, JobState
from mlaas_lab.spec import read
from mlaas_lab.store import ALIVE, Store
from mlaas_lab.store.beside import reviews_of
from mlaas_lab.store.folder import JobFolder, write_json
from mlaas_lab.tracking import Delivered

DAY_S = 86_400.0
OLD_D = 100.0
EVERYTHING = ("--what", "checkpoints,logs,cache,backups,jobs")


def run(lab, *words):
    return command.run(read(command.args, words), lab)


def ages(path, days):
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))


@pytest.fixture
def made(lab):
    """Makes a job with a folder that has all a job may have."""

    def make(job_id, name="support", state=JobState.SUCCEEDED, *, task="finetune", days=OLD_D, **more):
        folder = JobFolder(lab.settings.jobs_dir / job_id)
        folder.path.mkdir(parents=True)
        row = {
            "id": job_id,
            "task": task,
            "name": name,
            "spec": more.pop("spec", {}),
            "spec_hash": job_id,
            "attempt": 1,
        }
        at = time.time() - days * DAY_S
        lab.store.add(
            Job(**row, state=JobState.QUEUED, executor="process", folder=str(folder.path), created_at=at, **more),
            force=True,
        )
        if state is not JobState.QUEUED:
            lab.store.move(job_id, JobState.RUNNING, attempt=1, handle={"pid": os.getpid(), "host": "elsewhere"})
        if state not in (JobState.QUEUED, JobState.RUNNING):
            lab.store.move(job_id, state, attempt=1)
            with lab.store._db.write() as db:
                db.execute("update jobs set ended_at=? where id=?", (at, job_id))
        write_json(folder.job, row)
        folder.log.write_text("x" * 1000)
        (folder.checkpoints / "step-00000001").mkdir(parents=True)
        (folder.checkpoints / "step-00000001" / "state").write_bytes(b"c" * 5000)
        if task == "finetune":
            adapter(folder, lab.settings.cache_dir / "models" / "tiny-aaaa")
        folder.events.write_text("")
        Delivered(run_id=more.get("run_id"), attempt=1, finished=True).write(folder)
        return folder

    yield make
    for job in lab.store.jobs(states=ALIVE):
        lab.store.move(job.id, JobState.CANCELLED, attempt=job.attempt)


def adapter(folder, base):
    folder.adapter.mkdir()
    (folder.adapter / "adapter_model.safetensors").write_bytes(b"a" * 300)
    write_json(folder.adapter / "adapter_config.json", {"base_model_name_or_path": str(base)})
    write_json(folder.adapter / CARD, {"base": {"name": "tiny", "fingerprint": "aaaa", "source": str(base)}})


def tree(*roots):
    return {path: path.lstat().st_size for root in roots for path in sorted(Path(root).rglob("*"))}


def stays(shown):
    return {piece.path.name: why for piece, why in shown.plan.stays}


def test_shows_everything_by_kind_and_deletes_nothing(lab, made):
    made("j1")
    made("j2", state=JobState.FAILED)
    cache = lab.settings.cache_dir
    for inside in ("models/tiny-bbbb", "frames/ab.jsonl", "runs/r1/records.parquet", "completions-1.sqlite3"):
        (cache / inside).parent.mkdir(parents=True, exist_ok=True)
        (cache / inside).write_bytes(b"m" * 700)
        ages(cache / inside, OLD_D)
    ages(cache / "runs/r1", OLD_D)
    (lab.settings.data_dir / "store.sqlite3.v3.bak").write_bytes(b"b" * 900)
    (lab.settings.jobs_dir / "gone1").mkdir()
    (lab.settings.data_dir / "mlartifacts").mkdir()
    before = tree(lab.settings.data_dir, cache)
    shown = run(lab, *EVERYTHING)
    assert tree(lab.settings.data_dir, cache) == before
    found = {row["kind"]: row for row in shown.as_json()["kinds"]}
    assert (found["checkpoints"]["bytes"], found["checkpoints"]["freed_bytes"]) == (10_000, 10_000)
    assert found["adapters"]["n"] == 2
    assert found["cached models"]["freed_bytes"] == 700
    for kind in ("cached snapshots", "cached records", "cached completions"):
        assert found[kind]["freed_bytes"] == 700, kind
    assert found["store backups"]["bytes"] == 900
    assert {"store", "MLflow artifacts", "jobs whose row is gone"} <= found.keys()
    assert shown.as_json()["total_bytes"] == sum(size for path, size in before.items() if path.is_file())
    assert "`--yes` deletes it" in str(shown)
    assert "mlflow gc" in shown._repr_html_()


def test_checkpoints_go_when_nothing_goes_on_from_them(lab, made):
    done = made("done", days=0)
    fresh, failed = made("fresh", state=JobState.FAILED, days=1), made("failed", state=JobState.FAILED)
    alive = made("alive", state=JobState.RUNNING)
    shown = run(lab, "--yes")
    assert not done.checkpoints.exists()
    assert not failed.checkpoints.exists()
    assert fresh.checkpoints.exists(), "it may be resumed"
    assert alive.checkpoints.exists()
    assert stays(shown) == {"checkpoints": "its job is alive"}
    assert shown.freed_bytes == 10_000
    assert all(folder.log.exists() and folder.adapter.exists() for folder in (done, failed))
    assert run(lab, "--yes").freed_bytes == 0


@pytest.mark.parametrize("ends", [JobState.SUCCEEDED, JobState.CANCELLED])
def test_success_takes_the_checkpoints_with_it(lab, eventually, ends):
    spec = registry.load("task", "toy_long").spec(steps=10 if ends is JobState.SUCCEEDED else 10_000, pause_s=0.1)
    handle = lab.submit("toy_long", spec)
    (handle.folder.checkpoints / "step-00000001").mkdir(parents=True)
    eventually(lambda: handle.state is JobState.RUNNING, 30)
    if ends is JobState.CANCELLED:
        handle.cancel()
    assert handle.wait_end(60)
    if ends is JobState.SUCCEEDED:
        eventually(lambda: not handle.folder.checkpoints.exists(), 10)
    assert (handle.state, handle.folder.checkpoints.exists()) == (ends, ends is JobState.CANCELLED)


def test_job_that_goes_leaves_neither_folder_nor_row(lab, made):
    old, new = made("old"), made("new", days=90)
    before = disk.size(old.path)
    shown = run(lab, "--what", "jobs", "--yes")
    assert (old.path.exists(), new.path.exists()) == (False, True)
    assert shown.freed_bytes == before
    assert [job.id for job in lab.store.jobs()] == ["new"]
    assert lab.store.history("old") == []
    assert stays(shown) == {"new": "it is the adapter 'support'"}


def _served(lab, made):
    made("s1", name="server", task="serve", state=JobState.RUNNING, spec={"models": ["support"]})


def _announced(lab, made):
    made("s1", name="server", task="serve", state=JobState.RUNNING)
    place = {"base_url": "http://127.0.0.1:1", "model": "m", "engine": "e", "ready": True}
    lab.store.announce(Endpoint(name="e", job_id="s1", source="support", **place), attempt=1)


def _by_path(lab, made):
    path = str(JobFolder(lab.settings.jobs_dir / "old").adapter)
    made("s1", name="server", task="serve", state=JobState.QUEUED, spec={"models": [path]})


def _undelivered(lab, made):
    folder = JobFolder(lab.settings.jobs_dir / "old")
    folder.events.write_text('{"at": 1.0, "event": "metrics", "step": 1, "values": {"loss": 1.0}}\n')


def _reviewed(lab, made):
    path = reviews_of(JobFolder(lab.settings.jobs_dir / "old").records) / "review-1.jsonl"
    path.parent.mkdir()
    path.write_text("{}\n")


def _newest(lab, made):
    with lab.store._db.write() as db:
        db.execute("update jobs set name='other' where id='old'")


HELD = {
    "newest of its name": (_newest, "it is the adapter 'other'"),
    "served": (_served, "in use by a job that is alive"),
    "served under another name": (_announced, "in use by a job that is alive"),
    "served by its path": (_by_path, "in use by a job that is alive"),
    "not in MLflow yet": (_undelivered, "1 metric or result waits for MLflow; `sync` first"),
    "reviewed": (_reviewed, "people reviewed or signed it"),
}


@pytest.mark.parametrize("protected", [True, False], ids=["", "control"])
@pytest.mark.parametrize("why", HELD)
def test_what_is_needed_stays(lab, made, monkeypatch, why, protected):
    old = made("old")
    made("new", days=90)
    hold, said = HELD[why]
    hold(lab, made)
    if not protected:
        monkeypatch.setattr(prune, "holds", lambda *_words, **_more: {})
    shown = run(lab, "--what", "jobs", "--yes")
    assert old.adapter.exists() is protected
    assert not protected or said in stays(shown)["old"]


def test_registered_adapter_stays_and_all_do_when_mlflow_cannot_be_asked(lab, made, monkeypatch):
    made("old1", run_id="r1")
    made("old2", run_id="r2")
    made("new", days=90)

    def away(_settings):
        raise TrackingError("MLflow is away.")

    monkeypatch.setattr(holds.tracking, "registered", away)
    shown = run(lab, "--what", "jobs")
    assert stays(shown)["old1"] == "MLflow cannot say whether it is registered: MLflow is away."
    assert shown.freed_bytes == 0
    monkeypatch.setattr(holds.tracking, "registered", lambda _settings: frozenset({"r1"}))
    shown = run(lab, "--what", "jobs", "--yes")
    assert stays(shown)["old1"] == "it is registered in MLflow"
    assert sorted(job.id for job in lab.store.jobs()) == ["new", "old1"]


@pytest.mark.parametrize("protected", [True, False], ids=["", "control"])
def test_base_of_an_adapter_stays(lab, made, monkeypatch, protected):
    made("j1")
    models = lab.settings.cache_dir / "models"
    for name in ("tiny-aaaa", "tiny-bbbb"):
        (models / name).mkdir(parents=True)
        ages(models / name, OLD_D)
    if not protected:
        monkeypatch.setattr(holds, "_bases", lambda *_words: {})
    run(lab, "--what", "cache", "--yes")
    assert (models / "tiny-aaaa").exists() is protected
    assert not (models / "tiny-bbbb").exists()


def test_adapter_that_does_not_say_its_base_holds_all(lab, made):
    folder = made("j1")
    (folder.adapter / CARD).write_text('{"base": ')
    model = lab.settings.cache_dir / "models" / "tiny-bbbb"
    model.mkdir(parents=True)
    ages(model, OLD_D)
    shown = run(lab, "--what", "cache", "--yes")
    assert stays(shown) == {"tiny-bbbb": "the adapter of job j1 does not say what it stands on"}
    assert model.exists()


def test_what_vanishes_while_it_is_looked_at_counts_nothing(tmp_path):
    assert disk.size(tmp_path / "gone") == 0


def test_cache_that_a_job_may_come_back_to_stays(lab, made):
    frame, other = (lab.settings.cache_dir / "frames" / name for name in ("a.jsonl", "b.jsonl"))
    frame.parent.mkdir(parents=True)
    for path in (frame, other):
        path.write_text("{}")
        ages(path, OLD_D)
    made("j1", state=JobState.FAILED, spec={"data": str(frame)})
    shown = run(lab, "--what", "cache", "--yes")
    assert (frame.exists(), other.exists()) == (True, False)
    assert stays(shown) == {"a.jsonl": "job j1 is not done with it"}


def test_newest_are_kept_per_task_and_young_ones_too(lab, made):
    for n in range(4):
        made(f"f{n}", days=100 - n)
        made(f"e{n}", name="e", task="eval", days=100 - n)
    made("young", name="e", task="eval", days=1)
    run(lab, "--what", "jobs", "--keep", "2", "--older-than", "8w", "--yes")
    assert sorted(job.id for job in lab.store.jobs()) == ["e3", "f2", "f3", "young"]


@pytest.mark.parametrize("protected", [True, False], ids=["", "control"])
def test_links_are_neither_followed_nor_removed(lab, made, tmp_path, monkeypatch, protected):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("p")
    goes, folder = made("goes", name="a", days=110), made("j1", name="a")
    (goes.path / "linked").symlink_to(outside)
    shutil.rmtree(folder.checkpoints)
    links = [folder.checkpoints, lab.settings.cache_dir / "models" / "linked", lab.settings.jobs_dir / "linked"]
    for link in links:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside)
    elsewhere = made("moved", name="b")
    with lab.store._db.write() as db:
        db.execute("update jobs set folder=? where id='moved'", (str(outside),))
    if not protected:
        monkeypatch.setattr(Path, "is_symlink", lambda self: False)
        monkeypatch.setattr(disk, "_inside", lambda path, settings: True)
        monkeypatch.setattr(shutil, "rmtree", _followed)
    run(lab, *EVERYTHING, "--older-than", "0d", "--yes")
    assert (outside / "precious").exists() is protected
    assert not goes.path.exists()
    if protected:
        assert all(link.is_symlink() for link in links)
        assert elsewhere.path.exists(), "its row says it is elsewhere"


def _followed(folder):
    """What a careless remover does."""
    for path in Path(folder).iterdir():
        if path.is_dir():
            _followed(path)
        else:
            path.unlink()


def test_folder_of_a_job_that_is_being_submitted_stays(lab):
    fresh, gone = lab.settings.jobs_dir / "fresh", lab.settings.jobs_dir / "gone"
    for folder in (fresh, gone):
        folder.mkdir(parents=True)
        (folder / "job.json").write_text("{}")
    ages(gone, OLD_D)
    lab.store.jobs()
    run(lab, "--what", "jobs", "--older-than", "0h", "--yes")
    assert (fresh.exists(), gone.exists()) == (True, False)


def test_crash_while_deleting_is_finished_by_the_next(lab, made, monkeypatch):
    old = made("old")
    made("new", days=90)

    def crash(_path):
        raise KeyboardInterrupt

    with monkeypatch.context() as here:
        here.setattr(shutil, "rmtree", crash)
        with pytest.raises(KeyboardInterrupt):
            run(lab, "--what", "jobs", "--yes")
    assert not old.path.exists()
    assert [job.id for job in lab.store.jobs()] == ["new"], "no row without its folder"
    run(lab, "--what", "jobs", "--yes")
    assert [path.name for path in lab.settings.jobs_dir.iterdir()] == ["new"]


def test_job_that_was_resumed_meanwhile_stays(lab, made):
    folder = made("j1", state=JobState.FAILED)
    jobs = lab.store.jobs()
    pieces = disk.survey(lab.settings, jobs)
    lab.store.requeue("j1", attempt=1, why="resumed", by_hand=True)
    assert [disk.remove(piece, lab.settings, lab.store) for piece in pieces if piece.job] == [False] * 4
    assert folder.checkpoints.exists()
    assert folder.job.exists()


def test_what_cannot_be_deleted_is_named_and_fails(lab, made, monkeypatch):
    made("j1")

    def full(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", full)
    shown = run(lab, "--yes")
    assert shown.exit_code == 1
    assert "cannot be deleted" in str(shown)
    assert shown.freed_bytes == 0


def test_store_forgets_only_what_has_ended(lab, made, settings):
    made("done")
    made("alive", state=JobState.RUNNING)
    assert lab.store.forget("alive", attempt=1) is False
    assert lab.store.forget("done", attempt=2) is False
    assert lab.store.forget("done", attempt=1) is True
    with pytest.raises(StoreError):
        lab.store.forget("done", attempt=1)
    other = Store(settings.store_path)
    assert [job.id for job in other.jobs()] == ["alive"]
    other.close()


def test_in_the_shell(home, capsys):
    assert main(["prune", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["ok"], shown["deleted"], shown["freed_bytes"], shown["goes"]) == (True, False, 0, [])
    assert main(["prune", "--what", "adapters"]) == 2
    assert main(["prune", "--older-than", "soon"]) == 2


@pytest.mark.parametrize("age", ["1y", "soon", "d", "-1d", ""])
def test_unknown_age(lab, age):
    with pytest.raises(UsageError, match="Write 12h, 30d or 8w"):
        run(lab, f"--older-than={age}")
