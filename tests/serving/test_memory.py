"""Memory that a server needs is forecast before anything is loaded, the model as it was trained beside it too."""

import psutil
import pytest

from mlaas_lab.context import Context
from mlaas_lab.errors import JobError
from mlaas_lab.serving import Weights, Wishes, _run
from mlaas_lab.serving._memory import REFERENCE_BYTES, reference_bytes, weight_bytes
from mlaas_lab.serving.transformers import OWN_BYTES, engine
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.serve import Serve


@pytest.fixture
def context(tmp_path, settings):
    folder = tmp_path / "job"
    folder.mkdir()
    return Context(JobFolder(folder), settings, job_id="j1", name="serve")


def free(monkeypatch, n_bytes):
    monkeypatch.setattr(psutil, "virtual_memory", type("Memory", (), {"available": n_bytes}))


def test_a_base_counts_once_however_many_adapters(toys):
    models = [
        Weights(name="base", source="base", base=toys / "base"),
        Weights(name="lora", source="lora", base=toys / "base", adapter=toys / "lora"),
    ]
    both = weight_bytes([toys / "base"], "auto") + weight_bytes([toys / "lora"], "auto")
    assert reference_bytes(models, "auto") == both + REFERENCE_BYTES
    assert reference_bytes(models, "bfloat16") - REFERENCE_BYTES == pytest.approx(both / 2, rel=0.2)
    assert reference_bytes([], "auto") == 0


def test_a_comparison_that_does_not_fit_is_said_before_anything_starts(toys, context, monkeypatch):
    free(monkeypatch, OWN_BYTES + REFERENCE_BYTES // 2)
    spec = Serve(models=(str(toys / "base"), str(toys / "lora")), engine="transformers", device="cpu")
    with pytest.raises(JobError, match=r"0\.5 of them are for the comparison with what was trained") as refused:
        _run.serve(spec, context)
    assert "--no-parity needs no comparison." in str(refused.value)
    assert not list(context.folder.path.rglob("reference.txt")), "no process was begun"


def test_without_a_comparison_the_same_memory_is_enough(toys, tmp_path, monkeypatch):
    free(monkeypatch, OWN_BYTES + REFERENCE_BYTES // 2)
    models = [Weights(name="lora", source="lora", base=toys / "base", adapter=toys / "lora")]
    wishes = Wishes(port=1, threads=1, device="cpu", batch=True)
    engine.launch(models, wishes, tmp_path / "server")
    free(monkeypatch, OWN_BYTES // 2)
    with pytest.raises(JobError, match=r"to serve lora about 0\.5 GiB of memory are needed, and 0\.2 are free\. Stop"):
        engine.launch(models, wishes, tmp_path / "other")
