"""What the server says of itself while it is loaded, and what the GPU does: once a second, and absent where unknown.

Servers of ours and those at a private address are asked for `/metrics` in Prometheus' text format, under the names that
vLLM has for its queue and cache. Nobody else is asked.
"""

import asyncio
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from mlaas_lab.inference import Route
from mlaas_lab.inference.attempt import now
from mlaas_lab.signing import Request

SERVER = "server.jsonl"
"""In a job's folder: what was sampled, a line of JSON each second."""
EVERY_S = 1.0
PATIENCE_S = 2.0
"""For an answer; a server that is too busy to say how it is, is asked again a second later."""
GAUGES: Mapping[str, tuple[str, ...]] = {
    "running": ("vllm:num_requests_running",),
    "waiting": ("vllm:num_requests_waiting",),
    "cache_used": ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
    "prefix_queries": ("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total"),
    "prefix_hits": ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"),
    "preemptions": ("vllm:num_preemptions_total",),
}
"""What we call it → its names in vLLM, old ones last; a share, or a number of requests or tokens."""
LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{.*\})? (?P<value>\S+)", re.MULTILINE)
GPU = ("nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits")


@dataclass(kw_only=True)
class Beside:
    """Samples of the servers behind some routes and of this machine's GPUs, as lines of JSON."""

    routes: Iterable[Route]
    path: Path
    samples: list[dict[str, Any]] = field(init=False, default_factory=list)

    async def run(self) -> None:
        """Sample until it is cancelled; returns at once where nobody says anything."""
        places = {place: _key(route, place) for route in self.routes for place in _places(route)}
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            speaking = {place: key for place, key in places.items() if await _said(http, place, key)}
            gpus = shutil.which(GPU[0]) is not None and bool(await _gpus())
            while speaking or gpus:
                found: dict[str, Any] = {"at": now()}
                for place, key in speaking.items():
                    found |= await _said(http, place, key)
                if gpus:
                    found |= await _gpus()
                self.samples.append(found)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(found) + "\n")
                await asyncio.sleep(EVERY_S)

    def summary(self) -> dict[str, Any] | None:
        """Mean and highest of each, and the share of prompts' tokens that a prefix cache knew; None without samples."""
        names = dict.fromkeys(name for sample in self.samples for name in sample if name != "at")
        if not names:
            return None
        found: dict[str, Any] = {}
        for name in names:
            values = [sample[name] for sample in self.samples if name in sample]
            if name in ("prefix_queries", "prefix_hits", "preemptions"):
                found[name] = values[-1] - values[0]
            else:
                found[name] = {"mean": sum(values) / len(values), "max": max(values)}
        asked = found.pop("prefix_queries", 0)
        hits = found.pop("prefix_hits", None)
        return {**found, **({"prefix_hit_rate": hits / asked} if hits is not None and asked else {})}


def read(text: str) -> dict[str, float]:
    """What a page of metrics says, of all its engines together."""
    values: dict[str, list[float]] = {}
    for line in LINE.finditer(text):
        values.setdefault(line["name"], []).append(float(line["value"]))
    found: dict[str, float] = {}
    for ours, theirs in GAUGES.items():
        several = next((values[name] for name in theirs if name in values), None)
        if several:
            found[ours] = max(several) if ours == "cache_used" else sum(several)
    return found


def _places(route: Route) -> list[str]:
    """Where its server may say how it is: only one of this user's own network is asked."""
    if not route.private or route.emulated:
        return []
    parts = urlsplit(route.url)
    return [f"{parts.scheme}://{parts.netloc}/metrics"]


def _key(route: Route, place: str) -> dict[str, str]:
    if route.sign is None or route.sign.exchange is not None:
        return {}
    return route.sign.headers(Request(url=place, headers={}, body=b"", method="GET", target=route.place), route.keys)


async def _said(http: aiohttp.ClientSession, place: str, key: Mapping[str, str]) -> dict[str, float]:
    try:
        async with http.get(place, headers=key, allow_redirects=False) as response:
            return read(await response.text()) if response.status == 200 else {}
    except (aiohttp.ClientError, TimeoutError, UnicodeError, ValueError, OSError):
        return {}


async def _gpus() -> dict[str, float]:
    """Mean utilisation as a share and memory in use over all GPUs; nothing where it cannot be said."""
    process = await asyncio.create_subprocess_exec(
        *GPU, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    text, _ = await process.communicate()
    rows = [line.split(",") for line in text.decode(errors="replace").splitlines() if line.count(",") == 1]
    try:
        used = [(float(share) / 100, float(mib)) for share, mib in rows]
    except ValueError:
        return {}
    if not used:
        return {}
    memory_bytes = sum(mib for _, mib in used) * 2**20
    return {"gpu_used": sum(share for share, _ in used) / len(used), "gpu_memory_bytes": memory_bytes}
