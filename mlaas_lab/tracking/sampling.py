"""Which records of an evaluation are worth a trace: failures and disagreements first, the same samples for all targets.

Pure: a file of records in, rows out. It knows no MLflow.
"""

from pathlib import Path

import polars as pl

from mlaas_lab.records import metrics_of

SIGNIFICANT = 1e-9
"""Scores of one sample that lie closer together are the same."""
FAILURE, DISAGREEMENT, REST = 0, 1, 2


def sampled(path: Path, most: int) -> dict[str, list[dict[str, object]]]:
    """Target → at most `most` of its records, told apart by what they teach.

    Half of the places go to failures (an error, or an answer that could not be scored), then come samples on which the
    targets disagree, then further failures, then the rest in their order. What was never asked has no time, and no
    trace.

    Raises:
        OSError, PolarsError: if the records cannot be read.
    """
    scan = pl.scan_parquet(path)
    names = scan.collect_schema().names()
    metrics = metrics_of(names)
    order = [name for name in ("sample_index", "repeat") if name in names]
    kinds = scan.with_row_index("row").with_columns(kind=_kind(names, metrics))
    asked = kinds.filter(pl.col("started_at").is_not_null()).sort([*order, "row"])
    ranked = asked.with_columns(place=pl.col("row").cum_count().over("target", "kind"))
    turn = (
        pl.when((pl.col("kind") == FAILURE) & (pl.col("place") <= max(1, most // 2)))
        .then(0)
        .when(pl.col("kind") == DISAGREEMENT)
        .then(1)
        .when(pl.col("kind") == FAILURE)
        .then(2)
        .otherwise(3)
    )
    chosen = ranked.with_columns(turn=turn).sort(["turn", *order, "row"]).group_by("target").head(most)
    # Only the rows that were chosen are read whole: the texts of ten million records need not fit.
    rows = chosen.select("row").collect()["row"].sort()
    return _whole(scan, rows) if len(rows) else {}


def _whole(scan: pl.LazyFrame, rows: pl.Series) -> dict[str, list[dict[str, object]]]:
    frame = scan.with_row_index("row").filter(pl.col("row").is_in(rows.implode())).drop("row").collect()
    found: dict[str, list[dict[str, object]]] = {}
    for record in frame.iter_rows(named=True):
        found.setdefault(str(record["target"]), []).append(record)
    return found


def _kind(names: list[str], metrics: list[str]) -> pl.Expr:
    failed = pl.col("error").is_not_null()
    for metric in metrics:
        failed |= ~pl.col(f"{metric}_status").is_in(["ok", "not_applicable"])
    disagreed = pl.lit(False)
    key = [name for name in ("sample_id", "reference") if name in names]
    for metric in metrics:
        score = pl.when(pl.col(f"{metric}_status") == "ok").then(pl.col(metric).fill_nan(None))
        disagreed |= (score.max().over(key) - score.min().over(key)).fill_null(0) > SIGNIFICANT
    return pl.when(failed).then(FAILURE).when(disagreed).then(DISAGREEMENT).otherwise(REST)
