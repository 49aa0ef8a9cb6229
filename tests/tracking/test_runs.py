"""Reading runs back: the table of an evaluation, and links that work behind a proxy."""

import polars as pl
import pytest

from mlaas_lab import tracking
from mlaas_lab.errors import TrackingError, UsageError
from mlaas_lab.schema import JobState
from mlaas_lab.tracking.delivery import Delivery


@pytest.fixture
def evaluated(job):
    folder = job("evaluated")
    pl.DataFrame({"target": ["a", "b"], "score": [0.5, None]}).write_parquet(folder.records)
    return folder


@pytest.mark.parametrize("where", ["local", "remote"])
def test_records_come_back_and_are_kept(evaluated, where, request):
    settings = request.getfixturevalue(where)
    run_id = Delivery(evaluated, settings).finish(JobState.SUCCEEDED).run_id
    path = tracking.records(run_id, settings)
    assert pl.read_parquet(path).equals(pl.read_parquet(evaluated.records))
    assert path.is_relative_to(settings.cache_dir)
    away = settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    assert tracking.records(run_id, away) == path


def test_records_of_a_run_that_goes_on_are_fetched_anew(evaluated, local):
    delivery = Delivery(evaluated, local)
    run_id = delivery.finish(JobState.FAILED).run_id
    assert tracking.records(run_id, local).exists()
    with pytest.raises(TrackingError, match="cannot be reached"):
        tracking.records(run_id, local.model_copy(update={"tracking_uri": "http://127.0.0.1:9"}))


@pytest.mark.parametrize("where", ["local", "remote"])
def test_a_run_without_records_says_so(job, where, request):
    settings = request.getfixturevalue(where)
    run_id = Delivery(job(f"none-{where}"), settings).finish(JobState.SUCCEEDED).run_id
    with pytest.raises(TrackingError, match=r"has no records\.parquet"):
        tracking.records(run_id, settings)


@pytest.mark.parametrize("run_id", ["0" * 32, "../../etc/passwd", "", "a/b"])
def test_no_such_run(local, run_id):
    for read in (tracking.run_info, tracking.records):
        with pytest.raises(UsageError, match="no run"):
            read(run_id, local)


def _link(settings, **values):
    return tracking.ui_url("r1", settings.model_copy(update=values), experiment_id="7")


def test_links(settings):
    assert _link(settings) is None
    assert _link(settings, tracking_uri="http://h:5000") == "http://h:5000/#/experiments/7/runs/r1"
    assert _link(settings, tracking_uri="https://u:CANARY@h/ml/") == "https://h/ml/#/experiments/7/runs/r1"
    proxied = "https://hub/user/x/proxy/5000/"
    assert _link(settings, mlflow_ui_url=proxied) == f"{proxied}#/experiments/7/runs/r1"


def test_the_link_opens_the_run(job, remote):
    folder = job("link")
    run_id = Delivery(folder, remote).start()
    link = tracking.ui_url(run_id, remote)
    assert link == f"{remote.tracking_uri}/#/experiments/{tracking.delivered(folder).experiment_id}/runs/{run_id}"


def test_trouble(settings, local):
    assert tracking.trouble(local) is None
    assert "cannot be reached" in tracking.trouble(settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"}))
