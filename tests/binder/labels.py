"""Whether all that an executed notebook shows says in itself where its numbers are from: `emulated` or `recorded`.

Every form of an output is looked at by itself, as each is what somebody reads: HTML, text, Markdown, the live view.
"""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import nbformat

LIVE = "application/vnd.jupyter.widget-view+json"
STATES = "application/vnd.jupyter.widget-state+json"
UNSEEN = ("_esm", "_css", "layout", "code", "choices")
"""Of a live view's state: its script, and what is seen only after a click."""
PLAYED = re.compile(r"\b(large|medium|small|gpt-4\.1|claude-haiku-4-5|nova-lite)\b")
OURS = re.compile(r"\b(tiny|prompted|handbook)\b")
"""Whom a script stands in for; who was asked at home."""

CHECKED = {"%mlaas data check": "counted in the file that is there"}
ENDED = {"%mlaas cancel": "the jobs' own times, of this very run"}
BLIND = '%mlaas review $table --between "support (recorded),large (emulated)" --blind'
EXCUSED = {
    "02_compare": {**CHECKED, **ENDED},
    "04_cost": {
        **CHECKED,
        **ENDED,
        "%mlaas price": "vendors' list prices, with their source and date",
        "%mlaas estimate --requests-per-day": "worked out from list prices, with their source and date",
    },
    "05_review": {BLIND: "blind, so who is who is not told; it counts this very sitting"},
}
"""Per notebook: how the cell begins whose numbers need no label → why."""


def unlabelled(notebook: nbformat.NotebookNode, excused: dict[str, str]) -> set[str]:
    """Cells with an output that shows numbers without their origin: by their excuse, else by their first line."""
    found = set()
    for cell in notebook.cells:
        if any(not labelled(words) for output in cell.get("outputs", ()) for words in seen(output, notebook)):
            line = cell.source.partition("\n")[0]
            found.add(next((start for start in excused if line.startswith(start)), line))
    return found


def labelled(words: str) -> bool:
    """Whether `words` have no number, or the label of everybody they tell of."""
    told = words.lower()
    if PLAYED.search(words) and "emulated" not in told:
        return False
    if OURS.search(words) and "recorded" not in told:
        return False
    return not re.search(r"\d", words) or "emulated" in told or "recorded" in told


def seen(output: nbformat.NotebookNode, notebook: nbformat.NotebookNode) -> Iterator[str]:
    """The words of every form of an output; the text in place of a live view is left out, as it is there."""
    data = output.get("data", {"text/plain": output.get("text", "")})
    if LIVE in data:
        state = notebook.metadata.widgets[STATES].state[data[LIVE]["model_id"]].state
        yield json.dumps(_shown(state), ensure_ascii=False)
        return
    for form, text in data.items():
        if form == "text/html":
            yield _Words(text).words
        elif form.startswith("text/"):
            yield text


def _shown(state: object) -> object:
    if isinstance(state, dict):
        return {key: _shown(value) for key, value in state.items() if key not in UNSEEN and not key.startswith("_")}
    return [_shown(value) for value in state] if isinstance(state, list) else state


class _Words(HTMLParser):
    """What stands on a page, without its style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self._inside = "", ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("style", "script"):
            self.words += f" {data}"
