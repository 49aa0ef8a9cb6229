"""Requests of our adapters pass the vendor's own machine-readable specification, where there is one."""

import json
import subprocess

import pytest
from conformance_scripts import scripts

pytestmark = pytest.mark.conformance
ALL = scripts("specs")


@pytest.mark.parametrize("script", ALL, ids=[script.name for script in ALL])
def test_requests_pass(script, results):
    requests = [one for run in results(script) for one in run["requests"]]
    assert requests, "tests/conformance/test_sdks.py keeps them, and runs before"
    violations = check(script, requests)
    assert violations == []


@pytest.mark.parametrize("script", ALL, ids=[script.name for script in ALL])
def test_control_a_wrong_request_is_noticed(script, results):
    one = next(one for run in results(script) for one in run["requests"])
    body = json.loads(one["body"])
    assert check(script, [{**one, "body": json.dumps({**body, "no_such_field_at_all": 1})}]) != []


def check(script, requests):
    done = subprocess.run(
        [str(script.python), "-P", str(script.path)],
        input=json.dumps(requests),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
