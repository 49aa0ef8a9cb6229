"""A scorer of MLflow's as a metric, `mlflow?scorer=FILE.py:NAME`, or `module:name`, or one that ships with MLflow.

`yes` and `no` are 1 and 0; a scorer that fails is counted as such, and never left out. It is called with `outputs`, the
answer; with `inputs`: `messages`, `question` (the last turn of the user) and `contexts`; and with `expectations`:
`expected_response`, where there is a reference. `scorer` is the other way: a metric of ours for
`mlflow.genai.evaluate`.
"""

import hashlib
import importlib
import importlib.util
import inspect
import json
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mlaas_lab import registry
from mlaas_lab.environment import silence
from mlaas_lab.errors import UsageError, one_line
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Message, Sample, Score, ScoreStatus

AT_ONCE = 8
"""Answers scored at the same time: a scorer that asks somebody waits for him."""
WORDS = {"yes": 1.0, "true": 1.0, "pass": 1.0, "no": 0.0, "false": 0.0, "fail": 0.0}
"""What a scorer may say instead of a number."""
UNREADABLE = {"trace", "session"}
"""What a scorer may ask for and records do not hold."""


def _options(*, scorer: str = "", feedback: str = "", negate: bool = False) -> Metric:
    if not scorer:
        raise ValueError("no scorer is named, expected mlflow?scorer=FILE.py:NAME")
    silence()
    found, content = _found(scorer)
    asked = _asked_for(found)
    if unreadable := sorted(asked & UNREADABLE):
        raise ValueError(f"scorer {scorer!r} reads a {unreadable[0]}, and an answer has none")

    def score_many(outputs: Sequence[str], samples: Sequence[Sample]) -> list[Score]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            work = [pool.submit(_run, found, *one) for one in zip(outputs, samples, strict=True)]
        return [_score(one, feedback, sign=-1 if negate else 1) for one in work]

    return Metric(
        unit="score",
        higher_is_better=True,
        needs=frozenset({"reference"}) if "expectations" in asked else frozenset(),
        score_many=score_many,
        options=_options,
        content=content,
    )


def _found(name: str) -> tuple[Any, str]:
    """The scorer called `name`, and a digest of the file it stands in.

    Raises:
        ValueError: if there is none, or it needs to be told more.
    """
    from mlflow.genai import scorers

    where, _, attribute = name.rpartition(":")
    module = _module(where or "mlflow.genai.scorers")
    found = getattr(module, attribute, None)
    if inspect.isclass(found) and issubclass(found, scorers.Scorer):
        try:
            found = found()
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} needs more words, so make one in a file: {one_line(error)}") from None
    if not isinstance(found, scorers.Scorer):
        raise ValueError(f"{where or 'MLflow'} has no scorer {attribute!r}, expected one made by @scorer")
    file = Path(getattr(module, "__file__", None) or "")
    return found, hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def _module(where: str) -> Any:
    path = Path(where).expanduser()
    if path.suffix != ".py":
        try:
            return importlib.import_module(where)
        except ImportError as error:
            raise ValueError(f"{where} cannot be imported: {one_line(error)}") from None
    spec = importlib.util.spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"{where} does not exist, expected a file with a scorer")
    module = importlib.util.module_from_spec(spec)
    with ThreadPoolExecutor(1) as pool:
        failed = pool.submit(spec.loader.exec_module, module).exception()
    if isinstance(failed, ModuleNotFoundError):
        raise failed
    if failed is not None:
        raise ValueError(f"{where} cannot be imported: {one_line(failed)}")
    return module


def _asked_for(scorer: Any) -> set[str]:
    """What `scorer` cannot do without, by MLflow's names."""
    columns = {column.partition("/")[0] for column in getattr(scorer, "required_columns", ())}
    parameters = inspect.signature(scorer.__call__).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return columns | {one.name for one in parameters if one.default is one.empty and one.kind in kinds}


def _run(scorer: Any, output: str, sample: Sample) -> Any:
    """What `scorer` says of one answer, as it says it."""
    asked = [message.content for message in sample.messages if message.role == "user"]
    return scorer.run(
        inputs={
            "messages": [{"role": message.role, "content": message.content} for message in sample.messages],
            "question": asked[-1] if asked else "",
            "contexts": list(sample.contexts),
        },
        outputs=output,
        expectations={} if sample.reference is None else {"expected_response": sample.reference},
    )


def _score(work: Future[Any], feedback: str, *, sign: int) -> Score:
    """What a scorer said as a score of ours; if it failed, why."""
    if (error := work.exception()) is not None:
        late = isinstance(error, TimeoutError) or type(error).__name__ == "MlflowTimeoutError"
        status = ScoreStatus.TIMEOUT if late else ScoreStatus.JUDGE_ERROR
        return Score(value=None, status=status, reason=one_line(error))
    said = work.result()
    try:
        one = _picked(said, feedback) if isinstance(said, list) else said
        if (failed := getattr(one, "error", None)) is not None:
            reason = f"{failed.error_code}: {failed.error_message}"
            return Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason=reason)
        return _number(getattr(one, "value", one), getattr(one, "rationale", None), sign)
    except (ValueError, TypeError) as error:
        return Score(value=None, status=ScoreStatus.PARSE_ERROR, reason=str(error))


