"""What the environment says of keys, proxies and certificates, and what processes of ours are given of it.

This is the only file that looks there. It imports nothing heavy: whoever
prompts a vendor needs a key, and not our preferences.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mlaas_lab import keychain

SILENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAGAS_DO_NOT_TRACK": "true",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "YES",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Nothing phones home, and nothing prints between our lines: what we and our processes set, unless the user did."""

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
"""Nothing is downloaded."""

KEY_FILES = ("GOOGLE_APPLICATION_CREDENTIALS",)
"""Variables that hold the path of a file with keys, not a key."""
REVIEW_KEY = "MLAAS_REVIEW_TOKEN"
"""What opens a dashboard, where who starts it must know it before; else each start makes its own."""
BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")


def secret(name: str) -> str | None:
    """A key from the environment or the system's keyring; never shown, logged or stored.

    Of `KEY_FILES`, the path of the file with it.
    """
    return given(name) or (_logged_in() if name in KEY_FILES else keychain.found(name))


def given(name: str, *, empty: bool = False) -> str | None:
    """What the environment says, and nothing else does; a variable that is set to nothing counts with `empty`."""
    value = os.environ.get(name)
    return value if value or empty else None


def _logged_in() -> str | None:
    """Where `gcloud auth application-default login` leaves its file, if it did."""
    usual = Path(os.environ.get("APPDATA") or Path.home() / ".config") / "gcloud"
    path = Path(os.environ.get("CLOUDSDK_CONFIG") or usual) / "application_default_credentials.json"
    return str(path) if path.is_file() else None


def proxy(url: str) -> str | None:
    """The proxy that the environment (or the system) names for `url`; None: none, or `no_proxy` excepts it."""
    from urllib.request import getproxies, proxy_bypass  # 20 ms, of which http.client is most

    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.netloc):
        return None
    found = getproxies()
    return found.get(parts.scheme) or found.get("all")


def certificates() -> str | None:
    """The bundle of certificate authorities that the environment names, under any of the usual names."""
    return next((path for name in BUNDLES if (path := os.environ.get(name))), None)


def ray_token() -> str | None:
    """The token of a Ray cluster, from where Ray itself looks for it; never shown, logged or stored."""
    if token := given("RAY_AUTH_TOKEN"):
        return token
    path = Path(given("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def surroundings(**more: str) -> dict[str, str]:
    """The environment for a process we start: ours, silenced, plus `more`."""
    return {**SILENT, **os.environ, **more}


def keyless(**more: str) -> dict[str, str]:
    """The environment for a process that needs no key of ours and fetches nothing: paths and language, plus `more`."""
    kept = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "OMP_NUM_THREADS", "MLAAS_JOB")
    return {**SILENT, **OFFLINE, **{name: os.environ[name] for name in kept if name in os.environ}, **more}


def silence() -> None:
    """Switch off the telemetry of libraries this process may import later; what the user set stays."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)


_CHANGING = threading.RLock()


@contextmanager
def temporarily(**values: str) -> Iterator[None]:
    """Variables that a library reads while it works; afterwards they are as before. One thread at a time."""
    with _CHANGING:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
