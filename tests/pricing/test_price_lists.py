"""Lists on disk: each entry has a source and a day; the user's own win; a bad one is one line and no price at all."""

import datetime as dt
from decimal import Decimal

import pytest

from mlaas_lab import pricing
from mlaas_lab.errors import DataError
from mlaas_lab.pricing.entries import CALL_UNITS, read
from mlaas_lab.pricing.lists import OURS
from mlaas_lab.schema import Cost, Target, Usage
from mlaas_lab.settings import Preferences

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC).timestamp()
MILLION = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
FILES = sorted(OURS.glob("*.yaml"))
HEAD = "vendor: acme\nevery: {currency: USD, valid_from: 2026-01-01, source: a letter}\n"
PAIR = '  - {model: m, unit: 1M input tokens, value: "%s"}\n  - {model: m, unit: 1M output tokens, value: "%s"}\n'


@pytest.fixture
def book(tmp_path):
    """The user's lists, from the text of a file."""

    def made(text, **settings):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        return pricing.lists(Preferences().flag(prices=path, **settings).settings())

    return made


def usd(target, book=pricing.NONE, usage=MILLION, at=AT):
    return pricing.cost(Target.parse(target), usage, at=at, book=book).usd


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestOurs:
    def test_file_is_named_after_its_vendor(self, path):
        assert read(path).vendor == path.stem

    def test_every_entry_has_a_source_and_a_day(self, path):
        found = read(path)
        assert found.prices or found.rates
        for entry in found.prices:
            assert entry.source.strip()
            assert dt.date(2026, 1, 1) <= entry.valid_from <= dt.date(2026, 11, 22)
        for rate in found.rates:
            assert rate.source.strip()
            assert rate.date is not None

    def test_no_entry_is_there_twice(self, path):
        keys = [
            (e.model, e.pattern, e.unit, e.region, e.above_input_tokens, e.valid_from, e.gpu) for e in read(path).prices
        ]
        assert len(keys) == len(set(keys))

    def test_what_is_priced_per_token_has_input_and_output(self, path):
        units = {}
        for entry in read(path).prices:
            if entry.unit in CALL_UNITS:
                units.setdefault((entry.model, entry.above_input_tokens), set()).add(entry.unit)
        assert all({"1M input tokens", "1M output tokens"} <= found for found in units.values())


def test_there_are_lists():
    assert {"watsonx", "dashscope", "tencent", "replicate", "aws", "gcp", "azure"} <= {path.stem for path in FILES}


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("watsonx/ibm/granite-4-h-small", "0.3286"),  # 0.0636 + 0.265
        ("replicate/meta/llama-3-8b", "0.3"),  # 0.05 + 0.25
        ("tencent/glm-5.2", "5.8"),  # 1.4 + 4.4
        ("tencent/glm-5.2?site=tokenhub", "5.8"),
        ("dashscope/qwen-plus?region=ap-southeast-1", "1.6"),  # 0.4 + 1.2
    ],
)
def test_ours_price_a_call(target, expected):
    assert usd(target) == Decimal(expected)


@pytest.mark.parametrize(
    "target",
    [
        "dashscope/qwen-plus",
        "dashscope/qwen-plus?region=cn-beijing",
        "tencent/glm-5.2?site=hunyuan",
        "tencent/glm-5.2?api=native",
        "watsonx/core42/jais-13b-chat",  # suspect
        "qianfan/ernie-4.5",
        "modelarts/deepseek-v3",
        "watsonx/ibm/granite-4-h-small?base_url=https://gateway.example/v1",
    ],
)
def test_elsewhere_is_unknown(target):
    assert usd(target) is None


def test_price_before_it_was_read_is_unknown():
    before = dt.datetime(2026, 10, 20, tzinfo=dt.UTC).timestamp()
    assert usd("watsonx/ibm/granite-4-h-small", at=before) is None


