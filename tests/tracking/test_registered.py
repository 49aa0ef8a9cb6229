"""An adapter that somebody registered in MLflow's model registry is known by the run it came from."""

from mlaas_lab import tracking
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import write_json
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect


def test_registered_run_is_found_by_its_run_and_by_its_model(job, local, monkeypatch):
    # MLflow's registry asks the global one.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", local.mlflow_uri)
    runs = []
    for name in ("by-run", "by-model", "not"):
        folder = job(name)
        folder.adapter.mkdir()
        (folder.adapter / "adapter_model.safetensors").write_bytes(b"a")
        write_json(folder.outcome, {"adapter": {"name": name, "path": str(folder.adapter)}})
        runs.append(Delivery(folder, local).finish(JobState.SUCCEEDED).run_id)
    assert tracking.registered(local) == frozenset()
    client = connect(local)
    client.create_registered_model("support")
    client.create_model_version("support", f"runs:/{runs[0]}/adapter", run_id=runs[0])
    (model,) = client.search_logged_models(["1"], f"source_run_id = '{runs[1]}'")
    version = client.create_model_version("support", f"models:/{model.model_id}", model_id=model.model_id)
    client.set_registered_model_alias("support", "best", version.version)
    assert tracking.registered(local) == {runs[0], runs[1]}
