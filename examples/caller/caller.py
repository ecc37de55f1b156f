"""Calls two other services by name, in the clear, and serves what they said on $PORT.

Its sidecar turns both calls into mTLS: to the peer that proves the very name written here.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

PATIENCE = 30.0
"""Seconds to wait for a service that is still starting."""


def ask_flask() -> str:
    """The greeting of flask-app, over HTTP."""
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen("http://flask-app:50051/", timeout=5) as answer:
                return str(json.load(answer)["greeting"])
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def ask_greeter(name: str) -> str:
    """The greeting of greeter-grpc, over gRPC; retries while the service is unavailable."""
    give_up = time.monotonic() + PATIENCE
    with grpc.insecure_channel("greeter-grpc:50051") as channel:
        say_hello = channel.unary_unary(
            "/greeter.Greeter/SayHello",
            request_serializer=str.encode,
            response_deserializer=bytes.decode,
        )
        while True:
            try:
                return str(say_hello(name, timeout=5, wait_for_ready=True))
            except grpc.RpcError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.2)


def ask_everybody() -> dict[str, str]:
    return {"flask-app": ask_flask(), "greeter-grpc": ask_greeter("caller")}


class Answers(BaseHTTPRequestHandler):
    """GET / asks both services and answers with what they said, as JSON."""

    def do_GET(self) -> None:
        try:
            status, answer = 200, ask_everybody()
        except (OSError, grpc.RpcError) as error:
            status, answer = 502, {"error": str(error)}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def report() -> None:
    for service, answer in ask_everybody().items():
        print(f"{service} said: {answer}", flush=True)


def main() -> None:
    port = int(os.environ["PORT"])
    threading.Thread(target=report, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever()
