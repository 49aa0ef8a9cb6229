"""Ray's Jobs API over HTTP: every call ends within a time, whatever became of the cluster. It knows no job of ours."""

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from mlaas_lab.environment import ray_token
from mlaas_lab.errors import JobError, LabError, UsageError

ADDRESS = "http://127.0.0.1:8265"
"""Where `ray start --head` has its Jobs API."""
OLDEST = (2, 60)
"""Before it, reading a data file could run code (CVE-2026-41486, CVE-2026-57516)."""
ANSWER_S = 5.0
"""How long a small question may take."""
SENDING_S = 120.0
"""How long a parcel may take, and a silent log is listened to before the connection is made anew."""
CHUNK_BYTES = 1 << 16


class Unanswered(LabError):
    """The cluster did not answer, or said that it cannot."""


class Cluster:
    """One Ray cluster, by the address of its Jobs API."""

    def __init__(self, address: str = "") -> None:
        """Nothing is asked yet.

        Raises:
            UsageError: if `address` is none.
        """
        self.address = (address or ADDRESS).rstrip("/")
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{address!r} is no address of a Ray Jobs API.", next=f"Write it as {ADDRESS}.")
        self.host = parts.hostname
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 8265)

    @property
    def local(self) -> bool:
        """It is on this machine."""
        return self.host in ("127.0.0.1", "localhost", "::1")

    def answers(self) -> bool:
        """Whether anything like Ray is there."""
        try:
            return self._status("/api/version", token=None) in (http.client.OK, http.client.UNAUTHORIZED)
        except Unanswered:
            return False

    def check(self) -> None:
        """Make sure that a job may go there.

        Raises:
            JobError: if nobody answers, it is too old, takes jobs from everybody, or does not take our token.
        """
        start = "RAY_AUTH_MODE=token ray start --head"
        try:
            if self._status("/api/version", token=None) == http.client.OK:
                raise JobError(
                    f"the Ray cluster at {self.address} takes jobs from everybody: a web page could send one.",
                    next=f"Start it with a token: {start}",
                )
            if self._status("/api/version", token=ray_token()) == http.client.UNAUTHORIZED:
                raise JobError(
                    f"the Ray cluster at {self.address} does not take our token.",
                    next="Set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's.",
                )
            version = str(self.get("/api/version")["ray_version"])
        except Unanswered as error:
            raise JobError(f"no Ray cluster at {self.address}: {error.message}", next=f"Start one: {start}") from None
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise JobError(f"the Ray cluster at {self.address} is {version}; {oldest} or newer is needed.")

    def submit(self, job: Mapping[str, Any]) -> None:
        """Start a job.

        Raises:
            Unanswered: if it was not started, as far as one can tell.
        """
        self._json("POST", "/api/jobs/", json.dumps(job).encode(), within_s=60.0)

    def upload(self, name: str, content: bytes) -> None:
        """Put a package where nodes fetch it from, unless it is there.

        Raises:
            Unanswered: if it does not arrive.
        """
        path = f"/api/packages/gcs/{name}"
        if self._status(path, token=ray_token()) != http.client.OK:
            self._call("PUT", path, content, within_s=SENDING_S)

    def job(self, submission: str) -> dict[str, Any]:
        """What the cluster knows of a job: `status`, `message`, `driver_exit_code`, `driver_node_id`, ….

        Raises:
            Unanswered: if it does not say.
        """
        return self._json("GET", f"/api/jobs/{quote(submission)}")

    def stop(self, submission: str) -> None:
        """SIGTERM, and after the job's own time of grace SIGKILL.

        Raises:
            Unanswered: if that is not confirmed.
        """
        self._call("POST", f"/api/jobs/{quote(submission)}/stop")

    def node_answers(self, node: str) -> None:
        """Return if the agent of `node` does; it lives and dies with the node's raylet.

        Raises:
            Unanswered: if not.
        """
        asked = self.get(f"/api/v0/logs?{urlencode({'node_id': node, 'glob': 'raylet.out', 'timeout': 4})}")
        if not asked.get("result"):
            raise Unanswered(str(asked.get("msg"))[:200])

    def log(self, submission: str, node: str) -> "Listening":
        """The job's output from its first byte on; it lies on the node that runs it.

        Raises:
            Unanswered: if it cannot be had.
        """
        asked = urlencode({"node_id": node, "filename": f"job-driver-{submission}.log", "lines": -1, "interval": 0.3})
        connection = self._connect(SENDING_S)
        response = self._asked(connection, "GET", f"/api/v0/logs/stream?{asked}", None, ray_token())
        return Listening(connection, response)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON at `path`.

        Raises:
            Unanswered: if there is none.
        """
        return self._json("GET", path)

    def _json(self, verb: str, path: str, body: bytes | None = None, *, within_s: float = 0) -> dict[str, Any]:
        try:
            found = json.loads(self._call(verb, path, body, within_s=within_s))
        except ValueError:
            raise Unanswered("what answers is no Ray.") from None
        return found if isinstance(found, dict) else {}

    def _call(self, verb: str, path: str, body: bytes | None = None, *, within_s: float = 0) -> bytes:
        with _translated(), self._connected(within_s or ANSWER_S) as connection:
            return self._asked(connection, verb, path, body, ray_token()).read()

    def _status(self, path: str, *, token: str | None) -> int:
        with _translated(), self._connected(ANSWER_S) as connection:
            connection.request("GET", path, headers=_headers(token))
            return connection.getresponse().status

    def _asked(
        self, connection: http.client.HTTPConnection, verb: str, path: str, body: bytes | None, token: str | None
    ) -> http.client.HTTPResponse:
        with _translated():
            connection.request(verb, path, body, _headers(token))
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise Unanswered(f"it answered {response.status}: {_reason(response)}")
            return response

    def _connect(self, within_s: float) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self.host, self._port, timeout=within_s)

    @contextmanager
    def _connected(self, within_s: float) -> Iterator[http.client.HTTPConnection]:
        connection = self._connect(within_s)
        try:
            yield connection
        finally:
            connection.close()


class Listening:
    """A log that is still being written."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        """`response` has just begun."""
        self._connection = connection
        self._response = response
        self._socket = connection.sock

    def read(self) -> bytes:
        """What came since; nothing once it ended.

        Raises:
            Unanswered: if the connection broke, or nothing came for long.
        """
        with _translated():
            return self._response.read1(CHUNK_BYTES)

    def close(self) -> None:
        """End it, also for somebody who reads it in another thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def _reason(response: http.client.HTTPResponse) -> str:
    """What an error says: the message of a JSON object, else its last line, which is a traceback's best."""
    text = response.read(CHUNK_BYTES).decode(errors="replace").strip()
    try:
        found = json.loads(text)
        said = str(found["msg"])
    except (ValueError, KeyError, TypeError):
        said = text.splitlines()[-1] if text else response.reason
    return " ".join(said.split())[:300]


def _headers(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextmanager
def _translated() -> Iterator[None]:
    """Whatever can go wrong on the way is that nobody answered."""
    try:
        yield
    except TimeoutError:
        raise Unanswered("it did not answer in time.") from None
    except ConnectionRefusedError:
        raise Unanswered("nothing listens there.") from None
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise Unanswered(f"the connection broke: {type(error).__name__}.") from None
