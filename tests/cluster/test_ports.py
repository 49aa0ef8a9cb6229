"""`doctor` names the cluster, and the ports of its parts that listen to everybody."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cluster.stub_ray import StubRay

from mlaas_lab.cluster.ports import opened
from mlaas_lab.commands.doctor import _cluster

LISTEN = (
    "import socket, sys; s = socket.create_server((sys.argv[1], 0)); print(s.getsockname()[1], flush=True); input()"
)


@pytest.fixture
def raylets(tmp_path: Path):
    """Two processes called as Ray calls its raylet, one of them on loopback; their ports."""
    binary = tmp_path / "ray" / "core" / "src" / "ray" / "raylet" / "raylet"
    binary.parent.mkdir(parents=True)
    binary.symlink_to(sys.executable)
    made = [
        subprocess.Popen([binary, "-c", LISTEN, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for host in ("0.0.0.0", "127.0.0.1")
    ]
    yield [int(process.stdout.readline()) for process in made]
    for process in made:
        process.kill()
        process.wait()


def test_ports_are_named_by_whom_they_listen_to(raylets):
    found = {port.number: port for port in opened() if port.part == "raylet"}
    assert found[raylets[0]].everywhere
    assert not found[raylets[1]].everywhere


def test_doctor_names_cluster_and_ports(raylets, settings, monkeypatch):
    with StubRay() as stub:
        monkeypatch.setenv("RAY_AUTH_TOKEN", stub.token)
        here = settings.model_copy(update={"ray_address": stub.address})
        cluster, ports = _cluster(here)
        assert cluster.ok
        assert f"raylet {raylets[0]}" in ports.detail
        assert str(raylets[1]) not in ports.detail
        stub.token = ""
        cluster, _ = _cluster(here)
        assert not cluster.ok
        assert "takes jobs from everybody" in cluster.detail


def test_doctor_is_silent_where_no_cluster_is(settings):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert list(_cluster(settings.model_copy(update={"ray_address": f"http://127.0.0.1:{port}"}))) == []
