"""`estimate` by hand: an evaluation between its ends, a month of traffic, a rented GPU beside it; nobody is asked."""

import json

import pytest

from mlaas_lab import pricing
from mlaas_lab.commands import _dispatch
from mlaas_lab.commands._estimating import FEWER, MORE, calls, guessed
from mlaas_lab.commands._pricing import reason
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.schema import Message, Sample, Target, Usage

TRAFFIC = ("--requests-per-day", "1000", "--input-tokens", "800", "--output-tokens", "150")


def run(lab, *words):
    return _dispatch.execute(["estimate", *words], lab)


@pytest.fixture
def rows(tmp_path):
    """Two questions of 40 and 80 bytes; answers of 8 and 12."""
    path = tmp_path / "rows.jsonl"
    pairs = [("q" * 40, "a" * 8), ("r" * 80, "b" * 12)]
    path.write_text("".join(json.dumps({"prompt": q, "completion": a}) + "\n" for q, a in pairs))
    return path


def test_tokens_are_guessed_from_bytes():
    assert guessed([Message(role="user", content="q" * 40)]) == 14
    assert guessed([Message(role="user", content="é" * 3)]) == 6  # 6 bytes, rounded up, and 4


def test_evaluation_by_hand(lab, rows):
    found = run(
        lab, "--data", str(rows), "--targets", "openai/gpt-4o", "--repeats", "3", "--max-tokens", "100"
    ).as_json()
    [line] = found["targets"]
    assert found["calls"] == 6
    # 14 and 24 tokens go in; 2 and 3 come out. Dollars per million: 2.5 and 10; each call is rounded up.
    assert line["likely_usd"] == pytest.approx(3 * (55e-6 + 90e-6))
    # 11 and 19 in (a fifth fewer), 1 out: 37.5 and 57.5
    assert line["low_usd"] == pytest.approx(3 * (38e-6 + 58e-6))
    # 22 and 38 in (55 % more), 100 out: 1055 and 1095
    assert line["high_usd"] == pytest.approx(3 * (1055e-6 + 1095e-6))
    assert line["source"].startswith("genai-prices ")
    assert line["date"]
    assert found["total"] == {key: line[key] for key in ("low_usd", "likely_usd", "high_usd")}


def test_length_of_answers_may_be_given(lab, rows):
    words = ("--data", str(rows), "--targets", "openai/gpt-4o", "--max-tokens", "100")
    [line] = run(lab, *words, "--output-tokens", "40").as_json()["targets"]
    assert line["likely_usd"] == pytest.approx(435e-6 + 460e-6)
    [longer] = run(lab, *words, "--output-tokens", "4000").as_json()["targets"]
    assert longer["likely_usd"] == pytest.approx(1035e-6 + 1060e-6), "no answer is longer than max_tokens"


def test_unknown_length_is_a_dash_and_not_unpriced(lab, tmp_path):
    path = tmp_path / "asks.jsonl"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "Hello"}]}) + "\n")
    found = run(lab, "--data", str(path), "--targets", "openai/gpt-4o")
    assert found.as_json()["targets"][0]["likely_usd"] is None
    assert found.as_json()["targets"][0]["high_usd"] > 0
    assert "–" in str(found)
    assert "unpriced" not in str(found)
    assert "nobody says: --output-tokens N" in " ".join(str(found).split())


def test_unpriced_are_named_and_in_no_sum(lab, rows):
    found = run(lab, "--data", str(rows), "--targets", "openai/gpt-4o,sagemaker/x,qianfan/y,echo/z")
    told = found.as_json()
    assert told["unpriced"] == ["sagemaker/x", "qianfan/y"]
    assert told["total"]["likely_usd"] == told["targets"][0]["likely_usd"] + 0
    shown = " ".join(str(found).split())
    assert "all with a price" in shown
    assert "sagemaker/x is unpriced: its machine is rented by the hour" in shown
    assert "qianfan/y is unpriced: no price list knows qianfan/y" in shown


def test_nothing_priced_has_no_sum(lab, rows):
    found = run(lab, "--data", str(rows), "--targets", "sagemaker/x,sagemaker/y")
    assert found.as_json()["total"] == {"low_usd": None, "likely_usd": None, "high_usd": None}
    assert "$" not in str(found)


def test_month_by_hand(lab):
    found = run(lab, *TRAFFIC, "--targets", "openai/gpt-4o-mini,openai/gpt-4o").as_json()
    # 800 × 0.15 + 150 × 0.6 = 210 micro-dollars a request; 800 × 2.5 + 150 × 10 = 3500
    assert [line["likely_usd"] for line in found["targets"]] == pytest.approx([6.30, 105.00])
    assert found["total"]["likely_usd"] == pytest.approx(111.30)
    assert (found["calls"], found["days"]) == (30_000, 30)


