"""Small web projects as people publish them, each written to be deployed unchanged."""

from __future__ import annotations

from pathlib import Path

FLASK = "flask==3.1.0\n"
GUNICORN = "gunicorn==23.0.0\n"
DJANGO = "django==5.1.4\n"

FLASK_APP = """
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    return "flask"

if __name__ == "__main__":
    app.run({arguments})
"""

HANDLER = """
import http.server, os, socket, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
class IPv6(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
"""

TOOL = """
import argparse
parser = argparse.ArgumentParser(prog="tool")
parser.add_argument("command", nargs="?")
if not parser.parse_args().command:
    parser.print_help()
"""


def serve(address: str, *, kind: str = "http.server.ThreadingHTTPServer", before: str = "") -> str:
    """A program of the standard library that serves on `address` after the statement `before`."""
    return f"{HANDLER}\nif __name__ == '__main__':\n    {before or 'pass'}\n    " + (
        f"{kind}({address}, Handler).serve_forever()\n"
    )


DJANGO_SITE = {
    "manage.py": """
import os, sys
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
""",
    "site1/__init__.py": "",
    "site1/settings.py": """
SECRET_KEY = "not a secret"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site1.urls"
WSGI_APPLICATION = "site1.wsgi.application"
INSTALLED_APPS = []
""",
    "site1/urls.py": """
from django.http import HttpResponse
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse("django"))]
""",
    "site1/wsgi.py": """
import os
from django.core.wsgi import get_wsgi_application
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site1.settings")
application = get_wsgi_application()
""",
    "hello.py": "print('left over from a tutorial')\n",
}

DJANGO_WITH_STATIC_FILES = {
    **DJANGO_SITE,
    "site1/settings.py": DJANGO_SITE["site1/settings.py"].replace("*", "site.example.org")
    + """
INSTALLED_APPS = ["django.contrib.staticfiles", "site1"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware"]
STATIC_URL = "/static/"
STATIC_ROOT = "collected"
STORAGES = {
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}
}
""",
    "site1/urls.py": """
from django.http import HttpResponse
from django.templatetags.static import static
from django.urls import path
urlpatterns = [path("", lambda request: HttpResponse(static("site.css")))]
""",
    "site1/static/site.css": "body { color: teal }\n",
}
"""Its page is the address of a file, which only collecting names."""

FASTAPI_APP = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/")
def index():
    return {"hello": "world"}
"""

AIOHTTP_APP = """
from aiohttp import web

async def index(request):
    return web.Response(text="aiohttp")

app = web.Application()
app.add_routes([web.get("/", index)])
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8080)
"""

DAEMONIZE = "[os._exit(0) for _ in range(2) if os.fork()]; os.setsid()"

NO_HTTP = """
import socketserver
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        {lines}
if __name__ == "__main__":
    socketserver.ThreadingTCPServer(("127.0.0.1", 7300), Handler).serve_forever()
"""

PORT = '("127.0.0.1", int(os.environ["PORT"]))'

PICKY = """
import http.server

