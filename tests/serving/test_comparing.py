"""Whether an endpoint is what was trained, decided from tokens: pure cases, and what a wider tolerance would miss."""

import math

import pytest

from mlaas_lab.errors import DataError, JobError
from mlaas_lab.serving import _comparing
from mlaas_lab.serving._comparing import Here, Told, check_adapter, check_reading, compared, parting, shown

PROMPT = (1, 2, 3)
END = 9
HERE = Here(prompts=[PROMPT], answers=[(5, 6, END)], ends=frozenset({END}), effect_nats=2.0, bases=[(7, 7, 7)])


def told(*tokens: int, sure: tuple[float, ...] | None = None, prompt=PROMPT) -> list[Told]:
    return [Told(prompt=prompt, tokens=tokens, log_probabilities=sure)]


def likely(said, best=None):
    return [{"said": list(said), "best": list(best or said)}]


def test_the_same_tokens_are_the_same_model():
    found = compared("a", told(5, 6, END), HERE, likely([-0.1, -0.2, -0.3]), 0.05)
    assert (found.first_difference, found.gap_nats, found.behind_nats) == (None, None, 0.0)
    assert (found.prompts, found.tokens, found.effect_nats, found.checked) == (1, 3, 2.0, True)
    assert "none differs" in shown(found)


def test_an_end_that_is_not_told_is_no_difference():
    assert compared("a", told(5, 6), HERE, likely([-0.1, -0.2]), 0.05).first_difference is None
    assert compared("a", told(5), HERE, likely([-0.1]), 0.05).first_difference == 1


def test_the_largest_gap_is_kept():
    found = compared("a", told(5, 6, sure=(-0.1, -0.23)), HERE, likely([-0.1, -0.2]), 0.05)
    assert found.gap_nats == pytest.approx(0.03)
    assert "log-probabilities by up to 0.03 nats" in shown(found)


def test_a_near_tie_may_part_the_answers():
    found = compared("a", told(5, 8, 8), HERE, likely([-0.1, -0.72, -0.1], [-0.1, -0.70, -0.1]), 0.05)
    assert found.first_difference == 1
    assert found.behind_nats == pytest.approx(0.02)
    assert "token 2 differs" in shown(found)


def test_a_token_that_nobody_would_take_is_another_model():
    with pytest.raises(JobError, match=r"'a' is not the model that was trained: .* from token 2 on, by up to 3 nats"):
        compared("a", told(5, 8), HERE, likely([-0.1, -3.2], [-0.1, -0.2]), 0.05)


def test_so_is_the_right_token_for_other_reasons():
    """The same text from other weights: only log-probabilities tell."""
    with pytest.raises(JobError, match=r"none of its tokens differs, by up to 0\.9 nats where 0\.05 may be rounding"):
        compared("a", told(5, 6, sure=(-0.1, -1.1)), HERE, likely([-0.1, -0.2]), 0.05)


def test_who_answers_as_the_base_is_told_so():
    with pytest.raises(JobError, match="It answers as its base does"):
        compared("a", told(7, 7, 7), HERE, likely([-4.0] * 3, [-0.1] * 3), 0.05)


def test_a_tolerance_without_end_would_pass_anything():
    """The sabotaged twin."""
    assert compared("a", told(7, 7, 7), HERE, likely([-4.0] * 3, [-0.1] * 3), math.inf).first_difference == 0


def test_narrower_numbers_may_differ_more():
    widths = _comparing.TOLERANCE_NATS
    assert widths["float32"] < widths["float16"] < widths["bfloat16"] < _comparing.QUANTIZED_NATS


@pytest.mark.parametrize("effect", [0.0, 1e-7])
def test_an_adapter_without_effect_is_refused(effect):
    with pytest.raises(DataError, match=r"adapter 'a' has no effect.*--no-parity"):
        check_adapter("a", None, effect)


@pytest.mark.parametrize("effect", [None, 1e-3])
def test_a_small_effect_is_one_and_a_base_has_none(effect):
    check_adapter("a", None, effect)


def test_another_tokenizer_is_said():
    with pytest.raises(DataError, match="adapter 'a' has another tokenizer than the server would use: 'x' is token 3"):
        check_adapter("a", {"what": "tokenizer", "detail": "'x' is token 3, and 4 of the base"}, 1.0)


@pytest.mark.parametrize(
    ("prompt", "place"),
    [((1, 4, 3), "token 2 of prompt 1 is 4 there, and 2"), ((1, 2), "token 3 of prompt 1 is over there, and 3")],
)
def test_a_prompt_that_is_read_otherwise_is_refused(prompt, place):
    with pytest.raises(DataError, match=f"another chat template or tokenizer .*{place}"):
        check_reading("a", told(5, prompt=prompt), HERE)


def test_parting():
    assert parting((1, 2), (1, 2)) is None
    assert parting((), ()) is None
    assert parting((1, 2), (1,)) == 1
    assert parting((3,), (1,)) == 0
