"""What judges said, a line each in a file of their own beside the records: paid for, so kept through kill and retry.

A line stands for one answer by one metric, with the replies as they came. A later line on the same answer replaces the
score of the earlier one and adds to its cost. It asks nobody.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import polars as pl

from mlaas_lab.errors import DataError
from mlaas_lab.records.journal import Journal, rows
from mlaas_lab.schema import JSON, Score, ScoreStatus

MICRO = 1_000_000
"""Micro-dollars in a dollar: sums of them are exact."""
LASTING = frozenset({ScoreStatus.OK, ScoreStatus.NOT_APPLICABLE})
"""A judge that said one of these need not be asked again."""
HALF = 0.5
"""The share of an answer set against itself, and of one of two that are as good."""
FAILED = frozenset(ScoreStatus) - LASTING
"""What is judged again, if somebody asks for it."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What became of asking a judge once."""

    score: Score
    usd: Decimal | None = None
    """For all its calls; None where any of it is unknown."""
    judge: str | None = None
    """The model that says it judged."""
    replies: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a judge says of one answer, and what that cost."""

    score: Score
    usd: Decimal | None
    """For all that was ever asked about this answer; None where any of it is unknown."""
    judge: str | None = None
    agreement: float | None = None
    """Share of the judgements, two by two, that are equal; None for fewer than two."""


def together(said: Sequence[Said]) -> Judgement:
    """Judgements of one answer as one: the mean of their values if more than half have one, else why not."""
    scores = [one.score for one in said]
    values = [score.value for score in scores if score.value is not None]
    failed = [score for score in scores if score.value is None]
    pairs = list(combinations(values, 2))
    if 2 * len(values) > len(scores):
        first = next(score for score in scores if score.value is not None)
        lost = f"{len(failed)} of {len(scores)} judgements failed: {failed[0].reason}" if failed else None
        score = Score(value=sum(values) / len(values), reason=lost or first.reason)
    else:
        score = failed[0]
    names = dict.fromkeys(one.judge for one in said if one.judge)
    return Judgement(
        score=score,
        usd=total([one.usd for one in said]),
        judge=", ".join(names) or None,
        agreement=sum(a == b for a, b in pairs) / len(pairs) if pairs else None,
    )


def swapped(second: Said, first: Said) -> Said:
    """Two verdicts on a pair as one, the share of the answer that stood second, then first: if they differ, a tie."""
    usd = total([second.usd, first.usd])
    replies = (*second.replies, *first.replies)
    for one in (second, first):
        if one.score.value is None:
            return replace(one, usd=usd, replies=replies)
    shares = (1 - (second.score.value or 0), first.score.value or 0)
    score = replace(first.score, value=shares[0])
    if shares[0] != shares[1]:
        score = Score(value=HALF, reason="the verdict changes with the order")
    return Said(score=score, usd=usd, judge=first.judge, replies=replies)


def total(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """The sum; None if one of them is unknown."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if len(known) == len(amounts) else None


class Judgements:
    """The file of one job; as `with Judgements(path) as judgements`."""

    def __init__(self, path: Path) -> None:
        """Earlier attempts' lines are read and stay.

        Raises:
            DataError: if the file cannot be read or written.
        """
        self._path = path
        self._found: dict[str, Judgement] = {}
        try:
            earlier = list(rows(path)) if path.exists() else []
            for line in earlier:
                self._remember(line)
            self._journal = Journal(path, (orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in earlier))
        except OSError as error:
            raise self._unwritable(error) from error

    def find(self, key: str) -> Judgement | None:
        """What was said of the answer `key` so far."""
        return self._found.get(key)

    def lasts(self, key: str) -> bool:
        """Whether nobody need be asked about the answer `key` again."""
        found = self._found.get(key)
        return found is not None and found.score.status in LASTING

    def add(self, key: str, names: dict[str, Any], said: Sequence[Said]) -> None:
        """Keep what was said of the answer `key`; `names` say whose answer it is.

        Raises:
            DataError: if that cannot be done: the disk is full, say.
        """
        one = together(said)
        line: dict[str, Any] = {
            **names,
            "asked": key,
            "value": one.score.value,
            "status": str(one.score.status),
            "reason": one.score.reason,
            "usd": None if one.usd is None else str(one.usd),
            "judge": one.judge,
            "agreement": one.agreement,
            "replies": [reply for each in said for reply in each.replies],
        }
        try:
            self._journal.add(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise self._unwritable(error) from error
        self._remember(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._journal.close()

    def _remember(self, line: dict[str, Any]) -> None:
        try:
            key = line["asked"]
            score = Score(value=line["value"], status=ScoreStatus(line["status"]), reason=line["reason"])
            usd = None if line["usd"] is None else Decimal(line["usd"])
            now = Judgement(score=score, usd=usd, judge=line["judge"], agreement=line["agreement"])
        except (LookupError, ValueError, ArithmeticError, TypeError):
            return  # another version wrote it in another form
        before = self._found.get(key)
        self._found[key] = now if before is None else replace(now, usd=total([before.usd, now.usd]))

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(f"{self._path} cannot be used: {error.strerror}.", next="Make room, then resume the job.")


def failed(records: pl.DataFrame) -> int:
    """Scores that are missing since a judge failed, not a target."""
    judged = [name.removesuffix("_judge") for name in records.columns if name.endswith("_judge")]
    missing = [pl.col(f"{name}_status").is_in([*FAILED]) for name in judged if f"{name}_status" in records.columns]
    answered = records.filter(pl.col("output").is_not_null())
    return sum(int(answered.select(one.sum()).item()) for one in missing)


def accounts(records: pl.DataFrame, judges: Mapping[str, str]) -> list[dict[str, JSON]]:
    """What each of `judges`, by its metric, said of the answers in `records`, and what all of it cost."""
    answered = records.filter(pl.col("output").is_not_null())
    return [{"metric": metric, "judge": judge, **_account(answered, metric)} for metric, judge in judges.items()]


def accounted(accounts: Sequence[Mapping[str, JSON]]) -> dict[str, float | None]:
    """Those accounts as MLflow's flat metrics: `faithfulness_judge_….judge_usd` and so on."""
    found: dict[str, float | None] = {}
    for account in accounts:
        name = flat(account["metric"])
        while f"{name}.judge_usd" in found:
            name += "_"
        found[f"{name}.judge_usd"], found[f"{name}.judge_agreement"] = account["usd"], account["agreement"]
        found[f"{name}.judge_failed"] = sum(account["statuses"].get(str(status), 0) for status in FAILED)
    return found


def flat(metric: str) -> str:
    """`metric` as the beginning of a name of MLflow's."""
    return re.sub("[^A-Za-z0-9_.-]+", "_", metric)[:220]


def _account(answered: pl.DataFrame, metric: str) -> dict[str, JSON]:
    paid, agreement = answered[f"{metric}_cost_usd"], answered[f"{metric}_agreement"]
    micro = (paid.drop_nulls() * MICRO).round().cast(pl.Int64)
    by_status = answered.group_by(f"{metric}_status").len().sort(f"{metric}_status")
    return {
        "models": sorted(answered[f"{metric}_judge"].drop_nulls().unique().to_list()),
        "statuses": dict(by_status.iter_rows()),
        "usd": int(micro.sum()) / MICRO if len(micro) else None,
        "n_unknown": paid.null_count(),
        "agreement": agreement.mean(),
    }
