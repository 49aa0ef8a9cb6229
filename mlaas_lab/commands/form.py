"""`form TASK`: a task's options as a form, with the line that does the same."""

from dataclasses import dataclass

from mlaas_lab import registry
from mlaas_lab.commands import Command, _dispatch, _help
from mlaas_lab.errors import UsageError, did_you_mean
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Spec, options
from mlaas_lab.tasks import Task
from mlaas_lab.view import Column, Shown, Table, View
from mlaas_lab.widgets import twin
from mlaas_lab.widgets.formed import Formed


class Form(Spec):
    """Fill in a task's options in a form, and run it from there."""

    task: str = Arg()
    """A task, such as finetune or eval."""


@dataclass(frozen=True)
class TaskForm(Shown):
    """The options of a task."""

    task: str
    lab: Lab

    def formed(self) -> Formed:
        """What a live form of it stands on."""
        spec, own = _dispatch.command(self.task).args, _own(self.task)
        return Formed(
            name=self.task,
            spec=spec,
            first=tuple(option.name for option in options(own)),
            about=_help.summary(self.task),
            run=lambda words: _dispatch.execute([self.task, *words], self.lab),
        )

    def view(self) -> View:
        """One row an option."""
        columns: list[Column | str] = ["Option", "Value", "By default", Column(title="What it is", wrap=True)]
        rows = [(o.flag, o.metavar, twin.said(o.default) or None, o.help) for o in options(_own(self.task))]
        note = f"In a notebook this is a form; elsewhere: {self.task} --OPTION VALUE …"
        return View(
            title=self.task, summary=_help.summary(self.task), table=Table(columns=columns, rows=rows), notes=[note]
        )

    def as_json(self) -> JSON:
        """`{task, options: [{name, required, default, choices, help}]}`."""
        rows = options(_own(self.task))
        shown = ("name", "required", "default", "choices", "help")
        return {"task": self.task, "options": [{name: getattr(one, name) for name in shown} for one in rows]}


def _own(task: str) -> type[Spec]:
    found: Task = registry.load("task", task)
    return found.spec


def _run(args: Form, lab: Lab) -> TaskForm:
    tasks = registry.names("task")
    if args.task not in tasks:
        raise UsageError(
            f"no task {args.task!r}.", next=did_you_mean(args.task, tasks) or f"Known: {', '.join(tasks)}."
        )
    return TaskForm(args.task, lab)


command = Command(args=Form, run=_run, examples=("form finetune",))
