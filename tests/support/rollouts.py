"""What the tests of rollouts share: a server that says its version, a caller, a killed deploy."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from typing import Any

from tests.e2e.conftest import ROOT, Project
from tests.support.git_server import GitServer, Repository
from tests.support.load import Load, Result

SERVER = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        body = os.environ.get('GREETING', 'VERSION').encode()
        self.send_response(200); self.send_header('content-length', str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def log_message(self, *a): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # as real servers have; the base class has 5
if __name__ == '__main__':
    if os.environ.get('GREETING') == 'crash':
        raise SystemExit('cannot start like this')
    address = ('0.0.0.0', int(os.environ['PORT']))
    Server(address, Handler).serve_forever()
"""
IDLE = "import time\nwhile True: time.sleep(1)\n"
ENDS_LATER = """import os, threading
threading.Timer(6, os._exit, [1]).start()
"""
"""Before the source of a server: it serves for six seconds after each start."""
BROKEN = "import sys\nsys.exit('nowhere_to_be_found')\n"
BUSY = 6  # the exit code

ENTRIES = "- slug: gh:acme/web\n  port: 8080\n- slug: gh:acme/caller\n  run: worker\n"


def server(version: str) -> str:
    """The source of a server that answers with `version`."""
    return SERVER.replace("VERSION", version)


def start(project: Project, git_server: GitServer) -> dict[str, Any]:
    """Deploy the server, as ``one``, and its caller, which is a worker: no test is about it."""
    project.environment["IAC_PROBATION"] = "3"
    git_server.repository("acme/web").commit({"main.py": server("one")})
    git_server.repository("acme/caller").commit({"main.py": IDLE})
    project.file.write_text(ENTRIES)
    return project.deploy()


def commit(git_server: GitServer, text: str, name: str = "web") -> str:
    """Push a new version of a service."""
    return Repository(git_server.folder / "acme" / name).commit({"main.py": text})


def under_load(project: Project, *, code: int = 0) -> tuple[dict[str, Any], Result]:
    """Deploy while the caller asks the server, and count."""
    load = Load(project.container("caller", "app"), "web")
    try:
        verdict = project.deploy(code=code)
    finally:
        result = load.end()
    return verdict, result


def kill_deploy(project: Project, at: str) -> None:
    """Start a deploy and kill it, with no chance to clean up, when it says `at`."""
    running = subprocess.Popen(
        project.argv("deploy", "--file", str(project.file)),
        cwd=ROOT,
        env={**os.environ, **project.environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with running:
        assert running.stderr is not None
        seen = []
        for line in running.stderr:
            seen.append(line)
            if at in line:
                running.kill()
                break
        assert running.wait(60) == -signal.SIGKILL, "".join(seen)


def deploy_when_free(project: Project) -> dict[str, Any]:
    """Deploy as soon as the Terraform that lost its parent has let go of the state."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        planned = subprocess.run(
            project.argv("plan", "--file", str(project.file)),
            cwd=ROOT,
            env={**os.environ, **project.environment},
            capture_output=True,
            check=False,
        )
        if planned.returncode != BUSY:
            break
    return project.deploy()
