"""Whether an endpoint is the model that was trained, decided from tokens and how likely they are; pure.

The local model is shown what the endpoint answered. At every place the endpoint must have taken a token that the local
model holds for best, or for so near to the best that the width of the numbers explains it; so two answers that part
at a near tie pass, and an answer of other weights does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from mlaas_lab.errors import DataError, JobError
from mlaas_lab.schema import JSON, Parity

TOLERANCE_NATS: Mapping[str, float] = {"float32": 0.05, "float16": 0.1, "bfloat16": 0.5}
"""The largest gap of a log-probability that is put down to rounding. A logit of about 20 is off by up to half a unit in
the last place: 2⁻⁸ · 20 = 0.08 in bfloat16 (8 bits), 2⁻¹¹ · 20 = 0.01 in float16 and in the TF32 that GPUs may take for
float32 (11 bits). Several such errors add up over layers; other weights are off by whole nats."""
QUANTIZED_NATS = 2.0
"""The same where the server quantises the weights, which the local model does not."""
NO_EFFECT_NATS = 1e-6
"""An adapter that moves nothing by more has no effect; update matrices of zeros move nothing at all."""
ANYWAY = "Or serve it unchecked: --no-parity."


@dataclass(frozen=True, kw_only=True)
class Told:
    """One answer of an endpoint."""

    prompt: Sequence[int]
    """Tokens that it read."""
    tokens: Sequence[int]
    log_probabilities: Sequence[float] | None
    """One for each token; None where the engine tells none."""


@dataclass(frozen=True, kw_only=True)
class Here:
    """What the local model says of the same prompts."""

    prompts: Sequence[Sequence[int]]
    answers: Sequence[Sequence[int]]
    ends: frozenset[int]
    """Tokens that end an answer; some engines tell them, some do not."""
    effect_nats: float | None = None
    """How far the adapter moves its base."""
    bases: Sequence[Sequence[int]] | None = None
    """What the base answers; None for the base itself."""


def check_adapter(name: str, unlike: JSON, effect_nats: float | None) -> None:
    """Return when an adapter does something, and is read and written with what it was trained with.

    Raises:
        DataError: if not.
    """
    if unlike:
        raise DataError(
            f"adapter {name!r} has another {unlike['what']} than the server would use: {unlike['detail']}.",
            next=f"Train it again on that base, or take the {unlike['what']} of the training. {ANYWAY}",
        )
    if effect_nats is not None and effect_nats <= NO_EFFECT_NATS:
        raise DataError(
            f"adapter {name!r} has no effect: its answers, and how likely it holds every token, are its base's.",
            next=f"Train it again, or serve the base alone. {ANYWAY}",
        )


def check_reading(name: str, told: Sequence[Told], here: Here) -> None:
    """Return when the endpoint read every prompt as the model that was trained would.

    Raises:
        DataError: if its chat template or tokenizer gives other tokens.
    """
    for number, (one, prompt) in enumerate(zip(told, here.prompts, strict=True), 1):
        at = parting(one.prompt, prompt)
        if at is not None:
            there, ours = (str(tokens[at]) if at < len(tokens) else "over" for tokens in (one.prompt, prompt))
            raise DataError(
                f"endpoint {name!r} has another chat template or tokenizer than the model was trained with: token"
                f" {at + 1} of prompt {number} is {there} there, and {ours} as it was trained.",
                next=f"Leave out --chat-template and the like. {ANYWAY}",
            )


def compared(name: str, told: Sequence[Told], here: Here, likely: Sequence[JSON], tolerance_nats: float) -> Parity:
    """How the endpoint compares with the local model.

    Args:
        name: of the endpoint.
        told: its answers.
        here: the local model's.
        likely: for each answer, `said` and `best`: log-probabilities, held by the local model, of each token of the
            endpoint and of the best in its place.
        tolerance_nats: what rounding may explain.

    Raises:
        JobError: if rounding does not explain how they differ.
    """
    answers = [
        (_bare(one.tokens, here.ends), _bare(own, here.ends)) for one, own in zip(told, here.answers, strict=True)
    ]
    places = [at for there, own in answers if (at := parting(there, own)) is not None]
    behind = [best - said for one in likely for best, said in zip(one["best"], one["said"], strict=True)]
    gaps = [
        abs(there - said)
        for one, own in zip(told, likely, strict=True)
        if one.log_probabilities is not None
        for there, said in zip(one.log_probabilities, own["said"], strict=True)
    ]
    found = Parity(
        checked=True,
        prompts=len(told),
        tokens=sum(len(one.tokens) for one in told),
        first_difference=min(places, default=None),
        gap_nats=max(gaps, default=None),
        behind_nats=max(behind, default=None),
        effect_nats=here.effect_nats,
        tolerance_nats=tolerance_nats,
    )
    if max([*gaps, *behind], default=0.0) > tolerance_nats:
        raise _another(name, told, here, found)
    return found


def shown(found: Parity) -> str:
    """One line for the log."""
    if not found.checked:
        return "not compared with what was trained (--no-parity)"
    differs = "none differs" if found.first_difference is None else f"token {found.first_difference + 1} differs"
    gap = "" if found.gap_nats is None else f", log-probabilities by up to {found.gap_nats:.2g} nats"
    return f"compared over {found.prompts} prompts and {found.tokens} tokens: {differs}{gap}"


def parting(there: Sequence[int], here: Sequence[int]) -> int | None:
    """The first place at which both differ; None: they are the same."""
    return next((at for at, (a, b) in enumerate(zip_longest(there, here)) if a != b), None)


def _bare(tokens: Sequence[int], ends: frozenset[int]) -> Sequence[int]:
    return tokens[:-1] if tokens and tokens[-1] in ends else tokens


def _another(name: str, told: Sequence[Told], here: Here, found: Parity) -> JobError:
    base = here.bases is not None and all(
        parting(_bare(one.tokens, here.ends), _bare(own, here.ends)) is None
        for one, own in zip(told, here.bases, strict=True)
    )
    where = (
        "none of its tokens differs"
        if found.first_difference is None
        else (f"its answers differ from token {found.first_difference + 1} on")
    )
    worst = max(found.gap_nats or 0.0, found.behind_nats or 0.0)
    as_base = " It answers as its base does." if base else ""
    return JobError(
        f"endpoint {name!r} is not the model that was trained: {where}, by up to {worst:.2g} nats where"
        f" {found.tolerance_nats:g} may be rounding.{as_base}",
        next=f"Look at --dtype, --quantization and --engine-args. {ANYWAY}",
    )
