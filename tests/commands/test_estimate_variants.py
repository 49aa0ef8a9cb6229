"""`estimate` counts what a variant is told besides the question."""

import json

import pytest

from mlaas_lab.commands import _dispatch
from mlaas_lab.commands._estimating import guessed
from mlaas_lab.errors import UsageError
from mlaas_lab.schema import Message

BARE = "openai/gpt-4o"


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"prompt": q * 40, "completion": "a" * 8}) + "\n" for q in "qr"))
    return path


def usd(lab, rows, *targets):
    found = _dispatch.execute(["estimate", "--data", str(rows), "--targets", ",".join(targets)], lab).as_json()
    return {line["target"]: line["likely_usd"] for line in found["targets"]}


def test_a_longer_prompt_costs_more(lab, rows, tmp_path):
    (tmp_path / "brief.txt").write_text("b" * 4000)
    found = usd(lab, rows, BARE, f"{BARE}?prompt=brief.txt")
    more = guessed([Message(role="system", content="b" * 4000)])
    assert more == 1004
    # Two calls at $2.50 a million tokens that go in.
    assert found[f"{BARE}?prompt=brief.txt"] - found[BARE] == pytest.approx(2 * more * 2.5e-6)


def test_what_eval_would_refuse_is_refused(lab, rows):
    with pytest.raises(UsageError, match="nobody says where"):
        usd(lab, rows, f"{BARE}?shots=1")
