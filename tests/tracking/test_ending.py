"""What a job leaves in MLflow when it ends, also when the delivery of the end is cut anywhere."""

import errno
import json
import os
from pathlib import Path

import pytest

from mlaas_lab import tracking
from mlaas_lab.errors import TrackingError
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import write_json
from mlaas_lab.tracking import delivery as delivery_module
from mlaas_lab.tracking import ending
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect

BASE_BYTES = 3_000_000
PARTS = ["final metrics", "datasets", "records", "report", "adapter", "model"]


@pytest.fixture
def ended(job, log, tmp_path):
    """A fine-tune that ended well, with the base's weights lying about where they tempt."""
    folder = job("ended", base="tiny", rank=8)
    log(folder, 0, 20)
    adapter = folder.adapter
    (adapter / "checkpoint-10").mkdir(parents=True)
    (adapter / "adapter_model.safetensors").write_bytes(b"a" * 1000)
    (adapter / "adapter_config.json").write_text('{"r": 8, "lora_alpha": 16}')
    (adapter / "tokenizer.json").write_text("{}")
    base = tmp_path / "base.safetensors"
    base.write_bytes(os.urandom(BASE_BYTES))
    (adapter / "model.safetensors").symlink_to(base)
    (adapter / "model-00001-of-00002.safetensors").write_bytes(base.read_bytes())
    (adapter / "pytorch_model.bin").write_bytes(base.read_bytes())
    (adapter / "adapter_model_base.json").symlink_to(base)
    (adapter / "checkpoint-10" / "adapter_model.safetensors").write_bytes(b"c" * 1000)
    folder.records.write_bytes(b"PAR1")
    report = tmp_path / "report"
    report.mkdir()
    (report / "index.html").write_text("<p>")
    data = {"path": str(tmp_path / "d.jsonl"), "sha256": "ab" * 32, "rows": 10}
    write_json(
        folder.outcome,
        {
            "metrics": {"validation_loss": 0.25, "loss": 0.5, "unknown": None},
            "datasets": [{"name": "d", "context": "train", **data}, {"name": "d", "context": "validation", **data}],
            "artifacts": [str(report)],
            "adapter": {
                "name": "clinc",
                "path": str(adapter),
                "sha256": "cd" * 32,
                "base": "tiny@3f2a",
                "params": {"rank": None, "lr": 0.002},
            },
        },
    )
    return folder


def _models(settings, run_id):
    client = connect(settings)
    return client.search_logged_models([client.get_run(run_id).info.experiment_id], f"source_run_id = '{run_id}'")


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_everything_arrives(ended, local):
    done = Delivery(ended, local).finish(JobState.SUCCEEDED)
    assert (done.parked, done.finished) == ((), True)
    info = tracking.run_info(done.run_id, local)
    assert info.status == "FINISHED"
    assert info.metrics["validation_loss"] == 0.25
    assert info.metrics["loss"] == 0.5  # the final one, not the last of the curve
    assert [(one["name"], one["digest"], one["context"]) for one in info.datasets] == [
        ("d", "ab" * 8, "train"),
        ("d (validation)", "ab" * 8, "validation"),
    ]
    client = connect(local)
    assert {file.path for file in client.list_artifacts(done.run_id)} == {"adapter", "records.parquet", "report"}
    (model,) = _models(local, done.run_id)
    assert (model.name, str(model.status)) == ("clinc", "READY")
    assert model.params == {
        "rank": "8",
        "alpha": "16",
        "lr": "0.002",
        "base": "tiny@3f2a",
        "base_fingerprint": "3f2a",
        "sha256": "cd" * 32,
    }
    assert [one.model_id for one in client.get_run(done.run_id).outputs.model_outputs] == [model.model_id]


