"""What lies beside a table of records, a job's or any other: what people said of it, and what they signed."""

from pathlib import Path


def reviews_of(table: Path) -> Path:
    """The folder of all that people said of the records in `table`."""
    return table.with_suffix(".reviews")


def decisions_of(table: Path) -> Path:
    """The log of the decisions that people signed about them."""
    return reviews_of(table) / "decisions.jsonl"