class Picky(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(f"Invalid HTTP_HOST header: {self.headers['host']!r}", flush=True)
        self.send_error(400)

http.server.HTTPServer(("0.0.0.0", 7400), Picky).serve_forever()
"""
"""What Django does and says while the service's name is not in ALLOWED_HOSTS."""

LAUNCHES = """
import importlib, os, sys, time
time.sleep(5)
words = [sys.executable, "-m", ".".join(["http", "server"]), "7500"]
getattr(os, "exec" + "v")(sys.executable, words)
"""
"""Needs longer than most to listen, and in no way that could be read from its code."""

MANAGER = (
    "from multiprocessing.managers import SyncManager;"
    " manager = SyncManager(address=('127.0.0.1', 0)); manager.start()"
)
METRICS = (
    "import threading; metrics = http.server.ThreadingHTTPServer(('0.0.0.0', 9100), Handler);"
    " threading.Thread(target=metrics.serve_forever, daemon=True).start(); time.sleep(4)"
)
"""Opens another port than that for requests, first."""
IMPORTS_AT_REQUEST = """
import os
from flask import Flask
app = Flask(__name__)

@app.get("/")
def index():
    import requests
    return "requests came with what KarstKit brings"

if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
"""
"""Requests are not in its requirements."""

HUNGRY = "subprocess.run([sys.executable, '-c', 'b\"x\" * (300 << 20)'])"
"""A process that needs more than the 128 MiB that its program may have."""

HUNGRY_REQUESTS = f"""
import http.server, os, subprocess, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500 if {HUNGRY}.returncode else 200)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

PROJECTS: dict[str, dict[str, str]] = {
    "flask-default": {"app.py": FLASK_APP.format(arguments=""), "requirements.txt": FLASK},
    "flask-guarded": {
        "app.py": FLASK_APP.format(arguments="port=8000"),
        "requirements.txt": FLASK + GUNICORN,
    },
    "django-alone": {**DJANGO_SITE, "requirements.txt": DJANGO},
    "fastapi": {"main.py": FASTAPI_APP, "requirements.txt": "fastapi==0.115.6\n"},
    "procfile": {
        "Procfile": "web: python web.py\n",
        "web.py": serve(PORT),
        "cron_task.py": "if __name__ == '__main__':\n    print('every night')\n",
    },
    "ipv6": {"main.py": serve('("::1", 7000)', kind="IPv6")},
    "daemon": {"main.py": serve('("127.0.0.1", 7100)', before=DAEMONIZE)},
    "picky": {"main.py": PICKY},
    "ends": {"main.py": "print('nothing to serve')\n"},
    "tool": {"main.py": TOOL},
    "late": {"main.py": serve('("127.0.0.1", 7200)', before="time.sleep(6)")},
    "elsewhere": {"main.py": serve('("0.0.0.0", 9000)')},
    "forgotten": {"app.py": IMPORTS_AT_REQUEST, "requirements.txt": FLASK},
    "hungry": {"main.py": HUNGRY_REQUESTS},
    "lost-child": {"main.py": serve(PORT, before=f"import subprocess; {HUNGRY}")},
    "windows": {
        "Procfile": "web: sh bin/start.sh\n",
        "bin/start.sh": "set -e\r\ncd /app\r\nexec python3 web.py\r\n",
        "web.py": serve(PORT),
    },
    "speaks-first": {"main.py": NO_HTTP.format(lines='self.wfile.write(b"220 ready\\r\\n")')},
    "speaks-later": {
        "main.py": NO_HTTP.format(lines="self.wfile.write(self.rfile.readline().swapcase())")
    },
    "launches": {"main.py": LAUNCHES},
    "manager": {"main.py": serve('("0.0.0.0", 7600)', before=f"{MANAGER}; time.sleep(5)")},
    "two-ports": {"main.py": serve('("0.0.0.0", 7700)', before=METRICS)},
    "loops": {"main.py": "import sys, time\ntime.sleep(4)\nsys.exit('no more')\n"},
    "database": {"main.py": NO_HTTP.format(lines='self.wfile.write(b"220 ready\\r\\n")')},
    "half-a-database": {"main.py": NO_HTTP.format(lines='self.wfile.write(b"220 ready\\r\\n")')},
    "caller": {"main.py": "import time\nprint('up')\ntime.sleep(3600)\n"},
}

KEYS = {
    "ends": "port: 8080",
    "elsewhere": "port: 8080",
    "loops": "run: worker",
    "database": "tcp: [7300]",
    "half-a-database": "tcp: [7300, 7301]\n  health_timeout: 8s",
    "hungry": "memory: 128m",
    "lost-child": "memory: 128m",
}
"""What repos.yaml says of some."""


def write(folder: Path) -> Path:
    """All projects below `folder`; returns the repos file that lists them."""
    entries = []
    for name, files in PROJECTS.items():
        for path, text in files.items():
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_bytes(text.encode())
        entries.append(f"- slug: ./{name}\n" + (f"  {KEYS[name]}\n" if name in KEYS else ""))
    file = folder / "repos.yaml"
    file.write_text("".join(entries))
    return file
