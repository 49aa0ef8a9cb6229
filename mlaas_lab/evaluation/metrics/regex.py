"""Regular expression: 1 when the pattern is found in the answer, white space at its ends aside, else 0.

The pattern is the option, or of each sample its reference. It is read by a library that needs time in proportion to the
text, whatever the pattern (Cox 2007, "Regular Expression Matching Can Be Simple And Fast"); so there is no look-around
and no back reference.
"""

from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample, Score, ScoreStatus

LONGEST_SHOWN = 80
"""Characters of a pattern in a reason."""


def _found(pattern: str, text: str) -> bool:
    """Whether `pattern` is somewhere in `text`.

    Raises:
        ValueError: if it is no pattern.
    """
    import polars as pl

    try:
        return bool(pl.Series([text], dtype=pl.String).str.contains(pattern, strict=True)[0])
    except pl.exceptions.ComputeError as error:
        _, _, reason = str(error).partition("error: ")
        said = [line.removeprefix("error: ") for line in reason.splitlines() if line.startswith("error: ")]
        shown = repr(pattern if len(pattern) <= LONGEST_SHOWN else f"{pattern[:LONGEST_SHOWN]}…")
        raise ValueError(f"{shown} is no pattern that can be read: {(said or ['too large'])[0]}") from None


def _score(output: str, sample: Sample) -> float | Score:
    try:
        return float(_found(sample.reference or "", output.strip()))
    except ValueError as error:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=str(error)[:200])


def _options(*, pattern: str = "") -> Metric:
    _found(pattern, "")
    return Metric(
        unit="share", higher_is_better=True, score=lambda output, _sample: float(_found(pattern, output.strip()))
    )


metric = Metric(unit="share", higher_is_better=True, needs=frozenset({"reference"}), score=_score, options=_options)
