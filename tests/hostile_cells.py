"""What a cell shows whose texts are hostile: every live view, made from what it is made of elsewhere, in a real kernel."""

from pathlib import Path

import polars as pl
from hostile import everywhere
from IPython.display import HTML, display
from made_jobs import made
from made_records import frame_of, record
from payloads import everything

from mlaas_lab import panels
from mlaas_lab.commands import _dispatch
from mlaas_lab.evaluation.summary import summarize, told_apart
from mlaas_lab.lab import Lab
from mlaas_lab.panels.board import board
from mlaas_lab.schema import JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.overview import Overview
from mlaas_lab.view import Table, View, endpoints, to_html
from mlaas_lab.widgets import content, flat
from mlaas_lab.widgets.comparison import ComparisonWidget
from mlaas_lab.widgets.form import FormWidget
from mlaas_lab.widgets.job import JobWidget
from mlaas_lab.widgets.jobs import JobsWidget
from mlaas_lab.widgets.kernel import Compared
from mlaas_lab.widgets.tabled import Looked

IN_A_CARD = 40


def words(origin: str) -> list[str]:
    """All texts that a file can hold."""
    return [word.encode(errors="replace").decode() for word in everything(origin)]


def comparison(origin: str) -> int:
    """Every text as prompt, reference, answer and error; how many samples."""
    several = words(origin)
    names = several[4], f'"><script>fetch("{origin}/leak/name")</script>'
    rows = [
        record(t, i, f"{w} {t}", w, prompt=w, error=w if i % 7 == 0 else None)
        for i, w in enumerate(several)
        for t in names
    ]
    frame = told_apart(frame_of(Path("hostile.parquet"), rows))
    frame = frame.with_columns(group=pl.Series([several[i % 5] for i in range(len(frame))]))
    views = [board(*summarize(frame)), *panels.draw(frame, without=("board", "outputs"))]
    live = ComparisonWidget(
        Compared(title=several[4], frame=frame, views=views, words=["compare", several[4]], show="only=all")
    )
    ten, fifty = "const PAGE = 10;", "const PAGE = 50;"
    assert ten in live._esm
    live._esm = live._esm.replace(ten, fifty)
    display(live)
    live.settle()
    return len(set(several))


def cards(origin: str, script: str | None = None) -> None:
    """Jobs that failed; names, errors, logs, findings and endpoints are hostile."""
    lab, several = Lab(), words(origin)
    chunks = [several[i : i + IN_A_CARD] for i in range(0, len(several), IN_A_CARD)]
    for n, some in enumerate(chunks[:1] if script else chunks):
        folder = JobFolder(Path(f"job-{script is None}-{n}").absolute())
        folder.path.mkdir()
        folder.log.write_text("\n".join(word.replace("\n", " ") for word in some[:12]))
        job_id = f"c{n}{script is None}"
        lab.store.add(made(job_id, name=some[0], task="toy", spec={"steps": 2}, folder=str(folder.path)))
        lab.store.move(job_id, JobState.FAILED, attempt=1, why="\n".join(some))
        card = JobWidget(lab.jobs.get(job_id))
        if script:
            card._esm = script
        card.found = content.sections([everywhere(word) for word in some[:4]] + [_table(some)])
        served = [{"name": w, "model": w, "engine": w, "base_url": w, "state": w, "ready": True} for w in some]
        card.now = {**card.now, "parts": content.sections([endpoints.view(served)]), "state": [some[0], "bad"]}
        display(card)


def table(origin: str) -> int:
    """A table of jobs named and ended by every text; how many."""
    lab, several = Lab(), words(origin)
    jobs = [made(f"t{n}", name=w, task=w, state=JobState.FAILED, error=w) for n, w in enumerate(several)]
    overview = Overview(lab.settings.data_dir / "store.sqlite3")
    display(
        JobsWidget(
            Looked(jobs=jobs, store=lab.store, overview=overview, stop=lambda _id: None, words=["jobs", several[4]])
        )
    )
    return len(jobs)


def form(task: str = "toy") -> None:
    """A form, for a page to type into."""
    display(FormWidget(_dispatch.execute(["form", task], Lab()).formed()))


def stills(origin: str) -> None:
    """Static outputs, which JupyterLab trusts as they were made here."""
    several = words(origin)
    for i in range(0, len(several), IN_A_CARD):
        display(HTML(to_html(_table(several[i : i + IN_A_CARD]))))


def spoilt(origin: str) -> None:
    """The control: a card whose texts are put in as markup."""
    before = "element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));"
    script = flat.script("asking", "job")
    assert before in script
    put_in = "children.flat().filter((c) => c || c === 0).forEach((c) => c instanceof Node ? element.append(c) : element.insertAdjacentHTML('beforeend', c));"
    cards(origin, script.replace(before, put_in))


def _table(some: list[str]) -> View:
    rows = [(word, word) for word in some]
    return View(title=some[0], summary=some[-1], table=Table(columns=[some[0], some[1]], rows=rows), notes=some[:20])
