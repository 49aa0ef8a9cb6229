"""Puts the built JupyterLab extension into a wheel, where Node built it; elsewhere the wheel is whole without it."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLACE = "share/jupyter/labextensions/mlaas_lab"


class BuiltExtension(BuildHookInterface[Any]):
    """Runs before a wheel is made; it never runs Node, so a wheel needs none."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add what `make labextension` left; an editable install sees that through a link, which `make` lays."""
        built = Path(self.root) / "mlaas_lab" / "labextension"
        if version == "standard" and (built / "package.json").is_file():
            said = Path(self.root) / "labextension" / "install.json"
            build_data["shared_data"] |= {str(built): PLACE, str(said): f"{PLACE}/install.json"}
