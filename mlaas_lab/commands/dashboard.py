"""`dashboard`: a comparison as pages in a browser, where it is read, reviewed and signed; or as one file."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mlaas_lab.commands import Command, _compared, _deciding, _sources
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.schema import JSON
from mlaas_lab.spec import Arg, Refers, Spec
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.tasks.eval import GROUPED, MARGIN, Grouped, Margin
from mlaas_lab.view import Facts, Shown, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlaas_lab.dashboard.case import Case
    from mlaas_lab.dashboard.served import Login
    from mlaas_lab.reviewing import Desk, Ruled

HOST = "127.0.0.1"


class DashboardArgs(Spec):
    """Open evaluations as pages in a browser: compare, review, sign; ctrl-C ends it."""

    runs: tuple[Annotated[str, Refers("run")], ...] = Arg(default=())
    """Evaluations: jobs by id or name, MLflow runs, or `records.parquet` files. By default the newest one here."""
    export: Path | None = None
    """Write all pages as one file instead, `.html` without a script, or `.pdf`."""
    port: int = Field(0, ge=0, le=65535)
    """Where it listens; 0 takes a free one."""
    address: str = HOST
    """Where it listens; any but this machine's own needs `--auth`."""
    auth: str | None = None
    """Who may come in: `basic:FILE` with names and passwords as JSON, or `oauth:PROVIDER` as Panel knows them. Without
    it, whoever has the printed address, which holds a token."""
    people: tuple[str, ...] = ()
    """Whom `oauth:PROVIDER` lets in: names or addresses as it says them, `@example.com` for all of a domain."""
    origin: tuple[str, ...] = ()
    """Hosts besides its own under which it is seen, as `hub.example:443`."""
    rule: str | None = None
    """File of rules, or the rules themselves, as `gate` reads them: decisions are signed under them."""
    baseline: Annotated[str, Refers("run")] | None = None
    """What differences in rules are measured from, named like a run."""
    margin: Margin = Field(None, json_schema_extra={"metavar": MARGIN})
    """As for `compare`; by default as in the evaluation."""
    grouped: Grouped | None = None
    """As for `compare`; by default as in the evaluation."""
    seed: int | None = None
    """Of the bootstrap and the permutations; by default as in the evaluation."""


@dataclass
class Served(Shown):
    """A dashboard that is open, or was."""

    title: str
    url: str
    server: Any = None

    def stop(self) -> None:
        """End it."""
        if self.server is not None:
            server, self.server = self.server, None
            server.io_loop.add_callback(server.stop)
            server.io_loop.add_callback(server.io_loop.stop)

    def line(self) -> str:
        """Where it is."""
        return f"{self.title}: {self.url} (ctrl-C ends it)"

    def view(self) -> View:
        """Where it is."""
        if self.server is None:
            return View(title=f"The dashboard of {self.title} has ended.")
        notes = ["It ends with the kernel, or with its `stop()`."]
        return View(title=f"Dashboard of {self.title}", marks=[Facts(rows=[("Address", self.url)])], notes=notes)

    def as_json(self) -> JSON:
        """`{title, url, open}`."""
        return {"title": self.title, "url": self.url, "open": self.server is not None}


@dataclass(frozen=True, kw_only=True)
class Exported(Shown):
    """All pages as one file."""

    title: str
    path: Path

    def view(self) -> View:
        """Where it is."""
        return View(title=f"{self.title}: {self.path}")

    def as_json(self) -> JSON:
        """`{title, path}`."""
        return {"title": self.title, "path": str(self.path)}


def _run(args: DashboardArgs, lab: Lab) -> Shown:
    from mlaas_lab.dashboard import export, served

    named = args if args.runs else args.model_copy(update={"runs": (_newest(lab),)})
    if args.export is not None:
        case = _case(named, lab)
        path = Path(str(args.export)).expanduser().resolve()
        return Exported(title=case.title, path=export.write(case, path))
    who = served.login(args.auth, args.people)
    served.check(args.address, args.port, who)
    return _opened(args, who, partial(_read, named, who, lab), lab)


