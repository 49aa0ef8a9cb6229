"""`config`: every setting, its value, and what set it."""

from dataclasses import dataclass

from mlaas_lab.commands import Command
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.settings import Origin, Settings
from mlaas_lab.spec import Spec
from mlaas_lab.view import Column, Shown, Table, View


class Config(Spec):
    """Show settings and where each comes from: flag, %config, environment, project file, user file or default."""


@dataclass(frozen=True)
class Configuration(Shown):
    """Settings with their origins."""

    origins: dict[str, Origin]

    def view(self) -> View:
        """A table, with what each setting means."""
        columns: list[Column | str] = ["Setting", "Value", "Set by", Column(title="Meaning", wrap=True)]
        rows = [
            [name, str(found.value), found.origin, Settings.model_fields[name].description]
            for name, found in self.origins.items()
        ]
        note = (
            "Change one for good in mlaas.toml or the environment (MLAAS_THREADS=2), for a session with"
            " %config MlaasMagics.settings = {'threads': 2}, for one command with mlaas --set threads=2 COMMAND."
        )
        return View(title="Settings", table=Table(columns=columns, rows=rows), notes=[note])

    def as_json(self) -> JSON:
        """`{settings: {name: {value, origin}}}`."""
        shown = {name: {"value": str(found.value), "origin": found.origin} for name, found in self.origins.items()}
        return {"settings": shown}


def _run(_args: Config, lab: Lab) -> Configuration:
    return Configuration(lab.preferences.origins())


command = Command(args=Config, run=_run)
