"""How much people said of some records, by what it is and whose it is; not what."""

from collections import Counter
from pathlib import Path

from mlaas_lab.reviewing import lines
from mlaas_lab.store.beside import decisions_of, reviews_of

KINDS = ("verdict", "comment")


def words(table: Path) -> Counter[tuple[str, str]]:
    """(`verdict`, `comment` or `signature`, the name) → how many, beside the table of records.

    Raises:
        DataError: if a file cannot be read.
    """
    said = [row for path in reviews_of(table).glob("review-*.jsonl") for row in lines.rows(path)]
    found = Counter((str(row["event"]), str(row.get("by"))) for row in said if row.get("event") in KINDS)
    return found + Counter(("signature", str(row.get("by"))) for row in lines.rows(decisions_of(table)))
