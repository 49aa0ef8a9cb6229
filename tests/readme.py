"""Fills the README's tables from the code: commands, metrics, columns of the records, ways to a vendor.

python tests/readme.py
"""

import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conformance_scripts import scripts

from mlaas_lab import errors, records, registry
from mlaas_lab.commands import _dispatch, _help
from mlaas_lab.evaluation.metrics import defaults

PATH = Path(__file__).parents[1] / "README.md"


def commands() -> str:
    """One row a command."""
    rows = [f"| `{name}` | {_help.summary(name)} |" for name in _dispatch.names() if not name.startswith("toy")]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def columns() -> str:
    """One row a column."""
    rows = [f"| `{name}` | {dtype} | {meaning} |" for name, (dtype, meaning) in records.COLUMNS.items()]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])


def metrics() -> str:
    """One row a metric."""
    rows = []
    for name in registry.names("metric"):
        metric = registry.load("metric", name)
        what = registry.resolve(f"{registry.PACKAGES['metric']}.{name}").__doc__.splitlines()[0]
        better = {True: "higher", False: "lower", None: "–"}[metric.higher_is_better]
        needs = ", ".join(
            [
                *sorted(metric.needs),
                *(["a judge"] if metric.judge is not None else []),
                *(f"extra `{e}`" for e in sorted(extras(metric.libraries))),
            ]
        )
        options = ", ".join(f"`{key}={value}`" for key, value in defaults(metric).items())
        rows.append(f"| `{name}` | {metric.unit} | {better} | {needs or '–'} | {what} | {options or '–'} |")
    return "\n".join(["| metric | unit | better | needs | what it is | options |", "|---|---|---|---|---|---|", *rows])


def extras(libraries: tuple[str, ...]) -> set[str]:
    """The extras of ours that install `libraries`."""
    return {registry.EXTRAS[library] for library in libraries}


def conformance() -> str:
    """One row a way in: what its contract was checked against, and how its requests differ from the official client's."""
    sdks = {script.name: script for script in scripts("sdks")}
    specs = {script.name: script for script in scripts("specs")}
    rows = []
    for name in registry.names("provider"):
        provider = registry.load("provider", name)
        if provider.reply is not None:
            continue
        for way, api in {"": provider, **provider.apis}.items():
            key = "-".join(filter(None, (name, way)))
            sdk, spec = sdks.get(key), specs.get(key)
            client = " ".join(sdk.requires) if sdk else "–"
            differs = "; ".join(f"`{path}`: {why}" for path, why in sdk.differs.items()) if sdk else "not compared"
            ruled = " ".join(spec.requires) or "npm" if spec else "–"
            shown = f"`{name}`" if not way else f"`{name}?api={way}`"
            rows.append(f"| {shown} | {api.checked} | {client} | {ruled} | {differs or 'none'} |")
    head = ["| way in | stands behind it | official client compared | specification checked | requests differ |"]
    return "\n".join([*head, "|---|---|---|---|---|", *rows])


def explained() -> str:
    """One row an error: its name, what it is, what to do."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LabError)]
    rows = []
    for kind in kinds:
        if kind in (errors.LabError, errors.CallError):
            continue
        meaning, _, mend = inspect.cleandoc(kind.__doc__).partition("\n\n")
        rows.append(f"| `{errors.snake(kind.__name__)}` | {meaning} | {' '.join(mend.split())} |")
    return "\n".join(["| name | what it means | what to do |", "|---|---|---|", *rows])


def filled(text: str) -> str:
    """`text` with what stands between the marks made anew."""
    tables = {
        "commands": commands(),
        "metrics": metrics(),
        "records": columns(),
        "conformance": conformance(),
        "errors": explained(),
    }
    for name, made in tables.items():
        text = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)",
            lambda m, made=made: m[1] + made + "\n" + m[2],
            text,
            flags=re.DOTALL,
        )
    return text


if __name__ == "__main__":
    PATH.write_text(filled(PATH.read_text()))
    sys.stdout.write(f"{PATH}\n")
