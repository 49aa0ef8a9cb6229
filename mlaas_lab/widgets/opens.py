"""Which rows the cells of a comparison's tables stand on, by what their columns are called."""

from collections.abc import Sequence

from mlaas_lab.schema import JSON
from mlaas_lab.view import Column
from mlaas_lab.view.model import Cell
from mlaas_lab.widgets.which import Choices, Only

NAMES = {
    "Target": "target",
    "A": "a",
    "B": "b",
    "Metric": "metric",
    "Group": "group",
    "Error": "error",
    "Provider": "provider",
    "Region": "region",
}
"""Column of a table → what its cells name."""
ONLY = {
    "No score": Only.UNSCORED,
    "Unpriced": Only.UNPRICED,
    "Retries": Only.RETRIED,
    "Too many": Only.RETRIED,
    "p50": Only.SLOWEST,
    "p95": Only.SLOWEST,
    "p99": Only.SLOWEST,
    "Tokens/s": Only.SLOWEST,
    "Cost": Only.DEAREST,
    "Per 1,000 answers": Only.DEAREST,
    "Per right answer": Only.DEAREST,
    "Per 1,000 right": Only.DEAREST,
    "Per 1 M tokens": Only.DEAREST,
    "Answers": Only.ALL,
    "n": Only.ALL,
}
"""Column of a table → what of its rows is worth seeing."""


class Opens:
    """What can be opened from a table about these."""

    def __init__(self, choices: Choices) -> None:
        """`choices` are what can be named."""
        self._choices = choices

    def row(self, row: Sequence[Cell], heads: Sequence[Column]) -> dict[str, JSON]:
        """The question that a row asks."""
        named = {
            NAMES[h.title]: self._choices.place(NAMES[h.title], v)
            for h, v in zip(heads, row, strict=True)
            if h.title in NAMES
        }
        opens: dict[str, JSON] = {field: at for field, at in named.items() if at is not None}
        only = Only.APART if {"a", "b"} <= set(opens) else Only.ERRORS if "error" in opens else Only.WORST
        if not self._choices.metrics and only is Only.WORST:
            only = Only.ALL
        return opens | {"only": str(only)}

    def column(self, title: str) -> dict[str, JSON]:
        """What a column adds to the question that its row asks."""
        if title in self._choices.metrics:
            return {"metric": self._choices.metrics.index(title), "only": str(Only.WORST)}
        return {"only": str(ONLY[title])} if title in ONLY else {}
