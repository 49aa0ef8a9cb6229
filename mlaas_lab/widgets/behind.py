"""The samples behind a number, found in any table of records without reading it twice.

Records are numbered once; what a question needs (a score, a latency, an error) becomes an array of samples × targets
that is kept, so turning a page costs the page. It knows no message and draws nothing.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mlaas_lab import registry
from mlaas_lab.view.formats import count
from mlaas_lab.widgets.which import WORDS, Choices, Only, Which

Matrix = NDArray[np.float64]
"""(samples, targets), NaN where nothing is known."""
Mask = NDArray[np.bool_]
KEPT = 12
"""Arrays that are kept."""
READ = ("sample_id", "reference", "messages", "output", "error_message")
"""Columns that a search reads."""


class Behind:
    """The samples of some records, numbered in their order."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """`frame` holds records, targets told apart."""
        self.frame = frame
        self.choices = Choices.of(frame)
        self._matrices: dict[tuple[str, int], Matrix] = {}

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The records with `sample`, the number of the sample, and `place`, that of the target."""
        # Two files may both number their samples 1, 2, 3: the reference tells them apart.
        key = [name for name in ("sample_id", "reference") if name in self.frame.columns]
        numbered = self.frame.select(key).unique(maintain_order=True).with_row_index("sample")
        places = pl.DataFrame({"target": self.choices.targets}).with_row_index("place")
        joined = self.frame.join(numbered, on=key, how="left", nulls_equal=True, maintain_order="left")
        return joined.join(places, on="target", how="left", maintain_order="left")

    @cached_property
    def n(self) -> int:
        """Samples."""
        last = self.rows["sample"].max()
        return 0 if last is None else int(last) + 1  # type: ignore[arg-type]

    def pick(self, which: Which) -> NDArray[np.int64]:
        """The samples that `which` asks for, in the order they are shown."""
        places = self.concerned(which)
        kept, order = self._found(which, places)
        kept = kept & self._narrowed(which, places)
        return order[kept[order]]

    def concerned(self, which: Which) -> list[int]:
        """The targets a question is about; all where it names none."""
        if which.a is not None and which.b is not None:
            return [which.a, which.b]
        return [which.target] if which.target is not None else list(range(len(self.choices.targets)))

    def page(self, samples: Sequence[int]) -> list[list[dict[str, Any]]]:
        """The records of `samples`, in that order; of one sample by target and repeat."""
        found = self.rows.filter(pl.col("sample").is_in(list(samples))).sort("place", "repeat", maintain_order=True)
        by_sample: dict[int, list[dict[str, Any]]] = {int(sample): [] for sample in samples}
        for row in found.iter_rows(named=True):
            by_sample[row["sample"]].append(row)
        return list(by_sample.values())

    def records(self, which: Which) -> pl.DataFrame:
        """All records of the samples that `which` asks for, in the order they are shown."""
        order = pl.DataFrame({"sample": self.pick(which)}).with_columns(pl.col("sample").cast(pl.UInt32))
        rows = self.rows.join(order.with_row_index("turn"), on="sample", how="inner")
        return rows.sort("turn", "place", "repeat", maintain_order=True).select(self.frame.columns)

    def said(self, which: Which, total: int) -> str:
        """What is shown, in words: `31 of 40 samples: disagreements by exact_match`."""
        metric = self.choices.metrics[self._metric(which)] if self.choices.metrics else None
        words = WORDS[which.only]
        by = f" by {metric}" if metric and which.only in BY_METRIC else ""
        return f"{count(total)} of {count(self.n)} samples: {words}{by}"

    def _found(self, which: Which, places: list[int]) -> tuple[Mask, NDArray[np.int64]]:
        match which.only:
            case Only.APART:
                return self._apart(which, places)
            case Only.A_MORE | Only.B_MORE:
                return self._won(which)
            case Only.WORST:
                return self._worst(which, places)
            case Only.SLOWEST:
                return self._largest(self._amount("latency_s"), places)
            case Only.DEAREST:
                return self._largest(self._amount("cost_usd"), places)
            case Only.ALL:
                return np.ones(self.n, dtype=bool), np.arange(self.n)
            case Only.ERRORS | Only.UNSCORED | Only.UNPRICED | Only.RETRIED:
                return self._any(self._flagged(which), places), np.arange(self.n)

    def _apart(self, which: Which, places: list[int]) -> tuple[Mask, NDArray[np.int64]]:
        """Scored differently, the widest first; without a metric: said differently.

        Among them those that the first and the last target win take turns: the few losses of a clear winner are seen.
        """
        several = places if len(places) > 1 else list(range(len(self.choices.targets)))
        if not self.choices.metrics:
            said = self._matrix("said", 0, _said(self.frame.columns))[:, several]
            return _most(said) > -_most(-said), np.arange(self.n)
        scores = self._scores(self._metric(which))[:, several]
        spread = np.nan_to_num(_most(scores) + _most(-scores), nan=0.0, neginf=0.0)
        gain = np.sign(np.nan_to_num(scores[:, -1] - scores[:, 0]))
        order = np.argsort(-spread, kind="stable")
        turn = np.empty(self.n, dtype=np.int64)
        for side in (-1.0, 0.0, 1.0):
            of_side = order[gain[order] == side]
            turn[of_side] = np.arange(len(of_side))
        return spread > 0, np.argsort(turn, kind="stable")

    def _won(self, which: Which) -> tuple[Mask, NDArray[np.int64]]:
        a, b = (which.a, which.b) if which.a is not None and which.b is not None else (0, len(self.choices.targets) - 1)
        if not self.choices.metrics:
            return np.zeros(self.n, dtype=bool), np.arange(self.n)
        scores = self._scores(self._metric(which))
        gain = np.nan_to_num(scores[:, b] - scores[:, a]) * (1 if which.only is Only.B_MORE else -1)
        return gain > 0, np.argsort(-gain, kind="stable")

    def _worst(self, which: Which, places: list[int]) -> tuple[Mask, NDArray[np.int64]]:
        if not self.choices.metrics:
            return np.zeros(self.n, dtype=bool), np.arange(self.n)
        at = self._metric(which)
        scores = self._scores(at)[:, places]
        known = ~np.isnan(scores)
        mean = np.where(known, scores, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
        sign = -1 if _lower_is_better(self.choices.metrics[at]) else 1
        return np.asarray(known.any(axis=1)), np.argsort(sign * mean, kind="stable")

    def _largest(self, amounts: Matrix, places: list[int]) -> tuple[Mask, NDArray[np.int64]]:
        most = _most(amounts[:, places])
        known: Mask = np.isfinite(most)
        return known, np.argsort(-most, kind="stable")

    def _flagged(self, which: Which) -> Matrix:
        columns = self.frame.columns
        match which.only:
            case Only.UNSCORED if self.choices.metrics:
                at = self._metric(which)
                return self._matrix("unscored", at, _score(self.choices.metrics[at]).is_null())
            case Only.UNPRICED if "cost_usd" in columns:
                return self._matrix("unpriced", 0, pl.col("error").is_null() & pl.col("cost_usd").is_null())
            case Only.RETRIED if "attempts" in columns:
                return self._matrix("retried", 0, pl.col("attempts") > 1)
            case Only.ERRORS:
                return self._matrix("failed", 0, pl.col("error").is_not_null())
            case _:
                return np.zeros((self.n, len(self.choices.targets)))

    def _narrowed(self, which: Which, places: list[int]) -> Mask:
        """Of the group, error, provider and region that were named, and with the words that were looked for."""
        kept: Mask = np.ones(self.n, dtype=bool)
        for field in ("group", "error", "provider", "region"):
            name = self.choices.name(which, field)
            if name is not None:
                same = self._matrix(field, getattr(which, field), pl.col(field).cast(pl.String) == name)
                among = list(range(same.shape[1])) if field == "group" else places
                kept = np.logical_and(kept, self._any(same, among))
        if which.find.strip():
            kept = np.logical_and(kept, self._holding(which.find.strip().lower(), places))
        return kept

    def _holding(self, words: str, places: list[int]) -> Mask:
        columns = [pl.col(name).cast(pl.String) for name in READ if name in self.frame.columns]
        holds = pl.any_horizontal(column.str.to_lowercase().str.contains(words, literal=True) for column in columns)
        found = self.rows.filter(pl.col("place").is_in(places) & holds)["sample"].to_numpy()
        kept: Mask = np.zeros(self.n, dtype=bool)
        kept[found] = True
        return kept

    def _any(self, flags: Matrix, places: list[int]) -> Mask:
        return np.asarray((np.nan_to_num(flags[:, places]) > 0).any(axis=1))

    def _metric(self, which: Which) -> int:
        return which.metric or 0

    def _scores(self, metric: int) -> Matrix:
        return self._matrix("score", metric, _score(self.choices.metrics[metric]))

    def _amount(self, column: str) -> Matrix:
        known = pl.col(column) if column in self.frame.columns else pl.lit(None, pl.Float64)
        return self._matrix(column, 0, known)

    def _matrix(self, name: str, at: int, value: pl.Expr) -> Matrix:
        """The mean of `value` over the repeats of each sample and target."""
        if (name, at) not in self._matrices:
            while len(self._matrices) >= KEPT:
                del self._matrices[next(iter(self._matrices))]
            known = self.rows.select("sample", "place", value=value.cast(pl.Float64).fill_nan(None)).drop_nulls()
            means = known.group_by("sample", "place").agg(pl.col("value").mean())
            table = np.full((self.n, len(self.choices.targets)), np.nan)
            table[means["sample"].to_numpy(), means["place"].to_numpy()] = means["value"].to_numpy()
            self._matrices[name, at] = table
        return self._matrices[name, at]


BY_METRIC = (Only.APART, Only.A_MORE, Only.B_MORE, Only.WORST, Only.UNSCORED)


def _score(metric: str) -> pl.Expr:
    """The score where there is one; not a number is none."""
    return pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric).fill_nan(None))


def _said(columns: Sequence[str]) -> pl.Expr:
    """Answers as numbers that are equal where the answers are; 52 bits, which a float holds exactly."""
    said = pl.col("output") if "output" in columns else pl.lit(None, pl.String)
    return said.fill_null("").hash() % 2**52


def _most(matrix: Matrix) -> NDArray[np.float64]:
    """The largest of each row (n,); minus infinity where nothing is known."""
    found: NDArray[np.float64] = np.where(np.isnan(matrix), -np.inf, matrix).max(axis=1, initial=-np.inf)
    return found


def _lower_is_better(metric: str) -> bool:
    name, _ = registry.parted(metric)
    return name in registry.names("metric") and registry.load("metric", name).higher_is_better is False
