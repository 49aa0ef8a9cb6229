"""Whether a server really answers: one token, generated. A health route says only that a socket is open."""

import http.client
import json
import re
import socket
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mlaas_lab.serving import Activity
from mlaas_lab.unix_socket import HOST, socket_of

Sample = tuple[str, Mapping[str, str], float]
"""Name, labels and value of a metric."""
LABEL = re.compile(r'(\w+)="([^"]*)"')
LIMIT_BYTES = 8_000_000
"""Of an answer; nothing that is asked here is longer."""


class NotListening(Exception):
    """Nobody takes connections there, or no answer came in time."""


class Refused(Exception):
    """The server answered, and not with what was asked for; the message says how."""

    def __init__(self, message: str, *, status: int = 200) -> None:
        """`status` is HTTP's."""
        super().__init__(message)
        self.status = status

    @property
    def overloaded(self) -> bool:
        """It has more to do than it takes on."""
        return self.status in (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What a server says of its work."""

    running: float
    """Requests under way."""
    done: float
    """Grows whenever the model computes."""
    waiting: float | None = None
    """Of those, the ones that wait inside the engine; None, as below: it does not tell."""
    read: float | None = None
    """Tokens of prompts."""
    written: float | None = None
    """Tokens of answers."""
    cache: float | None = None
    """Share of the memory for keys and values that is in use."""
    by_model: Mapping[str, float] = field(default_factory=dict)
    """Tokens read and written, of each model that it counts apart."""
    asked: tuple[str, ...] | None = None
    """Adapters that are asked now."""


def one_token(base_url: str, model: str, *, timeout_s: float, key: str = "") -> tuple[int, int]:
    """Return when `model` has generated one token: how many it says it read, and wrote; 0 if it does not say.

    Raises:
        NotListening: if there is no connection, it broke, or `timeout_s` passed.
        Refused: if the answer is an error, or no chat completion.
    """
    question = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
    text = exchange(f"{base_url.rstrip('/')}/chat/completions", question, timeout_s=timeout_s, headers=bearer(key))
    try:
        said = json.loads(text)
        spoken = isinstance(said["choices"][0]["message"], dict)
    except (ValueError, LookupError, TypeError):
        spoken = False
    if not spoken:
        raise Refused(f"no chat completion: {' '.join(text.split())[:300]}")
    usage = said.get("usage") or {}
    return usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0


def load(base_url: str, activity: Activity, *, timeout_s: float, key: str = "") -> Load:
    """What the server says of its work.

    Raises:
        NotListening: if there is no connection, it broke, or `timeout_s` passed.
        Refused: if the answer is an error.
    """
    url = urlsplit(base_url)._replace(path=activity.path).geturl()
    kinds = ("running", "done", "waiting", "read", "written", "cache")
    names = {activity.asked, *(name for kind in kinds for name in getattr(activity, kind))}
    told = list(_samples(exchange(url, None, timeout_s=timeout_s, headers=bearer(key)), names))
    sums: dict[str, float] = {}
    by_model: dict[str, float] = {}
    for name, labels, value in told:
        sums[name] = sums.get(name, 0.0) + value
        if name in (*activity.read, *activity.written) and (model := labels.get(activity.model)):
            by_model[model] = by_model.get(model, 0.0) + value
    said = {kind: [sums[name] for name in getattr(activity, kind) if name in sums] for kind in kinds}
    known = {kind: sum(values) for kind, values in said.items() if values}
    return Load(**{"running": 0.0, "done": 0.0, **known}, by_model=by_model, asked=_asked(told, activity.asked))


def _samples(text: str, names: Container[str]) -> Iterator[Sample]:
    """Those of `names`, in Prometheus' text format."""
    for line in text.splitlines():
        words, _, value = line.rpartition(" ")
        name, _, labels = words.partition("{")
        if name and name in names:
            yield name, dict(LABEL.findall(labels)), float(value)


def _asked(told: Sequence[Sample], metric: str) -> tuple[str, ...] | None:
    """The adapters in the newest of its series, whose value is when it was written."""
    series = [(value, labels) for name, labels, value in told if name == metric]
    if not series:
        return None
    _, newest = max(series, key=lambda one: one[0])
    lists = [names for label, names in newest.items() if label.endswith("_adapters")]
    return tuple(sorted({name for names in lists for name in names.split(",") if name}))


def bearer(key: str) -> dict[str, str]:
    """The header that brings `key`; none without one."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def exchange(url: str, body: Any, *, timeout_s: float, headers: Mapping[str, str]) -> str:
    """What the server answers to a POST of `body` as JSON, to a GET where it is None.

    Raises:
        NotListening: if there is no connection, it broke, or nothing came for `timeout_s`.
        Refused: for any status but 200.
    """
    place, path = urlsplit(url), socket_of(url)
    asked = place._replace(scheme="", netloc="").geturl()
    # Not urllib: a proxy from the environment must never stand between us and our own server.
    connection: http.client.HTTPConnection
    if path is None:
        connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=timeout_s)
    else:
        connection = _AtSocket(path, timeout_s)
    try:
        if body is None:
            connection.request("GET", asked, headers=dict(headers))
        else:
            connection.request("POST", asked, json.dumps(body), {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        text = answer.read(LIMIT_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NotListening(str(error)) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Refused(f"HTTP {answer.status}: {' '.join(text.split())[:300]}", status=answer.status)
    return text


class _AtSocket(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__(HOST, timeout=timeout_s)
        self._path, self._timeout_s = path, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(self._path)
