"""`version`: what to write into a bug report."""

import platform
from dataclasses import dataclass
from importlib.metadata import version

from mlaas_lab.commands import Command
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Spec
from mlaas_lab.view import Facts, Shown, View


class Version(Spec):
    """The version of mlaas_lab and of what it runs on."""


@dataclass(frozen=True)
class Versions(Shown):
    """Names and versions."""

    rows: dict[str, str]

    def view(self) -> View:
        """One line each."""
        return View(title="Version", marks=[Facts(rows=list(self.rows.items()))])

    def as_json(self) -> JSON:
        """`{mlaas_lab, python, platform}`."""
        return self.rows


def _run(_args: Version, _lab: Lab) -> Versions:
    rows = {"mlaas_lab": version("mlaas_lab"), "python": platform.python_version(), "platform": platform.platform()}
    return Versions(rows)


command = Command(args=Version, run=_run)
