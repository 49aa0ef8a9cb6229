"""`price` says the number, where it comes from and since when; what has none, why and what to do."""

import json

import pytest

from mlaas_lab.commands import _dispatch
from mlaas_lab.commands._pricing import placed
from mlaas_lab.errors import DataError, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.settings import Preferences

YUAN = (
    "vendor: {vendor}\nevery: {{currency: CNY, valid_from: 2026-01-01, source: a letter of May}}\nprices:\n"
    '  - {{model: m, unit: 1M input tokens, value: "0.8", note: a discount}}\n'
    '  - {{model: m, unit: 1M output tokens, value: "2"}}\n'
)


def run(lab, *words):
    return _dispatch.execute(["price", *words], lab)


@pytest.fixture
def own(tmp_path, home):
    """A lab whose user has lists of his own."""

    def made(text, **settings):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return Lab(Preferences().flag(prices=path, **settings))

    return made


def test_number_unit_source_and_day(lab):
    shown = str(run(lab, "openai/gpt-4o"))
    assert "A call of 1,000 input and 250 output tokens" in shown
    assert "$0.005" in shown
    for word in ("For 1M tokens", "Input", "$2.50", "Cached input", "$1.25", "$10.00", "Source: genai-prices "):
        assert word in shown


def test_example_by_hand_and_in_json(lab):
    found = run(lab, "openai/gpt-4o", "--input-tokens", "2000", "--output-tokens", "100").as_json()
    [row] = json.loads(json.dumps(found))["prices"]
    assert row["example"]["usd"] == 0.006  # 2000 × 2.5 + 100 × 10 per million
    assert row["priced"] is True
    assert {price["unit"]: price["value"] for price in row["prices"]}["1M input tokens"] == "2.5"


def test_region_and_first_day(lab):
    shown = str(run(lab, "dashscope/qwen-max?region=ap-southeast-1"))
    assert "ap-southeast-1" in shown
    assert "2026-10-21" in shown
    assert "LiteLLM" in shown


def test_region_comes_from_the_environment_as_in_a_call(lab, monkeypatch):
    assert "unpriced" in str(run(lab, "dashscope/qwen-max"))
    monkeypatch.setenv("DASHSCOPE_API_REGION", "ap-southeast-1")
    assert "unpriced" not in str(run(lab, "dashscope/qwen-max"))
    assert placed("dashscope/qwen-max?region=us-east-1", lab).get("region") == "us-east-1"


def test_foreign_currency_with_its_rate(own):
    found = run(own(YUAN.format(vendor="modelarts")), "modelarts/m")
    shown = str(found)
    for word in ("CNY 0.80", "CNY 2.00", "CNY 6.65288 = USD 1 on 2026-10-30", "European Central Bank", "a discount"):
        assert word in shown
    assert found.as_json()["prices"][0]["prices"][0]["rate"]["date"] == "2026-10-30"


def test_own_rate_says_that_it_is_one(own):
    shown = str(run(own(YUAN.format(vendor="modelarts"), cny_per_usd="8"), "modelarts/m"))
    assert "$0.0001625" not in shown
    assert "CNY 8 = USD 1 (setting cny_per_usd)" in shown
    assert "$0.0001" in shown


def test_no_rate_is_shown_in_its_currency_and_unpriced(own):
    shown = str(run(own(YUAN.format(vendor="modelarts").replace("CNY", "SEK")), "modelarts/m"))
    for word in ("SEK 0.80", "unpriced", "nobody says what a dollar buys in SEK"):
        assert word in shown


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("openai/gpt-4oo", "Did you mean 'gpt-4o'"),
        ("openai/gpt-4oo", "named by the setting `prices`"),
        (
            "dashscope/qwen-max",
            "its price is known in ap-southeast-1 and not in cn-beijing. Write ?region=ap-southeast-1",
        ),
        ("qianfan/ernie-4.5-turbo", "no price list knows qianfan/ernie-4.5-turbo"),
        ("watsonx/core42/jais-13b-chat", "the only price at hand is suspect"),
        ("sagemaker/any", "rented by the hour"),
        ("openai/gpt-4o?base_url=http://127.0.0.1:1/v1", "listens on this machine"),
    ],
)
def test_unpriced_says_why_and_what_to_do(lab, target, said):
    found = run(lab, target)
    assert said in " ".join(str(found).split())
    [row] = found.as_json()["prices"]
    assert row["priced"] is False
    assert row["example"]["usd"] is None
    assert row["reason"]
    assert row["next"]


def test_free_is_not_unpriced(lab):
    [row] = run(lab, "echo/any").as_json()["prices"]
    assert (row["priced"], row["example"]["usd"], row["reason"]) == (True, 0, None)


def test_emulated_is_priced_and_says_so(lab):
    [row] = run(lab, "openai/gpt-4o?emulated=yes").as_json()["prices"]
    assert row["example"]["source"].startswith("emulated: ")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("opnai/gpt-4o", "Did you mean 'openai'"),
        ("openai", "Write openai/MODEL"),
        ("support", "no endpoint 'support' is running"),
        ("openai/gpt-4o?regoin=eu", "unknown parameter 'regoin'"),
        ("/x", "has no model"),
    ],
)
def test_words_that_mean_nothing(lab, target, said):
    with pytest.raises(UsageError, match=said.replace("?", r"\?")) as caught:
        run(lab, target)
    assert "\n" not in str(caught.value)


def test_bad_list_is_one_line(own):
    with pytest.raises(DataError, match=r"own\.yaml: prices entry 1 \(m\), value") as caught:
        run(own(YUAN.format(vendor="modelarts").replace('"0.8"', "0.8")), "openai/gpt-4o")
    assert "\n" not in str(caught.value)


def test_bad_list_makes_an_answer_unpriced_and_is_said_once(own):
    lab = own("prices: [")
    shown = str(_dispatch.execute(["ask", "hello", "--targets", "echo/any", "--repeat", "2"], lab))
    shown = " ".join(shown.split())
    assert shown.count("cannot be read as a price list") == 1
