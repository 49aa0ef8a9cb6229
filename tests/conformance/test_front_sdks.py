"""The official SDKs against the front: two servers of different wires behind one address, and each error its class."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest
from conformance_scripts import scripts
from emulated import emulated
from made_jobs import made

from mlaas_lab.fronting import _run
from mlaas_lab.processes import identity
from mlaas_lab.schema import Endpoint, JobState
from mlaas_lab.store.folder import JobFolder
from mlaas_lab.store.front import Kept
from mlaas_lab.tasks.front import Front

pytestmark = pytest.mark.conformance
PROMPT = "Grüße an die 世界 🙂 heute"
SDKS = {
    "openai_sdk": ("openai", "openai", "emulated-OPENAI_API_KEY", "InternalServerError"),
    "messages_sdk": ("anthropic", "anthropic", "emulated-ANTHROPIC_API_KEY", "ServiceUnavailableError"),
}
"""Script → emulator behind the front, interpreter, the emulator's key, class of a 503."""


class Told:
    def __init__(self, settings):
        self.settings, self.stopping, self.listens = settings, False, threading.Event()

    def note(self, _text):
        pass

    def ready(self):
        self.listens.set()


@pytest.fixture
def front(settings, lab):
    told = Told(settings)
    thread = threading.Thread(target=_run.serve, args=(Front(queue_s=0), told))
    thread.start()
    assert told.listens.wait(20)
    yield Kept(settings)
    told.stopping = True
    thread.join(20)


def announce(lab, name, base_url, *, key, ready=True):
    folder = JobFolder(lab.settings.jobs_dir / f"job-{name}")
    folder.path.mkdir(parents=True)
    folder.key.write_text(key)
    lab.store.add(made(f"job-{name}", task="serve", folder=str(folder)))
    lab.store.move(f"job-{name}", JobState.RUNNING, attempt=1, handle=identity(os.getpid()))
    place = {"base_url": base_url, "model": name, "engine": "vllm", "source": name}
    lab.store.announce(Endpoint(name=name, job_id=f"job-{name}", ready=ready, **place), attempt=1)


@pytest.mark.parametrize("sdk", SDKS)
def test_an_official_sdk_works_unchanged(front, lab, sdk):
    emulator, interpreter, key, overloaded = SDKS[sdk]
    python = next(script.python for script in scripts("sdks") if script.name == interpreter)
    with emulated(emulator) as server:
        announce(lab, "support", f"{server.origin}/v1", key=key)
        announce(lab, "starting", f"{server.origin}/v1", key=key, ready=False)
        given = {"base_url": f"http://127.0.0.1:{front.port}/v1", "token": front.token(), "prompt": PROMPT}
        path = Path(__file__).parent / "fronted" / f"{sdk}.py"
        command = [str(python), "-P", str(path), json.dumps({**given, "model": "support"})]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["text"] == found["streamed"] == PROMPT
    assert found["output_tokens"] == len(PROMPT.split())
    assert sorted(found["models"]) == ["starting", "support"]
    assert found["wrong key"][:2] == ["AuthenticationError", 401]
    assert found["unknown"][:2] == ["NotFoundError", 404]
    assert "Did you mean 'support'?" in found["unknown"][3]
    assert found["starting"][:2] == [overloaded, 503]
    assert int(found["starting"][2]) > 0
    for name in ("support", "starting"):
        lab.store.move(f"job-{name}", JobState.CANCELLED, attempt=1)