def _picked(said: list[Any], feedback: str) -> Any:
    named = [one for one in said if feedback in ("", one.name)]
    if len(named) != 1:
        names = ", ".join(sorted(str(one.name) for one in said)) or "nothing"
        raise ValueError(f"the scorer gives {names}; choose one: mlflow?scorer=...&feedback=NAME")
    return named[0]


def _number(value: Any, reason: str | None, sign: int) -> Score:
    """The score that a scorer's value says.

    Raises:
        ValueError: if it is no number and no yes or no.
    """
    if value is None:
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=reason or "the scorer gives no value")
    if isinstance(value, str):
        word = str(getattr(value, "value", value)).strip().lower()
        if word not in WORDS:
            raise ValueError(f"the scorer says {value!r}, expected a number, or yes or no")
        return Score(value=sign * WORDS[word], reason=reason)
    number = float(value)
    if not math.isfinite(number):
        return Score(value=None, status=ScoreStatus.JUDGE_ERROR, reason=f"the scorer gives {number}")
    return Score(value=sign * number, reason=reason)


def scorer(name: str) -> Any:
    """Metric `name` of ours, options included, as a scorer for `mlflow.genai.evaluate`.

    It gives two feedbacks a row: the score under the metric's name, an error where there is none, and NAME_scored,
    whether there is one. MLflow leaves errors out of its means, so the second one's mean is the share that counts.
    What an option has besides letters, digits, dots and dashes is `_` in NAME: MLflow takes nothing else.

    Raises:
        UsageError: for an unknown metric or option, or a metric that asks a judge.
        MissingExtra: if a library it needs is not installed.
    """
    from mlflow.genai.scorers import scorer as made

    silence()
    metric = registry.configured("metric", name)
    if metric.score is None and metric.score_many is None:
        raise UsageError(f"{name} asks a judge, which `mlaas eval` does.", next="Choose a metric without a judge.")

    shown = re.sub("[^A-Za-z0-9_.-]+", "_", name).strip("_")

    def ours(inputs: Any, outputs: Any, expectations: Any = None) -> list[Any]:
        return _feedbacks(shown, _scored(metric, _text(outputs), _sample(inputs, expectations)))

    return made(ours, name=shown)


def _scored(metric: Metric, output: str, sample: Sample) -> Score:
    """What `metric` says of one answer; what it raises is MLflow's business, which keeps it as an error."""
    if lacking := next((needed for needed in sorted(metric.needs) if not getattr(sample, needed)), ""):
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"no {lacking}")
    if metric.score is not None:
        said: float | Score | None = metric.score(output, sample)
    else:
        said = metric.score_many([output], [sample])[0] if metric.score_many else None
    if isinstance(said, Score):
        return said
    if said is None or not math.isfinite(said):
        return Score(value=None, status=ScoreStatus.NOT_APPLICABLE, reason=f"the metric gives {said}")
    return Score(value=float(said))


def _feedbacks(name: str, score: Score) -> list[Any]:
    from mlflow.entities import AssessmentError, Feedback

    failed = None
    if score.value is None:
        failed = AssessmentError(error_code=score.status.upper(), error_message=score.reason or "no reason given")
    said = Feedback(name=name, value=score.value, error=failed, rationale=score.reason)
    return [said, Feedback(name=f"{name}_scored", value=score.value is not None)]


def _sample(inputs: Any, expectations: Any) -> Sample:
    """A row of MLflow's as a sample of ours."""
    given = inputs if isinstance(inputs, Mapping) else {"question": inputs}
    turns = given.get("messages")
    if not isinstance(turns, list):
        words = [value for value in given.values() if isinstance(value, str)]
        turns = [{"role": "user", "content": words[0] if len(words) == 1 else json.dumps(given, default=str)}]
    contexts = given.get("contexts") or ()
    known = expectations if isinstance(expectations, Mapping) else {}
    reference = known.get("expected_response")
    return Sample(
        id="",
        messages=tuple(Message(role=turn["role"], content=_text(turn["content"])) for turn in turns),
        reference=None if reference is None else _text(reference),
        contexts=tuple(map(str, [contexts] if isinstance(contexts, str) else contexts)),
    )


def _text(value: Any) -> str:
    """A row's output as text, a chat completion's content included."""
    from mlflow.genai.utils.trace_utils import parse_outputs_to_str

    return value if isinstance(value, str) else str(parse_outputs_to_str(value))


def _nameless(_samples: Sequence[Sample]) -> str:
    return "no scorer is named; write mlflow?scorer=FILE.py:NAME"


metric = Metric(
    unit="score",
    higher_is_better=True,
    score_many=lambda outputs, _samples: [None] * len(outputs),
    check=_nameless,
    options=_options,
)
