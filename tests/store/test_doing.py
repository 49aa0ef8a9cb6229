"""What an endpoint is said to do."""

import pytest

from mlaas_lab.schema import Endpoint, EndpointState, Work
from mlaas_lab.store.doing import doing

AT = "http://127.0.0.1:1/v1"


def one(name="a", **more):
    given = {"job_id": "j", "base_url": AT, "model": name, "engine": "x", "ready": True, "source": "m"}
    return Endpoint(name=name, **{**given, **more})


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (None, ""),
        (Work(at=0.0), ""),
        (Work(at=0.0, tokens_per_s=137.24), "137 tokens/s · "),
        (Work(at=0.0, tokens_per_s=4.25, running=2.0, waiting=0.0), "4.25 tokens/s · 2 under way · "),
        (Work(at=0.0, tokens_per_s=9.0, by_model={"a": 12345.6}, asked=["a"]), "12,346 tokens/s · asked · "),
        (Work(at=0.0, tokens_per_s=0.0), "0 tokens/s · "),
        (Work(at=0.0, waiting=3.0, usd_per_hour=0.4), "3 wait · $0.40/h · "),
    ],
)
def test_only_what_is_known(work, said):
    assert doing([one(work=work)], now=10.0) == [f"ready · {said}{AT}"]


def test_what_the_server_does_is_told_apart_where_it_has_several():
    work = Work(at=0.0, tokens_per_s=50.0, running=2.0, by_model={"a": 20.0})
    first, second = doing([one("a", work=work), one("b", work=work)], now=10.0)
    assert first == f"ready · 20.0 tokens/s · server: 2 under way · {AT}"
    assert second == f"ready · server: 50.0 tokens/s, 2 under way · {AT}"


def test_an_old_look_is_said_and_what_sleeps_or_is_sick_does_nothing():
    work = Work(at=0.0, running=1.0, tokens_per_s=103.0)
    assert doing([one(work=work)], now=600.0) == [f"ready · 103 tokens/s · 1 under way · 10 min ago · {AT}"]
    assert doing([one(work=work)], now=30_000.0) == [f"ready · 103 tokens/s · 1 under way · 8 h ago · {AT}"]
    for state in (EndpointState.SLEEPING, EndpointState.SICK):
        assert doing([one(work=work, state=state)], now=600.0) == [f"{state} · {AT}"]
    assert doing([one(ready=False, base_url="http+unix://%2Ftmp%2Fs")], now=0.0) == ["starting · unix:/tmp/s"]
