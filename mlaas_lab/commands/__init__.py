"""The word after `%mlaas` and `mlaas`: its arguments and one function.

What `run` returns is shown by its type: as HTML, as text, as JSON. No command prints. A task is a command too: its
Spec, and how to launch it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlaas_lab.spec import Spec

if TYPE_CHECKING:
    from mlaas_lab.lab import Lab


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command; its help is the docstring of `args`."""

    args: type[Spec]
    run: "Callable[[Any, Lab], Any]"
    """Called as `run(args, lab)`; returns something `Shown`, or None."""
    examples: tuple[str, ...] = ()
    """Lines for the help, without `%mlaas`."""
    body: str | None = None
    """Field that a cell's body fills; None means the body is the arguments as YAML."""
