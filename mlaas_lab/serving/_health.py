"""Whether a server really answers: one token, generated. A health route says only that a socket is open."""

import http.client
import json
from urllib.parse import urlsplit


class NotListening(Exception):
    """Nobody takes connections there, yet."""


class Refused(Exception):
    """The server answered, and not with a token; the message says how."""


def one_token(base_url: str, model: str, *, timeout_s: float) -> None:
    """Return when `model` has generated one token.

    Raises:
        NotListening: if there is no connection, or it broke.
        Refused: if the answer is an error, or no chat completion.
    """
    place = urlsplit(base_url)
    question = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}
    # Not urllib: a proxy from the environment must never stand between us and our own server.
    connection = http.client.HTTPConnection(str(place.hostname), place.port, timeout=timeout_s)
    try:
        path = place.path.rstrip("/") + "/chat/completions"
        connection.request("POST", path, json.dumps(question), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NotListening(str(error)) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Refused(f"HTTP {answer.status}: {' '.join(text.split())[:300]}")
    try:
        spoken = isinstance(json.loads(text)["choices"][0]["message"], dict)
    except (ValueError, LookupError, TypeError):
        spoken = False
    if not spoken:
        raise Refused(f"no chat completion: {' '.join(text.split())[:300]}")
