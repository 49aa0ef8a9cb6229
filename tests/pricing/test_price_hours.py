"""Hours of rented GPUs: per GPU, on demand, where and since when."""

import datetime as dt
from decimal import Decimal

import pytest

from mlaas_lab import pricing
from mlaas_lab.settings import Preferences

AT = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("cloud", "gpu", "region", "per_gpu"),
    [
        ("aws", "h100", "us-east-1", "6.88"),  # 55.04 / 8
        ("aws", "h100", "ap-northeast-2", "9.495"),  # 75.96 / 8
        ("aws", "H100", None, "6.88"),
        ("aws", "a100-80gb", "us-east-1", "3.430875"),  # 27.447 / 8
        ("aws", "l4", "eu-central-1", "1.006"),
        ("gcp", "h100", "us-east4", "10.97625"),  # 78.37 / 8 + 1.18
        ("azure", "h100", "eastus", "12.29"),  # 98.32 / 8: the catalog's 12 is not true
        ("azure", "h100-nvl", "southcentralus", "8.38"),
        ("azure", "a100-80gb", None, "3.673"),
        ("nebius", "h200", "eu-north1", "3.50"),
        ("lambda", "v100", "europe-central-1", "0.79"),  # 6.32 / 8, in every region
    ],
)
def test_price_of_an_hour_of_one_gpu(cloud, gpu, region, per_gpu):
    found = pricing.hourly(cloud, gpu, region, AT)
    assert found.usd == Decimal(per_gpu)
    assert found.source.startswith("skypilot-org/skypilot-catalog ")
    assert found.since == "2026-11-22"


@pytest.mark.parametrize(
    ("cloud", "gpu", "region"),
    [
        ("gcp", "h100", "us-central1"),  # suspect
        ("aws", "h100", "mars-1"),
        ("aws", "tpu", None),
        ("sagemaker", "h100", None),
        ("alibaba", "h100", None),
        ("watsonx", "", None),
    ],
)
def test_unknown_is_none(cloud, gpu, region):
    assert pricing.hourly(cloud, gpu, region, AT) is None


def test_part_of_a_machine_says_so():
    assert "the machine around it costs extra" in pricing.hourly("gcp", "l4", "europe-west4", AT).note


def test_before_it_was_read_it_is_unknown():
    assert pricing.hourly("aws", "h100", "us-east-1", AT - 86_400) is None


def test_own_list_wins_and_seconds_become_an_hour(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "vendor: aws\nevery: {currency: CNY, valid_from: 2026-01-01, source: my contract}\n"
        'prices:\n  - {unit: second of gpu-h100, value: "0.001"}\n'
    )
    book = pricing.lists(Preferences().flag(prices=path, cny_per_usd="6").settings())
    found = pricing.hourly("aws", "h100", "us-east-1", AT, book=book)
    assert (found.value, found.usd, found.source) == (Decimal("3.6"), Decimal("0.6"), "my contract")
    assert pricing.hourly("aws", "l4", "us-east-1", AT, book=book).usd == Decimal("0.8048")
