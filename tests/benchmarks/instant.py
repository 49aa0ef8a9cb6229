"""A server that answers chat completions at once, as fast as Python goes: `python tests/benchmarks/instant.py`.

It prints its base URL and runs until it is killed. It reads no more of a request than it must, so that what is measured
against it is the client. For faults and a ledger there is `loopback.py`.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

WORDS = 32


def _prepared() -> tuple[bytes, bytes]:
    text = " ".join(["word"] * WORDS)
    usage = {"prompt_tokens": 12, "completion_tokens": WORDS, "total_tokens": 12 + WORDS}
    base = {"id": "chatcmpl-1", "created": 1, "model": "instant"}
    message = {"role": "assistant", "content": text}
    whole = {
        **base,
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage,
    }
    body = json.dumps(whole).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nx-request-id: r\r\n"
    answer = head % b"application/json" + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)

    def chunk(choices: list[dict[str, object]], **more: object) -> bytes:
        data = {**base, "object": "chat.completion.chunk", "choices": choices, **more}
        event = b"data: " + json.dumps(data).encode() + b"\n\n"
        return b"%x\r\n%s\r\n" % (len(event), event)

    events = [chunk([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]) for _ in range(WORDS)]
    events.append(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    events.append(chunk([], usage=usage))
    events.append(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    stream = head % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(events)
    return answer, stream


ANSWER, STREAM = _prepared()


class Instant(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            size = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + size:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + size], self.buffer[end + 4 + size :]
            streamed = b'"stream":true' in body or b'"stream": true' in body
            self.transport.write(STREAM if streamed else ANSWER)


@contextmanager
def apart() -> Iterator[str]:
    """Its base URL, while it runs as a process on a core of its own, where there are two; this one keeps another."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as server:
        try:
            if len(cores) > 1:
                os.sched_setaffinity(server.pid, {cores[-1]})
                os.sched_setaffinity(0, {cores[0]})
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.kill()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
