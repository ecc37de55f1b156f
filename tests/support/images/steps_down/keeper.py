"""Keeps a file in its working directory, and tells what it is and may."""

import http.server
import json
import os
import pathlib
import time


def writes(path: str) -> str | None:
    try:
        pathlib.Path(path).write_text("x", encoding="utf-8")
    except OSError as error:
        return error.strerror
    return "written"


def facts() -> dict[str, object]:
    status = pathlib.Path("/proc/self/status").read_text(encoding="utf-8")
    secret = os.environ.get("TOKEN_FILE")
    return {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "folder": str(pathlib.Path.cwd()),
        "capabilities": [line.split()[1] for line in status.splitlines() if "CapEff" in line],
        "data": writes("kept"),
        "root": writes("/srv/x"),
        "password": os.environ.get("PASSWORD"),
        "token": secret and pathlib.Path(secret).read_text(encoding="utf-8"),
    }


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/exit":
            os._exit(3)
        if self.path == "/slow":
            time.sleep(2)
        body = json.dumps(facts()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer(("", 7000), Handler).serve_forever()
