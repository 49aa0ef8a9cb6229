"""What an evaluation writes down as cost: by whose list, of an emulated vendor, and with a list that cannot be read."""

import polars as pl
from emulated import emulated, target

from mlaas_lab.context import Context
from mlaas_lab.evaluation.run import run
from mlaas_lab.settings import Preferences
from mlaas_lab.store.folder import JobFolder

OWN = (
    "vendor: {vendor}\nevery: {{currency: USD, valid_from: 2026-01-01, source: our contract}}\nprices:\n"
    '  - {{pattern: "*", unit: 1M input tokens, value: "1000000"}}\n'
    '  - {{pattern: "*", unit: 1M output tokens, value: "0"}}\n'
)


def evaluated(tmp_path, spec, rows, to, **settings):
    """The records of one question to `to`."""
    folder = tmp_path / "job"
    folder.mkdir()
    context = Context(JobFolder(folder), Preferences().flag(**settings).settings(), job_id="job-1", name="rows")
    try:
        data = rows([("one two three", "one two three")])
        found = run(spec(data=data, targets=(to,), metrics=("exact_match",)), context)
    finally:
        context._events.close()
    return pl.read_parquet(found.result["records"])


def own(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return path


def test_emulated_vendor_is_priced_by_its_list(tmp_path, spec, rows):
    with emulated("openai") as server:
        frame = evaluated(tmp_path, spec, rows, target(server, "openai", model="gpt-4o"))
    [row] = frame.to_dicts()
    # Each call is rounded up to a whole micro-dollar: 2.5 and 10 dollars per million.
    exact = 2.5 * row["input_tokens"] + 10 * row["output_tokens"]
    assert 0 <= 1e6 * row["cost_usd"] - exact < 1.001
    assert row["price_source"].startswith("emulated: genai-prices ")


def test_own_list_wins_in_a_job(tmp_path, spec, rows):
    with emulated("openai") as server:
        to = target(server, "openai", model="gpt-4o")
        frame = evaluated(tmp_path, spec, rows, to, prices=own(tmp_path, OWN.format(vendor="openai")))
    [row] = frame.to_dicts()
    assert row["cost_usd"] == row["input_tokens"]  # a dollar a token
    assert row["price_source"] == "emulated: our contract"


def test_bad_list_costs_the_price_and_not_the_job(tmp_path, spec, rows, capsys):
    with emulated("openai") as server:
        to = target(server, "openai", model="gpt-4o")
        bad = own(tmp_path, OWN.format(vendor="openai").replace('"0"', "0"))
        frame = evaluated(tmp_path, spec, rows, to, prices=bad)
    [row] = frame.to_dicts()
    assert row["error"] is None
    assert row["cost_usd"] is None
    assert row["price_source"] is None
    [line] = [line for line in capsys.readouterr().out.splitlines() if "own.yaml" in line]
    assert line.startswith("Every cost is unknown. ")
    assert "prices entry 2 (*), value: write the number as text" in line
