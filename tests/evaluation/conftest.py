"""An evaluation as its job runs it, without the job."""

import json
from pathlib import Path

import pytest

from mlaas_lab import registry
from mlaas_lab.context import Context
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.spec import build
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import Eval


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Pauses between attempts last milliseconds."""
    monkeypatch.setattr("mlaas_lab.inference.retry.BASE_S", 0.01)


@pytest.fixture
def rows(tmp_path):
    """Writes a dataset: pairs of question and reference, None for no reference."""

    def rows(pairs, name="rows.jsonl") -> Path:
        path = tmp_path / name
        with path.open("w") as file:
            for question, reference in pairs:
                turns = [{"role": "user", "content": question}]
                turns += [] if reference is None else [{"role": "assistant", "content": reference}]
                file.write(json.dumps({"messages": turns}) + "\n")
        return path

    return rows


@pytest.fixture
def context(tmp_path, settings):
    """A job's context on an empty folder."""
    folder = tmp_path / "job"
    folder.mkdir()
    context = Context(JobFolder(folder), settings, job_id="job-1", name="rows")
    yield context
    context._events.close()


@pytest.fixture
def spec():
    """Options by name."""
    return lambda **values: build(Eval, values)


@pytest.fixture
def metric(monkeypatch):
    """Registers a metric under a name for one test, as another distribution would."""

    class Point:
        def __init__(self, found):
            self.load = lambda: found

    def metric(name, **fields):
        found = Metric(**{"unit": "share", "higher_is_better": True, **fields})
        outside = registry._outside
        monkeypatch.setattr(
            registry, "_outside", lambda kind: {**outside(kind), **({name: Point(found)} if kind == "metric" else {})}
        )
        registry.names.cache_clear()
        return found

    yield metric
    monkeypatch.undo()
    registry.names.cache_clear()


@pytest.fixture
def again(context):
    """The same job's next attempt."""
    opened = []

    def again():
        context.attempt += 1
        found = Context(
            context.folder, context.settings, job_id=context.job_id, name=context.name, attempt=context.attempt
        )
        opened.append(found)
        return found

    yield again
    for found in opened:
        found._events.close()