def test_cached_input_and_other_days(lab):
    words = (*TRAFFIC, "--targets", "openai/gpt-4o", "--days", "7", "--cached-tokens", "600")
    [line] = run(lab, *words).as_json()["targets"]
    # 200 × 2.5 + 600 × 1.25 + 150 × 10 = 2750 micro-dollars
    assert line["likely_usd"] == pytest.approx(7000 * 2750e-6)


def test_machine_beside_them(lab):
    words = ("--gpu", "h100", "--cloud", "aws", "--region", "us-east-1", "--gpus", "2", "--hours-per-day", "8")
    found = run(lab, *TRAFFIC, "--targets", "openai/gpt-4o-mini", *words)
    machine = found.as_json()["machine"]
    assert machine["usd"] == pytest.approx(6.88 * 2 * 8 * 30)
    assert machine["source"].startswith("skypilot-org/skypilot-catalog")
    shown = str(found)
    assert "2 × h100, aws in us-east-1" in shown
    assert "$3,302.40" in shown
    assert "$110.08" in shown, "a day"


def test_machine_alone(lab):
    found = run(lab, *TRAFFIC, "--gpu", "l4", "--cloud", "aws")
    assert found.as_json()["targets"] == []
    assert found.as_json()["machine"]["usd"] == pytest.approx(0.8048 * 24 * 30)
    assert "How much traffic it bears" in " ".join(str(found).split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say --data FILE or --requests-per-day N"),
        (("--requests-per-day", "5"), "Say --targets A,B or --gpu NAME"),
        (("--requests-per-day", "5", "--targets", "echo/x"), "Say --input-tokens N --output-tokens N"),
        ((*TRAFFIC, "--targets", "openai/gpt-4o", "--cached-tokens", "801"), "--cached-tokens 801 is more than"),
        ((*TRAFFIC, "--targets", "opnai/gpt-4o"), "Did you mean 'openai'"),
        ((*TRAFFIC, "--gpu", "h100"), "Say --cloud aws"),
        ((*TRAFFIC, "--gpu", "h100", "--cloud", "asw"), "Did you mean 'aws'"),
        ((*TRAFFIC, "--gpu", "h100", "--cloud", "gcp", "--region", "us-central1"), "'h100 in us-east4'"),
        ((*TRAFFIC, "--gpu", "b300", "--cloud", "lambda"), "Known: gh200, a6000, v100"),
        ((*TRAFFIC, "--gpu", "h100", "--cloud", "zzz"), "Give one of your own"),
        ((*TRAFFIC, "--data", "x.jsonl", "--targets", "echo/x"), "Say --data FILE or"),
    ],
)
def test_bad_words_are_one_line(lab, words, said):
    with pytest.raises(UsageError) as caught:
        run(lab, *words)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gpu_needs_traffic(lab, rows):
    with pytest.raises(UsageError, match="Say --requests-per-day N in place of --data"):
        run(lab, "--data", str(rows), "--targets", "echo/x", "--gpu", "l4", "--cloud", "aws")


def test_base_that_is_not_here(lab, rows):
    with pytest.raises(DataError, match=r"tokens cannot be counted: .* Leave out --base"):
        run(lab, "--data", str(rows), "--targets", "echo/x", "--base", "tiny")


def test_stated_error_holds_for_its_ends():
    """Ends of the guess, from the samples it was measured on: tokens by bytes / 4, and what o200k and cl100k count."""
    measured = [(73187, 18312), (73187, 18057), (82004, 20204), (28122, 7367), (220, 44), (216, 82)]
    for n_bytes, n_tokens in measured:
        assert FEWER * n_bytes / 4 <= n_tokens <= MORE * n_bytes / 4


def test_counted_tokens_have_no_spread():
    """With a tokenizer, here one token a word and 3 a message, only the answers are unknown."""

    def count(messages):
        return sum(len(message.content.split()) + 3 for message in messages)

    asks = [
        Sample(id=str(n), messages=(Message(role="user", content="a b c"),), reference="yes it is") for n in range(4)
    ]
    [size] = calls(asks, repeats=2, max_tokens=50, output_tokens=None, count=count)
    assert (size.n, size.input_tokens) == (8, 6)
    assert (size.low, size.high) == (Usage(input_tokens=6, output_tokens=1), Usage(input_tokens=6, output_tokens=50))
    assert size.likely == Usage(input_tokens=6, output_tokens=6), "the reference and what frames it"


def test_our_own_endpoint_is_priced_by_its_machine():
    why = reason(Target(model="support"), 1.8e9, pricing.NONE)
    assert "served here" in str(why)
    assert "estimate --gpu" in str(why)


def test_data_that_is_not_there(lab):
    with pytest.raises(DataError, match=r"gone\.jsonl"):
        run(lab, "--data", "gone.jsonl", "--targets", "echo/x")
