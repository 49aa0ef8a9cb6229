"""An endpoint that rests is asked for a token through the front, which wakes it; then it is asked like any other."""

import http.client
import json

from mlaas_lab.errors import JobError
from mlaas_lab.settings import Settings
from mlaas_lab.store import ALIVE, Store
from mlaas_lab.store.front import HOST, Kept

KNOCK = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


def wake(name: str, store: Store, settings: Settings, *, within_s: float) -> bool:
    """Whether endpoint `name` answers or will, now that the front was asked for it.

    Raises:
        JobError: if the front knows it and cannot wake it, with the reason.
    """
    if not store.jobs(task="front", states=ALIVE, limit=1):
        return False
    kept = Kept(settings)
    connection = http.client.HTTPConnection(HOST, kept.port, timeout=within_s)
    headers = {"Authorization": f"Bearer {kept.token()}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps({"model": name, **KNOCK}), headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.NOT_FOUND:
        return False
    if answer.status == http.HTTPStatus.OK or said["error"]["code"] == "starting":
        return True
    raise JobError(said["error"]["message"])
