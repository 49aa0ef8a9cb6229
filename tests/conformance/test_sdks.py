"""Each vendor's official SDK and our adapter ask the same emulator the same question: the requests mean the same.

What differs is declared in the SDK's script with its reason, and a declared difference that is none is a failure too.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from conformance_scripts import Script, scripts
from emulated import emulated, target

from mlaas_lab import registry
from mlaas_lab.emulators import Asked
from mlaas_lab.inference import Params, complete, stream
from mlaas_lab.schema import Message, Target

pytestmark = pytest.mark.conformance
SYSTEM, PROMPT, MAX_TOKENS = "Be brief.", "Grüße an die 世界 🙂 heute", 64
ALL = scripts("sdks")


def words(text: str) -> dict[str, str]:
    return dict(Target.parse(text).params)


def called(script: Script, server: Any, tmp_path: Any, streaming: bool) -> dict[str, Any]:
    """What the SDK made of the answer."""
    given = {
        "base_url": server.base_url,
        "origin": server.origin,
        "model": server.emulator.model,
        "prompt": PROMPT,
        "system": SYSTEM,
        "max_tokens": MAX_TOKENS,
        "temperature": 0.0,
        "stream": streaming,
        "words": words(target(server, script.provider)),
        "ca": str(tmp_path / "ca.pem"),
    }
    # Several scripts share what stands beside this file; -P leaves out their own folder, where names of packages stand.
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [str(script.python), "-P", str(script.path), json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=120,
        env=env,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def asked_by_us(script: Script, server: Any, settings: Any, streaming: bool) -> Any:
    query = f"api={script.api}" if script.api else ""
    text = target(server, script.provider, query=query)
    turns = (Message(role="system", content=SYSTEM), Message(role="user", content=PROMPT))
    params = Params(max_tokens=MAX_TOKENS, temperature=0.0)
    if not streaming:
        return complete(text, turns, settings=settings, params=params)
    pieces = stream(text, turns, settings=settings, params=params)
    said = "".join(pieces)
    assert pieces.completion is not None
    assert said == pieces.completion.text
    return pieces.completion


def meaning(asked: Asked, headers: list[str]) -> dict[str, Any]:
    """A request as a flat mapping of dotted paths."""
    found: dict[str, Any] = {"method": asked.method, "path": unquote(asked.path)}
    for name, value in parse_qsl(asked.query, keep_blank_values=True):
        found[f"query.{name}"] = value
    for name in headers:
        value = asked.headers.get(name)
        # A signature holds the time: the emulator verified each of them.
        found[f"header.{name}"] = None if value is None else signature_scope(value)
    try:
        body = json.loads(asked.body) if asked.body else {}
    except ValueError:
        body = dict(parse_qsl(asked.body.decode()))
    flatten("body", body, found)
    return found


def signature_scope(value: str) -> str:
    scheme = value.partition(" ")[0]
    if scheme in ("AWS4-HMAC-SHA256", "TC3-HMAC-SHA256"):
        credential = value.partition("Credential=")[2].partition(",")[0]
        return f"{scheme} {'/'.join(part for part in credential.split('/') if not part.isdecimal())}"
    return value.partition(";")[0] if value.startswith("application/json") else value


def flatten(path: str, value: Any, found: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            flatten(f"{path}.{name}", inner, found)
    elif isinstance(value, list) and value:
        for n, inner in enumerate(value):
            flatten(f"{path}.{n}", inner, found)
    else:
        found[path] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    paths = sorted({*theirs, *ours})
    return {path: (theirs.get(path), ours.get(path)) for path in paths if theirs.get(path) != ours.get(path)}


def declared(script: Script, path: str) -> str | None:
    """The declaration that covers `path`: its own, or that of what it is within."""
    return next((one for one in script.differs if path == one or path.startswith(f"{one}.")), None)


@pytest.fixture(params=[False, True], ids=["plain", "stream"])
def streaming(request: Any) -> bool:
    return bool(request.param)


@pytest.mark.parametrize("script", ALL, ids=[script.name for script in ALL])
def test_requests_mean_the_same(script, streaming, settings, tmp_path, captured, monkeypatch):
    provider = registry.load("provider", script.provider)
    way = provider.apis[script.api] if script.api else provider
    streaming = streaming and way.streams
    tls = "tls" in script.said("needs")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem")) if tls else None
    with emulated(provider.emulator or script.provider, tls=tmp_path if tls else None) as server:
        theirs = called(script, server, tmp_path, streaming)
        by_sdk = prompts(server)
        server.asked.clear()
        ours = asked_by_us(script, server, settings, streaming)
        by_us = prompts(server)
    assert theirs["text"] == ours.text == PROMPT
    for name in ("input_tokens", "output_tokens"):
        if theirs[name] is not None:
            assert theirs[name] == getattr(ours.usage, name), name
    assert len(by_sdk) == len(by_us)
    found: dict[str, tuple[Any, Any]] = {}
    for one, other in zip(by_sdk, by_us, strict=True):
        found |= differences(meaning(one, script.headers), meaning(other, script.headers))
    unexplained = {path: pair for path, pair in found.items() if declared(script, path) is None}
    assert unexplained == {}
    captured(script, streaming, by_us, found, ours)


def prompts(server: Any) -> list[Asked]:
    """The requests that ask a model: not those for tokens, projects or polls."""
    return [one for one in server.asked if one.method == "POST" and "token" not in one.path.rsplit("/", 1)[-1]]


def test_declared_differences_are_real(results):
    """A difference that no run showed is not one."""
    for script in ALL:
        shown = {declared(script, path) for run in results(script) for path in run["differences"]}
        if results(script):
            assert set(script.differs) <= shown, script.name
