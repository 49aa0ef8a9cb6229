"""From a notebook cell to a verdict: LoRA fine-tunes, endpoints and paired evaluation in Jupyter.

`%load_ext mlaas_lab` in a notebook, `mlaas` in a shell, `import mlaas_lab as ml; ml.finetune(...)` in Python.
"""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from mlaas_lab.api import *  # noqa: F403 - the commands, typed in api.pyi

__version__ = "0.1.0"

BOTH = ("dashboard", "providers")
"""Names of a package and of a command."""


class CommandToo(ModuleType):
    """A package whose name is a command's too: called, it is the command."""

    def __call__(self, *loose: Any, **named: Any) -> Any:
        """`ml.providers()`."""
        from mlaas_lab import api

        return getattr(api, self.__name__.rpartition(".")[2])(*loose, **named)


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """`%load_ext mlaas_lab`."""
    from mlaas_lab import magics

    magics.load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """`%unload_ext mlaas_lab`."""
    from mlaas_lab import magics

    magics.unload(shell)


def __getattr__(name: str) -> Any:
    """Commands as functions (`ml.finetune`), imported with the first use."""
    if name in BOTH:
        return import_module(f"{__name__}.{name}")
    if name.startswith("_") or find_spec(f"{__name__}.{name}"):
        # Python asks here before it imports a submodule.
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlaas_lab import api

    return getattr(api, name)
