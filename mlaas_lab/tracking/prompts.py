"""The prompts of an evaluation in MLflow's registry: a new version only where the words are new, linked to the run."""

import json
import logging
import re
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from mlaas_lab.environment import temporarily
from mlaas_lab.schema import JSON
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.tracking.server import Refused

LINKED = "mlflow.linkedPrompts"
MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "INVALID_PARAMETER_VALUE"})
NO_REGISTRY = frozenset({"ENDPOINT_NOT_FOUND", "NOT_IMPLEMENTED", "FEATURE_DISABLED"})
"""What a server without a registry answers."""

# Of each new version it says that it waits for it.
logging.getLogger("mlflow.store.model_registry.abstract_store").setLevel(logging.WARNING)


def prompts(folder: JobFolder) -> dict[str, str]:
    """Name → text of the prompts that the job in `folder` used; empty if it used none, or wrote something else."""
    try:
        found: JSON = read_json(folder.prompts)
    except ValueError:
        return {}
    return {str(name): text for name, text in (found or {}).items() if isinstance(text, str) and text}


def register(texts: Mapping[str, str], client: MlflowClient, run_id: str) -> None:
    """Keep `texts` in the registry and link them to the run; sent again, it changes nothing.

    Raises:
        Refused: if this server has no registry, or a name belongs to a model. The run has the texts as a file too.
    """
    experiment_id = str(client.get_run(run_id).info.experiment_id)
    linked = []
    for name, text in texts.items():
        own = re.sub("[^A-Za-z0-9_.-]+", "_", f"mlaas.{name}")[:200]
        try:
            version = _latest(client, own)
            if version is None or version.template != text:
                # mlflow links a new version to the experiment that is current where it runs, and asks who that is.
                with temporarily(MLFLOW_TRACKING_URI=client.tracking_uri, MLFLOW_EXPERIMENT_ID=experiment_id):
                    version = client.register_prompt(own, text, tags={"mlaas.prompt": name[:200]})
        except MlflowException as error:
            if error.error_code not in NO_REGISTRY:
                raise
            raise Refused(f"this server keeps no prompts ({error.error_code})") from None
        linked.append({"name": own, "version": str(version.version)})
    # What mlflow's own link does, on whatever server is current where it runs.
    client.set_tag(run_id, LINKED, json.dumps(linked))


def _latest(client: MlflowClient, name: str) -> JSON:
    try:
        return client.get_prompt_version_by_alias(name, "latest")
    except MlflowException as error:
        if error.error_code in MISSING:
            return None
        raise