def test_length_decides_the_price_of_the_whole_call():
    target = "dashscope/qwen-plus-latest?region=ap-southeast-1"
    short, long = (Usage(input_tokens=n, output_tokens=1000) for n in (256_000, 256_001))
    assert usd(target, usage=short) == Decimal("0.103600")  # 0.256 × 0.4 + 0.001 × 1.2
    assert usd(target, usage=long) == Decimal("0.310802")  # 0.256001 × 1.2 + 0.001 × 3.6, rounded up


def test_call_that_reasoned_pays_that_price_for_all_output():
    target = "dashscope/qwen-turbo?region=ap-southeast-1"
    thought = Usage(input_tokens=1_000_000, output_tokens=1_000_000, reasoning_tokens=1)
    assert usd(target) == Decimal("0.25")  # 0.05 + 0.2
    assert usd(target, usage=thought) == Decimal("0.55")  # 0.05 + 0.5


def test_cache_is_taken_out_of_the_input():
    target = "dashscope/qwen3.8-flash?region=ap-southeast-1"
    used = Usage(input_tokens=1_000_000, cached_tokens=600_000, cache_write_tokens=300_000, output_tokens=0)
    assert usd(target, usage=used) == Decimal("0.0846")  # 0.1 × 0.15 + 0.6 × 0.016 + 0.3 × 0.2


def test_at_the_time_of_the_call(book):
    mine = book(
        HEAD
        + "prices:\n"
        + PAIR % ("1", "2")
        + '  - {model: m, unit: 1M input tokens, value: "3", valid_from: 2026-06-01}\n'
        + '  - {model: m, unit: 1M input tokens, value: "9", valid_from: 2026-08-01, valid_to: 2026-08-31}\n'
    )
    days = {"2025-12-31": None, "2026-05-31": 3, "2026-06-01": 5, "2026-08-31": 11, "2026-09-01": 5}
    found = {day: usd("acme/m", mine, at=dt.datetime.fromisoformat(f"{day}T23:00Z").timestamp()) for day in days}
    assert found == days


def test_region_wins_over_everywhere_and_a_name_over_a_pattern(book):
    mine = book(
        HEAD
        + "prices:\n"
        + PAIR % ("1", "1")
        + '  - {model: m, unit: 1M input tokens, value: "4", region: eu}\n'
        + '  - {pattern: "*", unit: 1M input tokens, value: "7"}\n'
        + '  - {pattern: "*", unit: 1M output tokens, value: "7"}\n'
        + '  - {pattern: "big-*", unit: 1M output tokens, value: "8"}\n'
    )
    found = [usd(target, mine) for target in ("acme/m", "acme/m?region=eu", "acme/M?region=us", "acme/x", "acme/big-1")]
    assert found == [2, 5, 2, 14, 15]


def test_own_list_wins_over_genai_prices_and_ours(book):
    for vendor, model in (("openai", "gpt-4o"), ("watsonx", "ibm/granite-4-h-small")):
        mine = book(
            HEAD.replace("acme", vendor) + "prices:\n" + (PAIR % ("1", "1")).replace("model: m", f"model: {model}")
        )
        assert usd(f"{vendor}/{model}", mine) == 2
        assert pricing.cost(Target.parse(f"{vendor}/{model}"), MILLION, at=AT, book=mine).source == "a letter"
        assert usd(f"{vendor}/other", mine) is None


def test_folder_is_read_whole_and_again_when_it_changes(tmp_path):
    settings = Preferences().flag(prices=tmp_path / "lists").settings()
    (tmp_path / "lists").mkdir()
    assert "holds no .yaml file" in pricing.lists(settings).trouble
    for name in ("one", "two"):
        (tmp_path / "lists" / f"{name}.yaml").write_text(HEAD.replace("acme", name) + "prices:\n" + PAIR % ("1", "1"))
    assert usd("one/m", pricing.lists(settings)) == usd("two/m", pricing.lists(settings)) == 2


def test_currency_with_a_dated_rate(book):
    yuan = HEAD.replace("USD", "CNY") + "prices:\n" + PAIR % ("2", "4.65288")
    found = pricing.cost(Target.parse("acme/m"), MILLION, at=AT, book=book(yuan))
    assert found.usd == 1  # CNY 6.65288
    assert "2026-10-30" in found.source
    assert "European Central Bank" in found.source


