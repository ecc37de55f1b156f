"""Services whose answers take two seconds, and eight calls in flight to one of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from iac_wrapper.model import users
from iac_wrapper.model.labels import UIDS
from tests.e2e.conftest import Project
from tests.support.git_server import GitServer
from tests.support.rollouts import IDLE

HTTP = """
import base64, hashlib, http.server, os, signal, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path == '/socket':
            key = self.headers['Sec-WebSocket-Key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
            self.send_response(101)
            for name, value in (('Upgrade', 'websocket'), ('Connection', 'Upgrade')):
                self.send_header(name, value)
            accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            self.send_header('Sec-WebSocket-Accept', accept)
            self.end_headers()
            time.sleep(2)
            self.wfile.write(bytes([0x81, 4]) + b'done' + bytes([0x88, 0]))
            self.close_connection = True
            return
        seconds = 0 if self.path == '/' else 2
        parts = 4 if self.path == '/stream' else 1
        self.send_response(200)
        self.send_header('x-iac-unreached', '1')
        self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        for _ in range(parts):
            time.sleep(seconds / parts)
            self.wfile.write(b'4\\r\\ndone\\r\\n')
        self.wfile.write(b'0\\r\\n\\r\\n')
    def log_message(self, *a): pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False  # the end of the program waits for those that answer

server = Server(('0.0.0.0', int(os.environ['PORT'])), Handler)
if os.environ.get('POLITE'):
    end = lambda *_: threading.Thread(target=server.shutdown).start()
    signal.signal(signal.SIGTERM, end)
server.serve_forever()
"""
"""Without POLITE it has no handler for SIGTERM."""

GRPC = """
import os, time, grpc
from concurrent.futures import ThreadPoolExecutor
def slow(request, context):
    time.sleep(2)
    return b'done'
def stream(request, context):
    for _ in range(4):
        time.sleep(0.5)
        yield b'done'
server = grpc.server(ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('lab.Lab', {
    'Slow': grpc.unary_unary_rpc_method_handler(slow),
    'Stream': grpc.unary_stream_rpc_method_handler(stream)}),))
server.add_insecure_port('0.0.0.0:' + os.environ['PORT'])
server.start()
server.wait_for_termination()
"""

_CALLER = """
import http.client, json, os, socket, sys, threading, time
kind, name, most = sys.argv[1], sys.argv[2], float(sys.argv[3])

