"""The ports that a Ray cluster on this machine has opened, and to whom: Ray binds most of them to every address."""

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

PARTS = {
    "/ray/core/src/ray/gcs/gcs_server": "gcs_server",
    "/ray/core/src/ray/raylet/raylet": "raylet",
    "/ray/dashboard/dashboard.py": "dashboard",
    "ray-dashboard-": "dashboard",
    "ray::DashboardAgent": "agent",
    "/ray/dashboard/agent.py": "agent",
    "ray::RuntimeEnv": "runtime environment agent",
    "/ray/autoscaler/_private/monitor.py": "autoscaler",
    "/ray/_private/log_monitor.py": "log monitor",
    "ray.util.client.server": "client server",
    "ray::": "worker",
}
"""What stands in a command line → the part of Ray it is; the first that fits."""


@dataclass(frozen=True, order=True)
class Port:
    """One listening port."""

    part: str
    number: int
    everywhere: bool
    """It listens on more than loopback."""


def opened() -> list[Port]:
    """Listening ports of Ray's processes that this user may see."""
    return sorted(set(_opened()))


def _opened() -> Iterator[Port]:
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            part = next((name for sign, name in PARTS.items() if sign in line), None)
            if part is None:
                continue
            for connection in process.net_connections("inet"):
                if connection.status == psutil.CONN_LISTEN:
                    address = connection.laddr.ip.removeprefix("::ffff:")
                    here = address == "::1" or address.startswith("127.")
                    yield Port(part=part, number=connection.laddr.port, everywhere=not here)
        except psutil.Error:
            # Another user's, or gone.
            continue
