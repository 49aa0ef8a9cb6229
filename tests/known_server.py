"""A server on loopback whose delays are known, for load tests.

with Known(stalls_after_s=2.0) as server:
    ...                            # load f"openai/m?base_url={server.base_url}"
"""

import asyncio
import json
import threading
import time

import numpy as np
from aiohttp import web
from made_loads import MEDIAN_S, REST_S, SIGMA, STALL_S

METRICS = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 1.0
vllm:num_requests_waiting{engine="0",model_name="m"} 7.0
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1.2e+03
process_open_fds 12
"""


class Known:
    """A server on a thread of its own that streams after known delays, and stands still once.

    Delays to the first token are log-normal, REST_S later comes the end. The first request is answered at once, and the
    stall begins `stalls_after_s` after it.
    """

    def __init__(self, *, stalls_after_s=None, dies_after=None, speaks=False, seed=5, median_s=MEDIAN_S, sigma=SIGMA):
        self.stalls_after_s, self.dies_after, self.speaks = stalls_after_s, dies_after, speaks
        self.random, self.median_s, self.sigma = np.random.default_rng(seed), median_s, sigma
        self.loop = asyncio.new_event_loop()
        self.first_at, self.n = None, 0

    def __enter__(self):
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result()
        return self

    def __exit__(self, *_error):
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _start(self):
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        app.router.add_get("/metrics", self._metrics)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self.runner.addresses[0][1]}/v1"

    async def _metrics(self, _request):
        return web.Response(text=METRICS if self.speaks else "", status=200 if self.speaks else 404)

    async def _answer(self, request):
        came = time.monotonic()
        await request.read()
        self.n += 1
        if self.dies_after is not None and self.n > self.dies_after:
            request.transport.abort()
            return web.Response()
        if self.first_at is None:
            self.first_at = came
        else:
            into = came - self.first_at - (self.stalls_after_s or 0)
            if self.stalls_after_s is not None and 0 <= into < STALL_S:
                await asyncio.sleep(STALL_S - into)
            await asyncio.sleep(self.median_s * float(np.exp(self.sigma * self.random.standard_normal())))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
        await asyncio.sleep(REST_S)
        end = {
            "choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 2},
        }
        await response.write(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n")
        return response
