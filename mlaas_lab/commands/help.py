"""`help`: all commands, or one command's options."""

from dataclasses import dataclass

from mlaas_lab.commands import Command, _help
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Spec
from mlaas_lab.view import Code, Shown, View


class Help(Spec):
    """What the commands do, and their options."""

    name: tuple[str, ...] = Arg(())
    """A command; without it, all of them."""


@dataclass(frozen=True)
class HelpText(Shown):
    """Help as it stands in a terminal."""

    text: str

    def view(self) -> View:
        """The text as it is."""
        return View(title="Help", marks=[Code(text=self.text)])

    def as_json(self) -> JSON:
        """`{help}`."""
        return {"help": self.text}

    def __str__(self) -> str:
        return self.text


def _run(args: Help, _lab: Lab) -> HelpText:
    return HelpText(_help.usage(" ".join(args.name)) if args.name else _help.overview())


command = Command(args=Help, run=_run, examples=("help finetune", "help data check"))
