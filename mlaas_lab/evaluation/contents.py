"""What stands behind a target: the content that decides its answers, wherever and under whatever name it is served.

An endpoint of ours is the weights it really serves, by fingerprint; a vendor's model is what the vendor calls it. What
nobody can vouch for has no content: a server at an address, weights that moved since they were served.
"""

import re
from dataclasses import replace
from pathlib import Path

from mlaas_lab.errors import LabError
from mlaas_lab.inference import Route
from mlaas_lab.inference.words import NAME
from mlaas_lab.models import HUB_ID, Model, locate
from mlaas_lab.schema import Endpoint, Target
from mlaas_lab.settings import Settings
from mlaas_lab.store import Store
from mlaas_lab.store.folder import JobFolder, read_json
from mlaas_lab.unix_socket import over_http, socket_of

COMMIT = re.compile(r"[0-9a-f]{40}")


def content(route: Route, settings: Settings) -> str | None:
    """What decides the answers at `route`; None where that is unknown, or where asking again costs nothing."""
    target = route.target
    if route.provider.reply is not None:
        return None
    if target.provider is None:
        return _ours(target, route, settings)
    # Behind an address that the user names there may be other weights tomorrow; behind an emulator, another script.
    if target.get("base_url") is not None or route.emulated:
        return None
    return str(replace(target, params=tuple(pair for pair in target.params if pair[0] != NAME)))


def _ours(target: Target, route: Route, settings: Settings) -> str | None:
    """Engine and fingerprint of an endpoint that still serves what it was started with, and was compared with it."""
    if route.unchecked:
        return None
    store = Store(settings.store_path)
    try:
        endpoint = store.endpoint(target.model)
        folder = None if endpoint is None else JobFolder(store.job(endpoint.job_id).folder)
    finally:
        store.close()
    if endpoint is None or folder is None or not _leads_to(route, endpoint.base_url):
        return None
    found = _located(endpoint, settings)
    served = (read_json(folder.models) or {}).get(endpoint.name)
    if found is None or found.fingerprint != served or not _fixed(found):
        return None
    return f"{endpoint.engine} {found.fingerprint}"


def _leads_to(route: Route, base_url: str) -> bool:
    return route.socket == socket_of(base_url) and route.url.startswith(over_http(base_url))


def _located(endpoint: Endpoint, settings: Settings) -> Model | None:
    try:
        return locate(endpoint.source, settings)
    except LabError:
        # It was moved or deleted since: the server has it in memory, and nobody can look any more.
        return None


def _fixed(model: Model) -> bool:
    """Whether its fingerprint is that of content: of a hub id it is that of a name, which only a commit pins."""
    if model.base is not None and not _fixed(model.base):
        return False
    of_hub = HUB_ID.fullmatch(model.name) is not None and not Path(model.name).exists()
    return not of_hub or COMMIT.fullmatch(model.revision or "") is not None