def _read(args: DashboardArgs, who: "Login", lab: Lab) -> "Case":
    """What is decided on, as it is now; where nobody signs in, by whoever sits here."""
    case = _case(args, lab)
    return case if who.asked else replace(case, somebody=_deciding.somebody(""))


def _newest(lab: Lab) -> str:
    """The last evaluation of this machine that left records.

    Raises:
        UsageError: if there is none.
    """
    for job in sorted(lab.store.jobs(), key=lambda one: -one.created_at):
        if job.task == "eval" and JobFolder(job.folder).records.exists():
            return job.id
    raise UsageError("there is no evaluation here yet.", next="Name a run or a `records.parquet`, or make one: eval")


def _case(args: DashboardArgs, lab: Lab) -> "Case":
    """What is decided on."""
    from mlaas_lab.dashboard.case import Case, Compared
    from mlaas_lab.evaluation.summary import told_apart

    found = _compared.gather(args, lab)
    frame = told_apart(found.frame)
    targets = frame["target"].unique(maintain_order=True).to_list()
    title = " against ".join(targets) if len(targets) < 3 else f"{len(targets)} targets compared"
    again = _sources.line("dashboard", args.runs)
    desks: dict[str, Desk] = {}
    labels: dict[str, str] = {}
    for part in found.parts:
        desk = _deciding.desk(part.source.word, lab)
        for run in part.frame["run_id"].unique(maintain_order=True).to_list():
            desks[run] = desk
            labels[run] = part.source.word if run in part.source.word else f"{part.source.word} · {run}"
    return Case(
        title=title,
        frame=frame,
        provenance=found.provenance(title, again, lab),
        compared=Compared(seed=found.seed, margin=found.margin, grouped=GROUPED[found.grouped]),
        made_of=[origin for part in found.parts for job in part.jobs for origin in _sources.adapters(job, lab)],
        notes=found.notes,
        words=_compared.again(args),
        links=found.links,
        desks=desks,
        rule=None if args.rule is None else partial(_held, args, lab),
        labels=labels,
    )


def _held(args: DashboardArgs, lab: Lab, desk: "Desk", target: str) -> "Ruled":
    return _deciding.ruled(str(args.rule), desk, lab, target=target, baseline=args.baseline)


def _opened(args: DashboardArgs, who: "Login", again: "Callable[[], Case]", lab: Lab) -> Served:
    """The server: until ctrl-C where jobs are waited for, else beside what goes on."""
    from mlaas_lab.dashboard import served
    from mlaas_lab.dashboard.app import Site, sessions

    case = again()
    site = Site(case=case, again=again, alone=served.is_loopback(args.address))
    begin = partial(
        served.start,
        sessions(site),
        title=case.title,
        address=args.address,
        port=args.port,
        who=who,
        origins=args.origin,
    )
    if not lab.waits:
        return _beside(case.title, who, begin)
    server = begin()
    shown = Served(title=case.title, url=served.url(server, who), server=server)
    lab.live(shown)
    try:
        server.run_until_shutdown()
    except KeyboardInterrupt:
        server.stop()
    shown.server = None
    return shown


def _beside(title: str, who: "Login", begin: Any) -> Served:
    """The server on a thread and a loop of its own; the kernel is free."""
    from mlaas_lab.dashboard import served

    opened: Future[Any] = Future()

    def work() -> None:
        try:
            opened.set_result(served.on_own_loop(begin))
        except OSError as error:  # somebody took the port since it was looked at
            opened.set_exception(error)
            return
        opened.result().io_loop.start()

    threading.Thread(target=work, name="mlaas-dashboard", daemon=True).start()
    try:
        server = opened.result()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"the dashboard cannot listen: {reason}.", next="Ask for it again.") from None
    return Served(title=title, url=served.url(server, who), server=server)


command = Command(
    args=DashboardArgs,
    run=_run,
    examples=("dashboard my-eval", "dashboard my-eval --rule release.rules", "dashboard my-eval --export review.html"),
)
