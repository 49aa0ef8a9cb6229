"""`ask`: answers side by side, growing while they arrive; a target that fails spoils no other."""

import json

import pytest
from loopback import Fault, Loopback, cut, failing

from mlaas_lab.commands.ask import Answers, Ask, command
from mlaas_lab.errors import InvalidRequest, UsageError
from mlaas_lab.lab import Lab
from mlaas_lab.spec import read


def run(*words, lab=None):
    return command.run(read(Ask, words), lab or Lab())


def test_side_by_side():
    with Loopback() as server:
        answers = run(
            "hello there", "--targets", f"echo/any,openai/m?base_url={server.base_url}", "--system", "Be kind."
        )
    shown = answers.as_json()["completions"]
    assert [row["text"] for row in shown] == ["hello there"] * 2
    assert [row["target"] for row in shown] == ["echo/any", f"openai/m?base_url={server.base_url}"]
    for row in shown:
        assert row["error"] is None
        assert 0 < row["ttft_s"] <= row["latency_s"]
        assert row["usage"]["input_tokens"] == 4
        assert row["usage"]["output_tokens"] == 2
    assert [row["cost_usd"] for row in shown] == [0, None]
    assert [m["role"] for m in server.requests[0].body["messages"]] == ["system", "user"]
    assert answers.exit_code == 0
    assert "hello there" in str(answers)
    assert "unpriced" in str(answers)
    json.dumps(answers.as_json())


def test_options_reach_the_request():
    with Loopback() as server:
        answers = run(
            "a b c d", "--targets", f"openai/m?base_url={server.base_url}", "--max-tokens", "2", "--temperature=0.7"
        )
    assert answers.as_json()["completions"][0]["finish_reason"] == "length"
    assert (server.requests[0].body["max_tokens"], server.requests[0].body["temperature"]) == (2, 0.7)
    assert server.requests[0].body["stream"] is True


def test_repeats():
    answers = run("x", "--targets", "echo/a,echo/b", "--repeat", "3")
    assert [(row["target"], row["repeat"]) for row in answers.as_json()["completions"]] == [
        (target, n) for n in range(3) for target in ("echo/a", "echo/b")
    ]


def test_one_that_fails_spoils_no_other():
    with Loopback(faults=[cut(2)]) as server:
        answers = run("one two three", "--targets", f"openai/m?base_url={server.base_url},echo/a")
    bad, good = answers.as_json()["completions"]
    assert good["text"] == "one two three"
    assert bad["text"] is None
    assert bad["error"]["name"] == "truncated"
    assert bad["attempts"] == 1
    assert answers.exit_code == 1
    assert "the connection broke within the answer" in " ".join(str(answers).split())


def test_a_single_one_that_fails_is_an_error():
    with (
        Loopback(faults=[failing(400, message="no such thing")]) as server,
        pytest.raises(InvalidRequest, match="such"),
    ):
        run("x", "--targets", f"openai/m?base_url={server.base_url}")


def test_wrong_words_are_said_before_anything_is_sent():
    with Loopback() as server:
        with pytest.raises(UsageError, match="Did you mean 'echo'"):
            run("x", "--targets", f"openai/m?base_url={server.base_url},ecko/a")
        assert server.requests == []
    with pytest.raises(UsageError, match="targets"):
        run("x")


def test_it_grows_while_one_waits():
    seen = []

    def live(shown):
        assert isinstance(shown, Answers)
        seen.append((shown.rows[0].text, shown.line()))
        shown._repr_mimebundle_()

    with Loopback(faults=[Fault(drip_s=0.15)]) as server:
        run("one two three four", "--targets", f"openai/m?base_url={server.base_url}", lab=Lab(live=live))
    texts = [text for text, _line in seen]
    assert texts == sorted(texts, key=len)
    assert len(set(texts)) >= 3
    assert seen[0][1] == "0/1 answered"
    assert seen[-1] == ("one two three four", "1/1 answered")


def test_text_from_a_model_is_text():
    html = run("<img src=x onerror=alert(1)>", "--targets", "echo/a")._repr_html_()
    assert "<img" not in html
