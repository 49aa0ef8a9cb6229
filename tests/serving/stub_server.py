"""A server that needs no model: `stub_server.py PORT|SOCKET [--after S] [--refuse] [--die-after S] [--moods DIR]`.

While DIR holds a file `hung` nothing is answered; `working` is the same, and work gets done; `refusing` is an error.
"""

import argparse
import json
import os
import socket
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

words = argparse.ArgumentParser()
words.add_argument("place")
words.add_argument("--after", type=float, default=0)
words.add_argument("--die-after", type=float, default=0)
words.add_argument("--refuse", action="store_true")
words.add_argument("--moods", type=Path, default=Path("/nowhere"))
options = words.parse_args()
steps = []


def feels(*moods):
    return any((options.moods / mood).exists() for mood in moods)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if feels("working"):
            steps.append(1)
        said = f'# HELP x y\nstub:running{{model="m"}} {int(feels("crowded"))}\nstub:steps_total {len(steps)}\n'
        self.answer(200, said.encode() if self.path == "/metrics" else b"{}")

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        while feels("hung", "working"):
            time.sleep(0.02)
        steps.append(1)
        said = {"choices": [{"message": {"role": "assistant", "content": asked["model"]}}]}
        refuses = options.refuse or feels("refusing")
        self.answer(500 if refuses else 200, b'{"detail": "out of memory"}' if refuses else json.dumps(said).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class AtSocket(ThreadingHTTPServer):
    address_family = socket.AF_UNIX
    server_bind = socketserver.TCPServer.server_bind


def die():
    print("CUDA error: boom", flush=True)
    os._exit(7)


print("loading", flush=True)
time.sleep(options.after)
if options.die_after:
    threading.Timer(options.die_after, die).start()
if options.place.isdigit():
    ThreadingHTTPServer(("127.0.0.1", int(options.place)), Handler).serve_forever()
else:
    AtSocket(options.place, Handler).serve_forever()
