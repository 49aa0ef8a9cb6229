"""A server that needs no model: `stub_server.py PORT [--after S] [--refuse] [--die-after S]`."""

import argparse
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

words = argparse.ArgumentParser()
words.add_argument("port", type=int)
words.add_argument("--after", type=float, default=0)
words.add_argument("--die-after", type=float, default=0)
words.add_argument("--refuse", action="store_true")
options = words.parse_args()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = {"choices": [{"message": {"role": "assistant", "content": asked["model"]}}]}
        body = b'{"detail": "out of memory"}' if options.refuse else json.dumps(said).encode()
        self.send_response(500 if options.refuse else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def die():
    print("CUDA error: boom", flush=True)
    os._exit(7)


print("loading", flush=True)
time.sleep(options.after)
if options.die_after:
    threading.Timer(options.die_after, die).start()
ThreadingHTTPServer(("127.0.0.1", options.port), Handler).serve_forever()
