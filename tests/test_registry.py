"""Every plugin is found by its file's name, loads, fits its kind and explains itself."""

import pytest

from mlaas_lab import registry
from mlaas_lab.commands import Command
from mlaas_lab.errors import MissingExtra, UsageError
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.panels import Panel
from mlaas_lab.providers import Provider
from mlaas_lab.serving import Engine
from mlaas_lab.spec import Spec, options
from mlaas_lab.tasks import Task
from mlaas_lab.wires import Wire

TYPES = {
    "command": Command,
    "engine": Engine,
    "metric": Metric,
    "panel": Panel,
    "provider": Provider,
    "task": Task,
    "wire": Wire,
}
EVERY = [(kind, name) for kind in registry.PACKAGES for name in registry.names(kind)]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_plugin_loads_and_is_explained(kind, name):
    plugin = registry.load(kind, name)
    if kind in TYPES:
        assert isinstance(plugin, TYPES[kind])
    if kind == "executor":
        assert all(callable(getattr(plugin, verb)) for verb in ("launch", "is_alive", "cancel"))
    if not name.startswith("toy"):
        module = registry.resolve(f"{registry.PACKAGES[kind]}.{name.replace(' ', '_')}")
        assert (module.__doc__ or "").strip()


@pytest.mark.parametrize(("kind", "name"), [pair for pair in EVERY if pair[0] in ("command", "task")])
def test_every_option_has_help(kind, name):
    plugin = registry.load(kind, name)
    spec: type[Spec] = plugin.args if kind == "command" else plugin.spec
    assert (spec.__doc__ or "").strip()
    assert [option.name for option in options(spec) if not option.help] == []


@pytest.mark.parametrize("name", registry.names("task"))
def test_entry_of_a_task_can_be_called(name):
    task = registry.load("task", name)
    assert callable(registry.resolve(task.entry))
    if task.view:
        assert callable(registry.resolve(task.view))


def test_names_imports_nothing():
    import subprocess
    import sys

    script = "import sys; from mlaas_lab import registry; registry.names('metric'); print('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == "False"


def test_unknown_name_offers_the_nearest():
    with pytest.raises(UsageError, match=r"unknown metric 'exact_mach'. Did you mean 'exact_match'\?"):
        registry.load("metric", "exact_mach")
    with pytest.raises(UsageError, match="Known: inline, process"):
        registry.load("executor", "zzzz")


def test_missing_library_names_the_pip_command():
    error = registry.missing_extra("torch")
    assert isinstance(error, MissingExtra)
    assert str(error) == "torch is not installed. pip install 'mlaas_lab[train]'"
