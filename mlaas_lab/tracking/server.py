"""The way to MLflow: a client for the URI of the settings, patience of our own, and its errors as two kinds.

`TrackingError` is for now (away, sick, full, wrong key): what was to be sent is kept and tried again. `Refused` is for
good. mlflow's own seven retries would hold a thread for minutes; here a request is tried once, and whoever sends
decides when to come back.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from alembic.util.exc import CommandError
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from mlaas_lab.environment import temporarily
from mlaas_lab.errors import TrackingError
from mlaas_lab.settings import Settings
from mlaas_lab.tracking.params import redacted

HTTP = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

FOR_GOOD = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST"})
"""MLflow's error codes of 400, and of 404 for a run; a 404 without its code is a wrong address."""

PASSING = re.compile(r"QueuePool|PendingRollback|InterfaceError|DatabaseError|timed out")
"""MLflow calls BAD_REQUEST whatever SQLAlchemy raises; these say how its database is now, which passes."""

UPLOAD_S = 60
"""How long an artifact's request may stand still."""

# Its tracebacks of a busy database and its lines about new tables would fill a job's log; the errors reach us anyway.
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


class Refused(TrackingError):
    """MLflow will never take this, however often it is sent."""


class Slow(TrackingError):
    """MLflow did not answer in time; it may still do what it was asked."""


def connect(settings: Settings) -> MlflowClient:
    """A client for the MLflow of `settings`; makes and migrates a SQLite database that is not there yet.

    Raises:
        TrackingError: if the URI is of no kind we can use, or the database cannot be opened.
    """
    uri = settings.mlflow_uri
    scheme = uri.partition(":")[0].partition("+")[0]
    if uri in ("sqlite://", "sqlite:///:memory:"):
        raise TrackingError(f"tracking_uri {uri!r} lives in one process, and a job is another.", next=_ADVICE)
    if scheme == "file" or ("://" not in uri and uri != "databricks"):
        raise TrackingError(
            f"tracking_uri {redacted(uri)!r} is a folder; MLflow no longer keeps runs in files.", next=_ADVICE
        )
    if scheme not in (*HTTP, *DATABASES):
        raise TrackingError(f"tracking_uri {redacted(uri)!r} is neither a server nor a database.", next=_ADVICE)
    with _first_use(uri, scheme), asking(uri):
        return MlflowClient(tracking_uri=uri)


_ADVICE = "Leave it empty for SQLite under data_dir, or write sqlite:////absolute/path/mlflow.db or http://host:5000."


@contextmanager
def asking(uri: str, *, timeout_s: float = 2.0) -> Iterator[None]:
    """Requests to MLflow, each tried once and given up when nothing comes for `timeout_s`.

    Raises:
        Refused: if it will never take this.
        Slow: if it did not answer in time.
        TrackingError: if it might take it later.
    """
    patience = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, round(timeout_s))),
        "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": str(UPLOAD_S),
    }
    try:
        if uri.startswith(HTTP):
            with temporarily(**patience):
                yield
        else:
            yield
    except MlflowException as error:
        raise _kind(error)(_said(uri, error), next=_mend(uri, error)) from error
    except (requests.RequestException, SQLAlchemyError, CommandError, OSError) as error:
        raise TrackingError(_said(uri, error)) from error


def experiment(client: MlflowClient, settings: Settings) -> str:
    """Id of the experiment of `settings`, made if it is new.

    With a database we say where artifacts go, else MLflow would put them under the folder the job happens to run in.

    Raises:
        TrackingError: if it was deleted.
    """
    found = client.get_experiment_by_name(settings.experiment)
    if found is None:
        place = None if settings.mlflow_uri.startswith(HTTP) else (settings.data_dir / "mlartifacts").as_uri()
        try:
            return str(client.create_experiment(settings.experiment, artifact_location=place))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(settings.experiment)
    return _living(found, settings)


def _living(found: Experiment | None, settings: Settings) -> str:
    if found is None or found.lifecycle_stage != "active":
        raise TrackingError(
            f"MLflow experiment {settings.experiment!r} was deleted.", next="Restore it, or set another `experiment`."
        )
    return str(found.experiment_id)


@contextmanager
def _first_use(uri: str, scheme: str) -> Iterator[None]:
    """Of several processes that open a new SQLite file at once, one migrates it.

    MLflow's own lock lies in the temporary folder, which need not be the same for all of them.
    """
    if scheme != "sqlite":
        yield
        return
    place = Path(uri.partition("///")[2].partition("?")[0])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        # mlflow tries for 100 s to open what cannot be opened.
        place.open("ab").close()
        with FileLock(place.with_name(place.name + ".lock")):
            yield
    except OSError as error:
        raise TrackingError(f"MLflow's database {str(place)!r} cannot be opened: {error.strerror or error}.") from error


def _kind(error: MlflowException) -> type[TrackingError]:
    if isinstance(error.__cause__, requests.exceptions.Timeout) or "Read timed out" in str(error):
        return Slow
    for_good = error.error_code in FOR_GOOD and not (error.error_code == "BAD_REQUEST" and PASSING.search(str(error)))
    return Refused if for_good else TrackingError


def _said(uri: str, error: Exception) -> str:
    text = " ".join(str(error).split()).partition(" [SQL:")[0].partition(" (Background on")[0]
    place = redacted(uri)
    if isinstance(error, MlflowException) and _kind(error) is Slow:
        return f"MLflow at {place} does not answer in time."
    if "Connection refused" in text or "NameResolution" in text or "NewConnectionError" in text:
        return f"MLflow at {place} cannot be reached."
    return f"MLflow at {place}: {redacted(text)[:300]}"


def _mend(uri: str, error: MlflowException) -> str | None:
    if "out-of-date database schema" in str(error):
        return f"Back it up, then: mlflow db upgrade {redacted(uri)}"
    if error.error_code in ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED"):
        return (
            "Set MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; `sync` sends it then."
        )
    return None