class TestBaseWeights:
    def test_are_never_sent(self, ended, local):
        Delivery(ended, local).finish(JobState.SUCCEEDED)
        root = local.data_dir / "mlartifacts"
        sent = {path.name for path in root.rglob("*") if path.is_file() and "adapter" in str(path.parent.name)}
        assert sent == {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"}
        assert _bytes_under(root) < 10_000

    def test_would_be_without_the_filter(self, ended, local, monkeypatch):
        monkeypatch.setattr(ending, "portable", lambda folder: [path for path in folder.rglob("*") if path.is_file()])
        Delivery(ended, local).finish(JobState.SUCCEEDED)
        assert _bytes_under(local.data_dir / "mlartifacts") > 2 * BASE_BYTES

    def test_nothing_is_left_beside_the_adapter(self, ended, local):
        before = sorted(ended.path.iterdir())
        Delivery(ended, local).finish(JobState.SUCCEEDED)
        assert {*ended.path.iterdir()} - {*before} == {ended.delivered, ended.path / ".delivery.lock"}


@pytest.mark.parametrize("cut", range(len(PARTS)))
def test_a_cut_after_any_part_leaves_each_once(ended, local, cut, monkeypatch, stored):
    """The part was sent, and the process died before it could note so."""
    real, calls = ending.parts, []

    def dying(folder, state):
        def wrap(part):
            def send(client, run_id):
                part.send(client, run_id)
                calls.append(part.name)
                if len(calls) == cut + 1:
                    raise KeyboardInterrupt

            return ending.Part(name=part.name, send=send)

        return [wrap(part) for part in real(folder, state)]

    monkeypatch.setattr(ending, "parts", dying)
    with pytest.raises(KeyboardInterrupt):
        Delivery(ended, local).finish(JobState.SUCCEEDED)
    done = Delivery(ended, local).finish(JobState.SUCCEEDED)
    assert len(calls) == len(PARTS) + 1
    found = stored(done.run_id, local)
    assert len(found) == len(set(found)) == 42
    assert len(_models(local, done.run_id)) == 1
    assert len(tracking.run_info(done.run_id, local).datasets) == 2


def test_the_time_of_the_end_must_be_noted_first(ended, local, monkeypatch, stored):
    """Sabotaged: a clock read at each try doubles the final metrics."""
    done = Delivery(ended, local).finish(JobState.SUCCEEDED)
    kept = tracking.delivered(ended)
    for at, rows in ((kept.ended_at, 42), (None, 44)):
        delivery_module.replace(kept, finished=False, done=(), ended_at=at, final_at=at).write(ended)
        Delivery(ended, local).finish(JobState.SUCCEEDED)
        assert len(stored(done.run_id, local)) == rows


def test_what_is_gone_is_parked(ended, local):
    write_json(ended.outcome, {"artifacts": ["/nowhere/plot.png"], "adapter": {"name": "a", "path": "/nowhere"}})
    done = Delivery(ended, local).finish(JobState.SUCCEEDED)
    assert [one.what for one in done.parked] == ["artifact /nowhere/plot.png", "adapter", "model"]
    assert done.finished


def test_a_failed_job_says_why(job, log, local):
    folder = job("failed")
    log(folder, 0, 2)
    write_json(folder.path / "error.json", {"name": "data_error", "message": "line 3: no messages"})
    info = tracking.run_info(Delivery(folder, local).finish(JobState.FAILED).run_id, local)
    assert (info.status, info.tags["mlaas.state"], info.tags["mlaas.error"]) == (
        "FAILED",
        "failed",
        "line 3: no messages",
    )


def test_a_second_attempt_goes_on_in_the_same_run(job, log, local, stored):
    folder = job("again")
    said = log(folder, 0, 5)
    first = Delivery(folder, local).finish(JobState.FAILED)
    job("again", attempt=2)
    written = json.loads(folder.job.read_text())
    write_json(folder.job, {**written, "adjusted": {"pass_size": 8, "why": "out of memory"}})
    said |= log(folder, 5, 9)
    delivery = Delivery(folder, local)
    delivery.start()
    assert tracking.run_info(first.run_id, local).status == "RUNNING"
    second = delivery.finish(JobState.SUCCEEDED)
    assert second.run_id == first.run_id
    assert set(stored(second.run_id, local)) == said
    tags = tracking.run_info(second.run_id, local).tags
    assert (tags["mlaas.attempt"], tags["mlaas.adjusted"]) == ("2", "pass_size: 8, why: out of memory")


def test_a_full_disk_is_named_and_loses_nothing(job, log, local, monkeypatch, stored):
    folder = job("full")
    said = log(folder, 0, 5)
    delivery = Delivery(folder, local)
    delivery.start()

    def full(*_words):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mlaas_lab.tracking.outbox.write_json", full)
    with pytest.raises(TrackingError, match=r"delivered\.json.*No space left"):
        delivery.drain()
    monkeypatch.undo()
    found = stored(delivery.finish(JobState.SUCCEEDED).run_id, local)
    assert (len(found), set(found)) == (10, said)


def test_two_deliverers_take_turns(job, log, local):
    folder = job("turns")
    log(folder, 0, 1)
    one, two = Delivery(folder, local), Delivery(folder, local)
    with one._turn(), pytest.raises(TrackingError, match="by another process"):
        two.start()
    assert two.drain().sent == 2


def test_params_and_versions(job, local):
    folder = job("params", base="tiny", rank=8, lr=None, map={"q": "prompt"})
    info = tracking.run_info(Delivery(folder, local).start(), local)
    assert info.params == {"base": "tiny", "rank": "8", "map.q": "prompt"}
    assert info.versions["mlflow"].startswith("3.")
    assert {"mlaas.job_id", "mlaas.task", "mlaas.spec_hash", "mlaas.state"} <= set(info.tags)
    assert info.url is None
