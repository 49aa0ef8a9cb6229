"""A run in MLflow for each target of an evaluation, under the evaluation's own, so that MLflow's table compares them.

All of it can be sent again: a run is found by its tags before it is made, its metrics keep their time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Metric, Param, Run, RunTag
from polars.exceptions import PolarsError

from mlaas_lab.schema import JSON
from mlaas_lab.tracking.server import Refused
from mlaas_lab.tracking.targets import TargetRun, targets

PARENT = "mlflow.parentRunId"
INDEX = "mlaas.target_index"
BATCH = 1000
"""Metrics in a request; MLflow's limit."""


@dataclass(frozen=True, kw_only=True)
class Children:
    """The runs of an evaluation's targets, to be sent."""

    records: Path
    lines: Sequence[Mapping[str, JSON]]
    """Of the job's summary, one per target and metric."""
    job: Mapping[str, JSON]
    datasets: Sequence[DatasetInput]
    at_ms: int
    """The time of their metrics, and of their end."""

    def send(self, client: MlflowClient, run_id: str) -> dict[str, str]:
        """Make what is missing, log all of it; place of the target → id of its run.

        Raises:
            Refused: if the records are gone or damaged.
        """
        try:
            wanted = targets(self.records, self.lines)
        except (OSError, PolarsError) as error:
            raise Refused(f"the records cannot be read: {' '.join(str(error).split())[:120]}") from None
        experiment_id = client.get_run(run_id).info.experiment_id
        made = _found(client, experiment_id, run_id)
        for one in wanted:
            place = str(one.index)
            if place not in made:
                made[place] = self._create(client, experiment_id, run_id, one)
            self._fill(client, made[place].info.run_id, one)
        _drop_strays(client, experiment_id, run_id, made)
        return {place: run.info.run_id for place, run in made.items()}

    def _create(self, client: MlflowClient, experiment_id: str, run_id: str, one: TargetRun) -> Run:
        tags = {PARENT: run_id, INDEX: str(one.index), "mlaas.target": one.name, "mlaas.task": "target"}
        source = {"mlflow.source.name": f"mlaas {self.job['task']}", "mlflow.source.type": "JOB"}
        at_ms = round(float(self.job["created_at"]) * 1000)
        return client.create_run(experiment_id, start_time=at_ms, tags={**tags, **source}, run_name=one.name)

    def _fill(self, client: MlflowClient, run_id: str, one: TargetRun) -> None:
        said = {key: value for key, value in one.facts.items() if value}
        tags = [RunTag(f"mlaas.{key}", value) for key, value in said.items()]
        params = [Param("target", one.name), *(Param(key, value) for key, value in said.items() if key != "model")]
        metrics = [Metric(key, value, self.at_ms, 0) for key, value in one.metrics.items()]
        client.log_batch(run_id, metrics=metrics[:BATCH], params=params, tags=tags, synchronous=True)
        for first in range(BATCH, len(metrics), BATCH):
            client.log_batch(run_id, metrics=metrics[first : first + BATCH], synchronous=True)
        if self.datasets:
            client.log_inputs(run_id, list(self.datasets))
        client.set_terminated(run_id, "FINISHED", self.at_ms)


def _all(client: MlflowClient, experiment_id: str, run_id: str) -> list[Run]:
    """Oldest first."""
    query = f"tags.`{PARENT}` = '{run_id}'"
    return list(client.search_runs([experiment_id], query, order_by=["attributes.start_time ASC", "attributes.run_id"]))


def _found(client: MlflowClient, experiment_id: str, run_id: str) -> dict[str, Run]:
    """Of each target one run; somebody else's child runs have no place."""
    made: dict[str, Run] = {}
    for run in _all(client, experiment_id, run_id):
        if place := run.data.tags.get(INDEX):
            made.setdefault(place, run)
    return made


def _drop_strays(client: MlflowClient, experiment_id: str, run_id: str, kept: Mapping[str, Run]) -> None:
    """Delete what a request made that we had given up on; MLflow keeps deleted runs restorable."""
    own = {run.info.run_id for run in kept.values()}
    for run in _all(client, experiment_id, run_id):
        if INDEX in run.data.tags and run.info.run_id not in own:
            client.delete_run(run.info.run_id)