def test_own_rates(book):
    yuan = HEAD.replace("USD", "CNY") + "prices:\n" + PAIR % ("2", "4")
    rates = (
        "rates:\n"
        '  - {currency: CNY, per_usd: "6", date: 2026-01-01, source: bank}\n'
        '  - {currency: CNY, per_usd: "8", date: 2026-12-01, source: bank}\n'
    )
    assert usd("acme/m", book(yuan + rates)) == 1
    assert usd("acme/m", book(yuan, cny_per_usd="3")) == 2
    assert usd("acme/m", book((yuan + rates).replace("CNY", "SEK"))) == 1


def test_currency_without_a_rate_is_shown_and_not_summed(book):
    mine = book(HEAD.replace("USD", "SEK") + "prices:\n" + PAIR % ("2", "4"))
    assert usd("acme/m", mine) is None
    [first, _] = pricing.prices(Target.parse("acme/m"), at=AT, book=mine)
    assert (first.value, first.currency, first.usd) == (2, "SEK", None)


BAD = [
    ("prices: [", "cannot be read as a price list"),
    ("- a\n- b\n", "should be a valid dictionary"),
    (HEAD.replace("acme", '""'), "vendor: "),
    (HEAD + "prices: 5\n", "prices: "),
    (HEAD + "prices: [5]\n", "prices entry 1: "),
    (HEAD + "prices:\n" + PAIR % ("1", "x"), "prices entry 2 (m), value: it is no number"),
    (HEAD + "prices:\n" + PAIR % ("-1", "1"), "prices entry 1 (m), value: it is no price"),
    (HEAD + "prices:\n" + PAIR % ("NaN", "1"), "prices entry 1 (m), value: it is no price"),
    (HEAD + "prices:\n  - {model: m, unit: 1M input tokens, value: 0.2}\n", 'write the number as text, as in "0.20"'),
    (HEAD + 'prices:\n  - {model: m, unit: token, value: "1"}\n', "(m), unit: known units: "),
    (HEAD + 'prices:\n  - {model: m, unit: hour, value: "1"}\n', "an hour needs the gpu it is of"),
    (HEAD + 'prices:\n  - {unit: 1M input tokens, value: "1"}\n', "prices entry 1: it needs a model or a pattern"),
    (HEAD.replace("USD", "dollars") + "prices:\n" + PAIR % ("1", "1"), "(m), currency: "),
    (HEAD.replace(", source: a letter", "") + "prices:\n" + PAIR % ("1", "1"), "(m), source: field required"),
    (HEAD + 'prices:\n  - {model: m, unit: 1M input tokens, value: "1", valid_to: 2025-01-01}\n', "valid_to is before"),
    (HEAD + 'prices:\n  - {model: m, unit: 1M input tokens, value: "1", prize: 1}\n', "(m), prize: extra inputs"),
    (HEAD + 'rates:\n  - {currency: SEK, per_usd: "0", source: s}\n', "rates entry 1 (SEK): a rate is more than 0"),
]


@pytest.mark.parametrize(("text", "said"), BAD, ids=range(len(BAD)))
def test_bad_list_is_one_line_and_no_price(book, tmp_path, text, said):
    mine = book(text)
    assert said in mine.trouble
    assert str(tmp_path / "own.yaml") in mine.trouble
    assert "\n" not in mine.trouble
    assert pricing.cost(Target.parse("openai/gpt-4o"), MILLION, at=AT, book=mine) == Cost(usd=None)
    assert pricing.prices(Target.parse("openai/gpt-4o"), at=AT, book=mine) == ()
    assert pricing.hourly("aws", "h100", None, AT, book=mine) is None


def test_list_that_is_not_there(tmp_path):
    mine = pricing.lists(Preferences().flag(prices=tmp_path / "none.yaml").settings())
    assert "none.yaml cannot be read" in mine.trouble


def test_reading_names_the_file(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"vendor: \xff\xfe")
    with pytest.raises(DataError, match=r"latin\.yaml cannot be read"):
        read(tmp_path / "latin.yaml")
