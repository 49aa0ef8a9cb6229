"""A server on a Unix socket is asked like any other: through the front, and by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from mlaas_lab.inference import complete, resolve
from mlaas_lab.schema import Message
from mlaas_lab.unix_socket import address

STUB = Path(__file__).parents[1] / "serving" / "stub_server.py"


@pytest.fixture
def at_socket(tmp_path, eventually):
    path = tmp_path / "s"
    server = subprocess.Popen([sys.executable, str(STUB), str(path)])
    eventually(path.exists)
    yield address(str(path)) + "/v1"
    server.kill()
    server.wait()


def test_through_the_front(fronted, at_socket):
    with fronted() as front:
        front.serve("a", at_socket)
        status, _, said = front.ask()
        assert (status, said["choices"][0]["message"]["content"]) == (200, "a")


def test_by_name(fronted, at_socket):
    with fronted() as front:
        front.serve("a", at_socket)
        route = resolve("a", front.settings)
        assert complete("a", [Message(role="user", content="hi")], settings=front.settings).text == "a"
        assert route.url == "http://localhost/v1/chat/completions"
