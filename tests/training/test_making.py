"""The job `tiny`."""

import pytest

from mlaas_lab.context import Stopped
from mlaas_lab.models import locate
from mlaas_lab.tasks.tiny import Tiny
from mlaas_lab.training import making, recipe, tiny
from mlaas_lab.training.recipe import Recipe


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """A recipe that is built in a blink, under the name of the real one."""

    def reduced(seed: int = 0) -> Recipe:
        return Recipe(seed=seed, steps=4, batch=8, layers=1, width=64, heads=1, inner=64, vocabulary=400)

    monkeypatch.setattr(making, "Recipe", reduced)
    monkeypatch.setattr(tiny, "Recipe", reduced)
    monkeypatch.setattr(recipe, "fingerprint", lambda seed=0: reduced(seed).fingerprint)


def test_it_says_what_was_built(context, settings):
    result = making.make(Tiny(), context()).result
    assert result["name"] == "tiny"
    assert result["path"] == str(locate("tiny", settings).path)
    assert 10_000 < result["parameters"] < 100_000
    assert len(result["sha256"]) == 64


def test_a_second_time_finds_it_and_rebuild_makes_the_same(context):
    first = making.make(Tiny(), context()).result
    assert making.make(Tiny(), context()).result["sha256"] == first["sha256"]
    assert making.make(Tiny(rebuild=True), context()).result["sha256"] == first["sha256"]


def test_another_seed_is_another_model_with_a_name(context, settings):
    first, other = (making.make(Tiny(seed=seed), context()).result for seed in (0, 3))
    assert first["sha256"] != other["sha256"]
    assert str(locate(other["name"], settings).path) == other["path"]


def test_it_stops_when_asked_to(context, settings):
    job = context()
    job.stopping = True
    with pytest.raises(Stopped):
        making.make(Tiny(), job)
    assert not locate("tiny", settings).path.exists()
