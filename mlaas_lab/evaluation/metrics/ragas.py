"""A metric of ragas by its name there, `ragas?name=faithfulness&judge=TARGET`, with any target as its judge.

It runs in the interpreter that `python=` or the setting `ragas_python` names, with its own prompts and arithmetic, but
without a network, a key or a file: what it would ask a model goes through our client, so that it costs, counts and is
kept like any judge. Where it compares texts, the vectors are those of our own sentence embeddings.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from mlaas_lab import embeddings
from mlaas_lab.errors import did_you_mean
from mlaas_lab.evaluation.bridges import Bridge, Died, Refused
from mlaas_lab.evaluation.bridges.dialogue import Consultation
from mlaas_lab.evaluation.bridges.tools import RAGAS
from mlaas_lab.evaluation.judge import Consulted, question
from mlaas_lab.evaluation.metrics import Metric
from mlaas_lab.schema import Sample
from mlaas_lab.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a metric of ragas needs."""

    needs: tuple[str, ...] = ()
    calls: int = 1
    """Of the judge for one answer, about."""
    embeds: bool = False


KINDS = {
    "answer_accuracy": Kind(needs=("reference",), calls=2),
    "answer_correctness": Kind(needs=("reference",), calls=3, embeds=True),
    "answer_relevancy": Kind(calls=3, embeds=True),
    "context_entity_recall": Kind(needs=("contexts", "reference"), calls=2),
    "context_precision": Kind(needs=("contexts", "reference"), calls=3),
    "context_recall": Kind(needs=("contexts", "reference")),
    "context_relevance": Kind(needs=("contexts",), calls=2),
    "context_utilization": Kind(needs=("contexts",), calls=3),
    "factual_correctness": Kind(needs=("reference",), calls=4),
    "faithfulness": Kind(needs=("contexts",), calls=2),
    "response_groundedness": Kind(needs=("contexts",), calls=2),
    "summary_score": Kind(needs=("contexts",), calls=3),
}
"""Those that ask a judge about one answer, and of which more is better."""
LIBRARIES = (embeddings.PACKAGE, "transformers", "torch", "tokenizers")


def _shown(output: str, sample: Sample) -> dict[str, Any]:
    contexts = list(sample.contexts)
    return {"output": output, "question": question(sample), "contexts": contexts, "reference": sample.reference}


def _vectors(texts: Sequence[str]) -> list[list[float]]:
    found: list[list[float]] = embeddings.embedded(texts, embeddings.own()).tolist()
    return found


def _told(start: partial[Bridge]) -> tuple[str, str]:
    """The prompts of the metric, and why it cannot be used; one of the two is empty.

    Raises:
        MissingExtra: if there is no such interpreter, or it lacks the library.
    """
    try:
        with start() as bridge:
            return bridge.ask("about")["prompts"], ""
    except (Refused, Died, TimeoutError) as error:
        return "", str(error)


def _options(
    *,
    judge: str = "",
    name: str = "",
    times: int = 1,
    temperature: float = 0.0,
    python: str = "",
    limit_s: float = 60.0,
) -> Metric:
    if name and name not in KINDS:
        raise ValueError(f"name is {name!r}, expected one of {', '.join(KINDS)}. {did_you_mean(name, KINDS)}".strip())
    if not limit_s > 0:
        raise ValueError(f"limit_s is {limit_s}, expected more than 0")
    kind = KINDS.get(name, Kind())

    def by(interpreter: str, prompts: str = "", wrong: str = "") -> Metric:
        start = partial(RAGAS.bridge, interpreter, task=name)
        return Metric(
            unit="score",
            higher_is_better=True,
            needs=frozenset(kind.needs),
            judge=Consulted(
                prompt=prompts,
                given={"name": name},
                shows=("question", "contexts", "reference", "answer"),
                target=judge,
                times=times,
                temperature=temperature,
                tool=lambda: Consultation(start, show=_shown, embed=_vectors, limit_s=limit_s),
                about_calls=kind.calls,
            ),
            check=lambda _samples: wrong,
            options=_options,
            libraries=LIBRARIES if kind.embeds else (),
        )

    def settled(settings: Settings) -> Metric:
        interpreter = python or RAGAS.python(settings)
        return by(interpreter, *_told(partial(RAGAS.bridge, interpreter, task=name)))

    return replace(by(python), settled=settled)


metric = _options()
