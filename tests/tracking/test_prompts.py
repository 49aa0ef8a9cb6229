"""Prompts of judges and variants in MLflow's registry: a version where the words are new, and a link to the run."""

import json

from made_evaluation import fill
from mlflow_loopback import refusal

from mlaas_lab import tracking
from mlaas_lab.schema import JobState
from mlaas_lab.tracking.delivery import Delivery
from mlaas_lab.tracking.server import connect


def evaluated(job, name, **texts):
    folder = fill(job(name))
    folder.prompts.write_text(json.dumps(texts))
    return folder


def test_a_version_for_new_words_only(job, remote):
    settings = remote.model_copy(update={"traces": 0})
    texts = {"faithfulness?judge=a/b": "Say {{answer}}.", "variant": "Be brief."}
    for name, more in (("p1", {}), ("p2", {"variant": "Be very brief."})):
        folder = evaluated(job, name, **{**texts, **more})
        done = Delivery(folder, settings, timeout_s=30).finish(JobState.SUCCEEDED)
        assert done.parked == ()
    client = connect(settings)
    judge = client.get_prompt_version_by_alias("mlaas.faithfulness_judge_a_b", "latest")
    assert (judge.version, judge.template) == (1, "Say {{answer}}.")
    variant = client.get_prompt_version_by_alias("mlaas.variant", "latest")
    assert (variant.version, variant.template) == (2, "Be very brief.")
    linked = json.loads(client.get_run(done.run_id).data.tags["mlflow.linkedPrompts"])
    assert {(one["name"], one["version"]) for one in linked} == {
        ("mlaas.faithfulness_judge_a_b", "1"),
        ("mlaas.variant", "2"),
    }
    assert "prompts.json" in {file.path for file in client.list_artifacts(done.run_id)}


def test_without_a_registry_the_run_has_them_as_a_file(job, remote, proxy):
    proxy.sick = lambda _method, path: (
        refusal("no", "ENDPOINT_NOT_FOUND", status=404)
        if "registered-models" in path or "model-versions" in path
        else None
    )
    done = Delivery(evaluated(job, "noregistry", a="b"), remote, timeout_s=30).finish(JobState.SUCCEEDED)
    assert [one.what for one in done.parked] == ["prompts"]
    assert tracking.run_info(done.run_id, remote).status == "FINISHED"
    assert "prompts.json" in {file.path for file in connect(remote).list_artifacts(done.run_id)}


def test_what_is_no_table_of_prompts_is_left_alone(job, local):
    folder = fill(job("odd"))
    folder.prompts.write_text("[1, ")
    done = Delivery(folder, local.model_copy(update={"traces": 0})).finish(JobState.SUCCEEDED)
    assert done.parked == ()
