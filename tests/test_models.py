"""Models by name."""

import json
import os
import pickle
import shutil
import time
from pathlib import Path

import pytest
from made_jobs import made

from mlaas_lab import models
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.models import CARD, Model, locate, materialize
from mlaas_lab.schema import JobState
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder


def quiet(n: int, total: int | None, phase: str) -> None:
    """A progress bar that shows nothing."""


def a_base(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def an_adapter(folder: Path, base: str, trained: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(b"update")
    if trained:
        (folder / CARD).write_text(json.dumps({"base": trained}))
    return folder


def a_finetune(settings: Settings, name: str, base: Path, *, at: float, state: JobState = JobState.SUCCEEDED) -> Path:
    """A fine-tune in the store, with its adapter."""
    job_id = f"{name}-{at:.0f}"
    folder = JobFolder(settings.jobs_dir / job_id)
    an_adapter(folder.adapter, str(base))
    settings.store_path.parent.mkdir(parents=True, exist_ok=True)
    store = Store(settings.store_path)
    store.add(made(job_id, task="finetune", name=name, folder=str(folder.path), created_at=at))
    for one in (JobState.RUNNING, state):
        store.move(job_id, one, attempt=1)
    store.close()
    return folder.adapter


def test_tiny_is_known_before_it_is_built(settings):
    model = locate("tiny", settings)
    assert isinstance(model.path, Path)
    assert not model.path.exists()
    assert model.path.name == f"tiny-{model.fingerprint}"
    assert len(model.fingerprint) == 16
    assert locate(f"tiny@{model.fingerprint[:6]}", settings).path == model.path
    assert locate(str(a_base(model.path)), settings).fingerprint == model.fingerprint


def test_tiny_of_another_recipe_is_found_if_it_is_here(settings):
    with pytest.raises(UsageError, match="another recipe"):
        locate("tiny@abcd", settings)
    other = a_base(models.tiny_path(settings, "abcd000000000000"))
    assert locate("tiny@abcd", settings) == Model(name="tiny@abcd", path=other, fingerprint="abcd000000000000")


def test_materialize_builds_tiny_and_nothing_else(settings, tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr(
        models.registry, "resolve", lambda address: lambda path, progress: built.append((address, path))
    )
    tiny = Model(name="tiny", path=models.tiny_path(settings, "ab"), fingerprint="ab")
    assert materialize(tiny, quiet) == tiny.path
    assert built == [("mlaas_lab.training.tiny:build", tiny.path)]
    base = locate(str(a_base(tmp_path / "base")), settings)
    assert materialize(base, quiet) == base.path
    assert len(built) == 1


def test_fingerprint_is_of_the_content(settings, tmp_path):
    first = locate(str(a_base(tmp_path / "a")), settings).fingerprint
    assert locate(str(a_base(tmp_path / "b")), settings).fingerprint == first
    assert locate(str(a_base(tmp_path / "c", b"others")), settings).fingerprint != first
    (tmp_path / "a" / "README.md").write_text("a note changes nothing")
    assert locate(str(tmp_path / "a"), settings).fingerprint == first
    (tmp_path / "a" / "tokenizer.json").write_text("{}")
    assert locate(str(tmp_path / "a"), settings).fingerprint != first


def test_fingerprint_is_read_once_and_again_after_a_change(settings, tmp_path, monkeypatch):
    base = a_base(tmp_path / "a")
    first = locate(str(base), settings).fingerprint
    read = []
    blocks = models._blocks
    monkeypatch.setattr(models, "_blocks", lambda file: read.append(file) or blocks(file))
    assert locate(str(base), settings).fingerprint == first
    assert not read
    (base / "model.safetensors").write_bytes(b"WEIGHTS")
    os.utime(base / "model.safetensors", ns=(1, time.time_ns() + 10**9))
    assert locate(str(base), settings).fingerprint != first
    assert read


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_pickled_weights_are_refused(settings, tmp_path, name):
    base = a_base(tmp_path / "a")
    (base / "model.safetensors").unlink()
    (base / name).write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match="pickle that runs code"):
        locate(str(base), settings)


def test_a_pickled_adapter_is_refused(settings, tmp_path):
    adapter = an_adapter(tmp_path / "a", str(a_base(tmp_path / "base")))
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(DataError, match=r"adapter_model\.bin"):
        locate(str(adapter), settings)


@pytest.mark.parametrize("lacks", ["config.json", "model.safetensors"])
def test_a_folder_that_is_no_model_is_one_line(settings, tmp_path, lacks):
    (a_base(tmp_path / "a") / lacks).unlink()
    with pytest.raises(DataError):
        locate(str(tmp_path / "a"), settings)


def test_adapter_knows_its_base(settings, tmp_path):
    base = a_base(tmp_path / "base")
    model = locate(str(an_adapter(tmp_path / "a", str(base))), settings)
    assert model.base is not None
    assert model.base.path == base
    other = locate(str(an_adapter(tmp_path / "b", str(a_base(tmp_path / "other", b"x")))), settings)
    assert other.fingerprint != model.fingerprint


def test_adapter_of_another_base_is_one_line(settings, tmp_path):
    base = a_base(tmp_path / "base")
    trained = {"name": "mine", "source": str(base), "fingerprint": locate(str(base), settings).fingerprint}
    adapter = an_adapter(tmp_path / "a", str(base), trained)
    assert locate(str(adapter), settings).base is not None
    (base / "model.safetensors").write_bytes(b"changed since")
    with pytest.raises(DataError, match=r"was trained on .*and that is"):
        locate(str(adapter), settings)


def test_adapter_of_tiny_finds_it_though_the_cache_was_cleared(settings, tmp_path):
    now = locate("tiny", settings)
    trained = {"name": "tiny", "source": "/gone/tiny", "fingerprint": now.fingerprint}
    model = locate(str(an_adapter(tmp_path / "a", "/gone/tiny", trained)), settings)
    assert model.base is not None
    assert model.base.path == now.path
    old = {**trained, "fingerprint": "0123456789abcdef"}
    with pytest.raises(UsageError, match="another recipe"):
        locate(str(an_adapter(tmp_path / "b", "/gone/tiny", old)), settings)


def test_adapter_without_a_base_is_one_line(settings, tmp_path):
    with pytest.raises(DataError, match="does not say which base"):
        locate(str(an_adapter(tmp_path / "a", "")), settings)


def test_an_adapters_name_is_its_newest_success(settings, tmp_path):
    base = a_base(tmp_path / "base")
    a_finetune(settings, "mine", base, at=1)
    newest = a_finetune(settings, "mine", base, at=2)
    a_finetune(settings, "mine", base, at=3, state=JobState.FAILED)
    model = locate("mine", settings)
    assert model.path == newest
    assert model.base is not None
    with pytest.raises(UsageError, match="Did you mean 'mine'"):
        locate("minee", settings)


def test_an_adapter_whose_folder_is_gone_is_unknown(settings, tmp_path):
    shutil.rmtree(a_finetune(settings, "mine", a_base(tmp_path / "base"), at=1))
    with pytest.raises(UsageError, match="unknown model 'mine'"):
        locate("mine", settings)


@pytest.mark.parametrize("name", ["org/model", "org/model-7B.v1", "org/model@v1.0", "org/model@refs/pr/3"])
def test_hub_ids_are_known_without_a_network(settings, name):
    model = locate(name, settings)
    assert model.path == name.partition("@")[0]
    assert model.revision == (name.partition("@")[2] or None)
    assert locate(name, settings).fingerprint == model.fingerprint
    assert locate("org/other", settings).fingerprint != model.fingerprint


def test_offline_a_hub_id_must_be_here(settings):
    with pytest.raises(UsageError, match="offline"):
        locate("org/model", settings.model_copy(update={"offline": True}))


def test_offline_a_hub_id_that_is_here_is_its_folder(settings, tmp_path, monkeypatch):
    base = a_base(tmp_path / "snapshot")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_, **__: str(base / "config.json"))
    assert locate("org/model", settings.model_copy(update={"offline": True})).path == base


def test_a_hub_id_is_fetched_without_pickles(settings, tmp_path, monkeypatch):
    asked = {}

    def fetch(repository: str, **options: object) -> str:
        asked.update(repository=repository, **options)
        return str(a_base(tmp_path / "snapshot"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert materialize(locate("org/model@v2", settings), quiet) == tmp_path / "snapshot"
    assert (asked["repository"], asked["revision"]) == ("org/model", "v2")
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in asked["allow_patterns"])


def test_a_hub_that_does_not_answer_is_one_line(settings, monkeypatch):
    def fail(*_: object, **__: object) -> str:
        raise OSError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(DataError, match="cannot be fetched from the hub: no route to host") as caught:
        materialize(locate("org/model", settings), quiet)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tny", "Did you mean 'tiny'?"),
        ("gpt2", "A hub id has a slash"),
        ("./absent", "there is no such folder"),
        ("/absent/model/deep", "there is no such folder"),
        ("", "Known: tiny"),
    ],
)
def test_unknown_names_get_a_hint(settings, name, hint):
    with pytest.raises(UsageError) as caught:
        locate(name, settings)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_is_no_model(settings, tmp_path):
    (tmp_path / "model.gguf").touch()
    with pytest.raises(UsageError, match="is a file"):
        locate(str(tmp_path / "model.gguf"), settings)