def get(path):
    connection = http.client.HTTPConnection(name, timeout=20)
    connection.request('GET', path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or answer.headers.get('x-iac-unreached'):
        raise RuntimeError(f'{answer.status} {answer.headers} {body[:200]}')
    return body.replace(b'done', b'') == b''

def websocket():
    with socket.create_connection((name, 80), 20) as peer:
        peer.sendall(b'GET /socket HTTP/1.1\\r\\nHost: ' + name.encode()
            + b'\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n'
            b'Sec-WebSocket-Version: 13\\r\\n'
            b'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n')
        said = b''
        while more := peer.recv(1000):
            said += more
    if not said.endswith(b'done' + bytes([0x88, 0])):
        raise RuntimeError(f'closed without a close frame: {said!r}')
    return True

def rpc(method):
    import grpc
    with grpc.insecure_channel(name + ':80') as channel:
        if method == 'Slow':
            return channel.unary_unary('/lab.Lab/Slow')(b'', timeout=20) == b'done'
        return len(list(channel.unary_stream('/lab.Lab/Stream')(b'', timeout=20))) == 4

calls = {'http': [lambda: get('/slow'), lambda: get('/stream'), websocket, lambda: get('/slow')],
         'grpc': [lambda: rpc('Slow'), lambda: rpc('Stream')],
         'probe': [lambda: get('/')]}[kind]
number = 1 if kind == 'probe' else 8
good, failed, times, begin = [], [], [], time.monotonic()
def run(act):
    while True:
        try:
            good.append(act())
        except Exception as error:
            failed.append(f'{type(error).__name__} {error}')
        times.append(time.monotonic())
        if (time.monotonic() - begin > most if most else True) or os.path.exists('/tmp/stop'):
            return
        time.sleep(0.02 if kind == 'probe' else 0)
threads = [threading.Thread(target=run, args=(calls[n % len(calls)],)) for n in range(number)]
if kind == 'grpc':
    import grpc
print('ready', flush=True)
for one in threads: one.start()
for one in threads: one.join()
gap = max((b - a for a, b in zip(times, times[1:])), default=0)
print(json.dumps({'good': sum(good), 'failed': failed, 'gap': gap}))
"""


class Calls:
    """Calls in flight from the container `caller`: eight of them, or a probe each 20 ms.

    Args:
        kind: ``http``, ``grpc`` or ``probe``.
        seconds: how long calls follow one another; 0: one each.
    """

    def __init__(self, caller: Any, kind: str, name: str, seconds: float = 0) -> None:
        api = caller.client.api
        argv = ["/venv/bin/python", "-c", _CALLER, kind, name, str(seconds)]
        # The program's: the container itself starts as another one.
        user = users.program_of(caller.labels[UIDS])
        made = api.exec_create(caller.id, argv, user=user)
        self._output = api.exec_start(made["Id"], stream=True, demux=False)
        assert next(self._output).strip() == b"ready"
        time.sleep(0.7)  # all of them are there

    def end(self) -> dict[str, Any]:
        """Wait for the last answer; ``good``, ``failed``, ``gap`` (seconds)."""
        found: dict[str, Any] = json.loads(b"".join(self._output))
        return found


ENTRIES = """
- {slug: gh:acme/http, name: rude, port: 8080}
- {slug: gh:acme/http, name: polite, port: 8080, env: {POLITE: "1"}}
- {slug: gh:acme/caller, run: worker}
"""
RPC = "- {slug: gh:acme/grpc, name: rpc, port: 8080}\n"


def start(project: Project, git_server: GitServer, more: str = "") -> None:
    """Deploy a server without and one with a handler for SIGTERM and their caller; `more` entries,
    such as that of gRPC."""
    project.environment["IAC_PROBATION"] = "2"
    wants = {"requirements.txt": "grpcio\n"} if more else {}
    git_server.repository("acme/http").commit({"main.py": HTTP})
    git_server.repository("acme/grpc").commit({"main.py": GRPC, **wants})
    git_server.repository("acme/caller").commit({"main.py": IDLE, **wants})
    project.file.write_text(ENTRIES + more)
    project.deploy()


def stop_and_start(project: Project, roles: Mapping[str, str]) -> float:
    """Stop one container of each service with calls in flight, then start all with calls waiting.

    Args:
        roles: which container, by service.

    Returns:
        How long the slowest stop took, seconds.
    """
    caller = project.container("caller", "app")
    with ThreadPoolExecutor() as pool:
        took = list(pool.map(lambda one: _stop(project, *one), roles.items()))
        waiting = dict(
            zip(roles, pool.map(lambda n: Calls(caller, _kind(n), n), roles), strict=True)
        )
        list(pool.map(lambda one: _start(project, *one), roles.items()))
    for name, calls in waiting.items():
        failed = calls.end()["failed"]
        assert not failed, f"{name}: {failed}"
    return max(took)


def _stop(project: Project, service: str, role: str) -> float:
    calls = Calls(project.container("caller", "app"), _kind(service), service)
    begin = time.monotonic()
    project.container(service, role).stop()
    took = time.monotonic() - begin
    result = calls.end()
    assert (result["good"], result["failed"]) == (8, []), f"{service}/{role}"
    return took


def _start(project: Project, service: str, role: str) -> None:
    for each in dict.fromkeys((role, "app")):
        project.container(service, each).start()


def _kind(service: str) -> str:
    return "grpc" if service == "rpc" else "http"
